"""Markers: documents that show up to when a region's changes have been replicated.

Replication delivers the changes of each shard of a database in their order. So a region updates a
document of its own, a marker, in every shard from time to time. Where a marker has arrived, all
that its region stored in the shard before has arrived too. (Only the few batches that a replication
writes at once can overtake each other.)

A marker is a deleted document. CouchDB replicates it like any other, but lists do not contain it:
the original service would take it for a zergling.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from itertools import count
from zlib import crc32

from zerglings.documents import Document, rank
from zerglings.storage.base import StoreUnavailable
from zerglings.storage.couchdb.database import Database
from zerglings.storage.couchdb.leaves import LeafReader

PREFIX = "region:"
"""The prefix of the documents' ids. The region's name and a number follow."""

TIMEOUT = 2.0
"""Timeout in seconds of each request."""

Range = tuple[int, int]
"""The lowest and the highest checksum of the ids in a shard."""

WHOLE: Range = 0, 0xFFFFFFFF
"""The range of a database with one shard."""


class Markers:
    """The markers in one database."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._leaves = LeafReader(database)

    def ids(self, region: str) -> list[str]:
        """Return ids for the markers of a region, one in each shard.

        Raises:
            StoreUnavailable: the shards could not be read.
        """
        return [marker_id(region, each) for each in self._shards()]

    def write(self, ids: Iterable[str], time: float) -> None:
        """Store a new revision of each marker.

        Args:
            ids: the markers' ids.
            time: seconds since 1970.

        Raises:
            StoreError: the store failed.
        """
        documents = [_successor(id_, self._newest(id_)) | {"time": time} for id_ in ids]
        # CouchDB updates a deleted document only in this way, in which it replicates. It then
        # answers with the documents that it has not stored.
        body = {"docs": documents, "new_edits": False}
        answer = self._database.write("POST", "_bulk_docs", timeout=TIMEOUT, body=body).content
        if not isinstance(answer, list) or any("error" in row for row in answer):
            raise StoreUnavailable("CouchDB did not store the markers of this region")

    def times(self, ids: Iterable[str]) -> list[float | None]:
        """Return the time in each marker, None for one that has not arrived here.

        Raises:
            StoreUnavailable: the markers could not be read.
        """
        return [_time_in(self._newest(id_)) for id_ in ids]

    def _newest(self, id_: str) -> Document | None:
        leaves = self._leaves.all_leaves(id_, timeout=TIMEOUT)
        return max(leaves, key=lambda leaf: rank(leaf["_rev"]), default=None)

    def _shards(self) -> list[Range]:
        if not self._database.is_modern(TIMEOUT):
            return [WHOLE]
        answer = self._database.ask("GET", "_shards", timeout=TIMEOUT, required_key="shards")
        if not answer["shards"]:
            raise StoreUnavailable("CouchDB names no shards")
        bounds = [text.split("-") for text in sorted(answer["shards"])]
        return [(int(low, 16), int(high, 16)) for low, high in bounds]


def marker_id(region: str, shard: Range) -> str:
    """Return the id of a region's marker in a shard.

    CouchDB chooses the shard of a document by the CRC-32 checksum of its id.
    """
    low, high = shard
    ids = (f"{PREFIX}{region}:{number}" for number in count())
    return next(id_ for id_ in ids if low <= crc32(id_.encode()) <= high)


def _successor(id_: str, newest: Document | None) -> Document:
    """Return the next revision of a marker.

    Processes that write one at once write the same revision. Rival revisions would stay, because
    those of a deleted document cannot be deleted.
    """
    revision = "" if newest is None else newest["_rev"]
    generation, parent = rank(revision)
    digest = hashlib.sha256(f"{id_} {revision}".encode()).hexdigest()[:32]
    ids = [digest, parent] if parent else [digest]
    return {"_id": id_, "_deleted": True, "_revisions": {"start": generation + 1, "ids": ids}}


def _time_in(marker: Document | None) -> float | None:
    match marker:
        case {"time": float() | int() as time}:
            return float(time)
        case _:
            return None
