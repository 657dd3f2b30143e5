"""What regions tell each other through CouchDB's replication: its progress, and heartbeats."""
