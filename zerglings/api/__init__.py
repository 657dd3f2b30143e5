"""The REST API: maps HTTP requests to hive calls, and their results and errors to responses."""
