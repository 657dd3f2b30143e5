"""Middleware, listed in the order in which a request passes through it.

In front of Django: access log, CORS, body, rate limit by address. In Django: ``every_request``,
authentication, rate limit by caller.
"""
