"""The gunicorn worker and its connections: limits, timeouts, malformed requests, shutdown."""
