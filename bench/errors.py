"""The error of all benchmarks."""

from __future__ import annotations


class BenchError(Exception):
    """A measurement failed; the text says why, and never contains credentials."""
