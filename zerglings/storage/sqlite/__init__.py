"""The embedded store: documents in one SQLite file."""
