"""Changes documents in a store exactly as the original service does.

It reads a document's five known fields, carries out the command, appends it to the history (unknown
commands too) and writes the document with the revision that it has read. All other fields are lost.
It ignores a conflict and reports success.
"""

from __future__ import annotations

import uuid

from tests.support.documents import SOON, read, write
from zerglings.documents import Document
from zerglings.domain.zergling import Pose
from zerglings.storage.base import Store, Written

FIELDS = ("_id", "_rev", "id", "location", "facing")
HISTORY = "commandHistory"

KNOWN = ("L", "R", "M")
"""The commands that it carries out, whatever others this service learns."""


class Original:
    """The original over a store of either kind; safe to use from many threads at once."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def spawn(self) -> str:
        """Store a zergling as the original does; return its id."""
        id_ = str(uuid.uuid4())
        place = {"location": {"x": 0, "y": 0}, "facing": "N"}
        write(self._store, {"_id": id_, "id": id_, **place})
        return id_

    def read(self, zergling_id: str) -> Document:
        """Return what the original keeps of a document that it reads."""
        stored = read(self._store, zergling_id)
        document = {field: stored[field] for field in FIELDS}
        if history := stored.get(HISTORY):
            document[HISTORY] = history  # it leaves an empty one out
        return document

    def write(self, document: Document, word: str) -> bool:
        """Carry a command out on a document that was read, and put it; whether it was stored.

        The client is told that it was in any case.
        """
        location = document["location"]
        pose = Pose(location["x"], location["y"], document["facing"])
        pose = pose.after(word) if word in KNOWN else pose
        changed = {
            **document,
            "location": {"x": pose.x, "y": pose.y},
            "facing": pose.facing,
            HISTORY: [*document.get(HISTORY, ()), word],
        }
        (result,) = self._store.put_many([changed], timeout=SOON)
        return isinstance(result, Written)

    def command(self, zergling_id: str, word: str) -> bool:
        """Read, carry out and write; whether it was stored."""
        return self.write(self.read(zergling_id), word)
