"""Middleware, in the order of a request: access log, CORS, body, rate limits, authentication."""
