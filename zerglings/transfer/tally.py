"""The tally of an export's lines: their number, size, kinds and hash, for trailer and reports."""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from zerglings.documents import Document

ZERGLING, CHUNK, KEY = KINDS = ("zergling", "chunk", "key")
"""The kinds of documents in an export."""


@dataclass(slots=True)
class Tally:
    """Counts and hash of the lines up to some position in the file.

    ``size`` is in bytes. ``last_id`` is the id of the last zergling or key.
    """

    lines: int = 0
    size: int = 0
    counts: Counter[str] = field(default_factory=Counter)
    last_id: str = ""
    digest: Any = field(default_factory=hashlib.sha256)  # hashlib's type has no public name

    def copy(self) -> Tally:
        """Return an independent copy."""
        return Tally(self.lines, self.size, self.counts.copy(), self.last_id, self.digest.copy())

    def add(self, line: bytes) -> None:
        """Add a line."""
        self.lines += 1
        self.size += len(line)
        self.digest.update(line)

    def trailer(self) -> Document:
        """Return the content of the trailer."""
        counts = {f"{kind}s": self.counts[kind] for kind in KINDS}
        return counts | {"sha256": self.digest.hexdigest()}

    def __str__(self) -> str:
        return describe_counts(self.counts)


def describe_counts(counts: Counter[str]) -> str:
    """Return the counts as text."""
    text = f"{counts[ZERGLING]} zerglings and {counts[CHUNK]} parts of histories"
    return f"{text}, {counts[KEY]} keys" if counts[KEY] else text
