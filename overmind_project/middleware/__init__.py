"""Middleware, in the order of a request.

In front of Django: access log, CORS, body, rate limit by address. In Django: ``every_request``,
authentication, rate limit by caller.
"""
