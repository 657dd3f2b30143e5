"""The JSON documents that stores keep, and the order of their revisions."""

from __future__ import annotations

from typing import Any

Document = dict[str, Any]
"""A JSON object with its id in ``_id`` and, once stored, its revision in ``_rev``."""


def rank(revision: str) -> tuple[int, str]:
    """Return the sort key of a revision: its generation, then its hash.

    CouchDB picks a document's current revision by this key: the highest leaf that is not deleted,
    or the highest leaf if all are deleted.

    >>> rank("12-ab") > rank("9-ff")
    True
    """
    generation, _, digest = revision.partition("-")
    return int(generation or 0), digest


MERGED = "merged"
"""Field of a deleted leaf: another leaf holds its content."""
