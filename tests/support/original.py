"""Changes documents in a store exactly as the original service does.

It reads a document's five known fields, carries out the command, appends it to the history (unknown
commands too) and writes the document with the revision that it has read. All other fields are lost.
It ignores a conflict and reports success.
"""

from __future__ import annotations

import uuid

from tests.support.documents import SOON, read, write
from zerglings.documents import Document
from zerglings.domain.pose import Pose
from zerglings.storage.base import Store, Written

FIELDS = ("_id", "_rev", "id", "location", "facing")
HISTORY = "commandHistory"

KNOWN = ("L", "R", "M")
"""The commands that the original carries out; it only records any other."""


class Original:
    """The original service's operations over either store; thread-safe."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def spawn(self) -> str:
        """Store a zergling as the original does; return its id."""
        id_ = str(uuid.uuid4())
        place = {"location": {"x": 0, "y": 0}, "facing": "N"}
        write(self._store, {"_id": id_, "id": id_, **place})
        return id_

    def read(self, zergling_id: str) -> Document:
        """Return a document with only the fields that the original reads."""
        stored = read(self._store, zergling_id)
        document = {field: stored[field] for field in FIELDS}
        if history := stored.get(HISTORY):
            document[HISTORY] = history  # the original leaves out an empty history
        return document

    def write(self, document: Document, word: str) -> bool:
        """Carry out a command on a document from `read` and write it; return whether it was stored.

        The original reports success to its client in either case.
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
        """Read, carry out the command and write; return whether it was stored."""
        return self.write(self.read(zergling_id), word)
