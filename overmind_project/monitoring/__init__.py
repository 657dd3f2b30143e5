"""Metrics and probes: what monitoring systems and Kubernetes read."""
