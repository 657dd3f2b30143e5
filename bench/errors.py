"""What can go wrong with a measurement."""

from __future__ import annotations


class BenchError(Exception):
    """A measurement cannot be taken; the text says why, and never holds an account."""
