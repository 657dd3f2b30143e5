"""What each request passes before its view: access log, body, CORS, limits, authentication."""
