"""JSON documents as every store keeps them, and the order of their revisions."""

from __future__ import annotations

from typing import Any

Document = dict[str, Any]
"""A JSON object with its id in ``_id`` and, once stored, its revision in ``_rev``."""


def rank(revision: str) -> tuple[int, str]:
    """Return the generation and the hash of a revision: of living leaves the highest is current."""
    generation, _, digest = revision.partition("-")
    return int(generation or 0), digest
