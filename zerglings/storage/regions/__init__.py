"""Heartbeats of regions, and the progress of the replication between them."""
