"""Benchmarks of the service, with the raw store measured in the same run for comparison."""
