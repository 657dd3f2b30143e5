"""The REST API: requests to calls on the hive, results and errors to answers."""
