"""The heartbeats of regions, which replication brings to the others.

A heartbeat consists of a document in the history database, which says that the region exists, and
of the region's markers in both databases.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from zerglings.documents import Document
from zerglings.storage.base import Conflict, Store, StoreError
from zerglings.storage.couchdb.client import CouchDBClient
from zerglings.storage.couchdb.database import Database
from zerglings.storage.couchdb.store import database_names
from zerglings.storage.regions.markers import PREFIX as PREFIX
from zerglings.storage.regions.markers import TIMEOUT, Markers

PERIOD = 10.0
"""Seconds between two heartbeats of a region."""

YOUNGEST_REPLACED = 0.7 * PERIOD
"""Age in seconds from which a heartbeat is replaced. It is less than the period, because processes
do not look at exactly equal times."""

MAX_REGIONS = 100

_ID = re.compile(rf"{PREFIX}([a-z0-9-]{{1,63}})")


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """The document of a heartbeat.

    Attributes:
        region: the region's name.
        time: when it was written, in seconds since 1970, by the region's own clock.
        zerglings: the ids of the region's markers in the main database.
        history: those in the history database.
    """

    region: str
    time: float
    zerglings: Sequence[str] = ()
    history: Sequence[str] = ()

    @classmethod
    def decode(cls, document: Document) -> Heartbeat | None:
        """Return the heartbeat in a document, None if it holds none that this version can read."""
        name = _ID.fullmatch(document["_id"])
        match document:
            case {
                "time": float() | int() as time,
                "markers": {"zerglings": [_, *_] as zerglings, "history": [_, *_] as history},
            } if name and all(_is_marker_of(name[1], id_) for id_ in (*zerglings, *history)):
                return cls(name[1], float(time), zerglings, history)
            case _:
                return None

    def encode(self) -> Document:
        """Return the document without a revision."""
        return {
            "_id": document_id(self.region),
            "time": self.time,
            "markers": {"zerglings": self.zerglings, "history": self.history},
        }


@dataclass(frozen=True, slots=True)
class Arrived:
    """What has arrived here from another region.

    Attributes:
        region: the region's name.
        zerglings: the times in its markers in the main database, None for one that has not arrived.
        history: those in the history database.
    """

    region: str
    zerglings: Sequence[float | None]
    history: Sequence[float | None]


def document_id(region: str) -> str:
    """Return the id of the document in a region's heartbeat."""
    return f"{PREFIX}{region}"


class Heartbeats:
    """The heartbeats in the databases of one region. Every process of it may write them.

    Args:
        region: the name of this region.
        store: the store of the history database.
        client: connects to the same CouchDB.
        database: the name of the main database.
    """

    def __init__(self, region: str, store: Store, client: CouchDBClient, database: str) -> None:
        self.region = region
        self._store = store
        self._client = client
        self._main, self._history = (
            Markers(Database(client, name)) for name in database_names(database)
        )

    def write(self, now: float) -> None:
        """Write the heartbeat of this region, unless another process has written one lately.

        On a cluster, two processes can write rival documents at once. The newest is kept.

        Args:
            now: the time in seconds since 1970.

        Raises:
            StoreError: the store failed.
        """
        id_ = document_id(self.region)
        rivals = self._store.get_many([id_], timeout=TIMEOUT).get(id_, [])
        rivals.sort(key=_time_of)
        newest = rivals.pop() if rivals else None
        # After a step of the clock, the stored time may lie in the future.
        if newest is None or abs(now - _time_of(newest)) >= YOUNGEST_REPLACED:
            self._replace(newest, now)
        for rival in rivals:
            self._put({"_id": id_, "_rev": rival["_rev"], "_deleted": True})

    def arrived(self) -> list[Arrived]:
        """Return what has arrived here of each other region.

        Raises:
            StoreError: the store failed.
        """
        page = self._store.page(PREFIX, MAX_REGIONS, until=f"{PREFIX}~", timeout=TIMEOUT)
        heartbeats = [Heartbeat.decode(document) for document in page.documents]
        return [
            Arrived(
                each.region, self._main.times(each.zerglings), self._history.times(each.history)
            )
            for each in heartbeats
            if each is not None and each.region != self.region
        ]

    def close(self) -> None:
        """Close the connections of ``client``."""
        self._client.close()

    def _replace(self, newest: Document | None, now: float) -> None:
        heartbeat = Heartbeat(
            self.region, now, self._main.ids(self.region), self._history.ids(self.region)
        )
        document = heartbeat.encode()
        if newest is not None:
            document["_rev"] = newest["_rev"]
        if self._put(document):
            self._main.write(heartbeat.zerglings, now)
            self._history.write(heartbeat.history, now)

    def _put(self, document: Document) -> bool:
        """Store a document, and return whether that was done; another process may be faster."""
        (result,) = self._store.put_many([document], timeout=TIMEOUT)
        if isinstance(result, StoreError) and not isinstance(result, Conflict):
            raise result
        return not isinstance(result, Conflict)


def _is_marker_of(region: str, id_: object) -> bool:
    return isinstance(id_, str) and re.fullmatch(f"{PREFIX}{region}:[0-9]+", id_) is not None


def _time_of(document: Document) -> float:
    heartbeat = Heartbeat.decode(document)
    return 0.0 if heartbeat is None else heartbeat.time
