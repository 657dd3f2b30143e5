"""Access tokens: the valid ones, the credentials of a request, and the 401 and 403 responses."""
