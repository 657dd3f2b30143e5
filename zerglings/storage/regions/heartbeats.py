"""The heartbeats of regions: a document of each region, which replication brings to the others.

A heartbeat has the time and the latest change of the main database at that time. The documents are
in the history database: in the main database, the original service would treat them as zerglings.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from zerglings.documents import Document
from zerglings.storage.base import Conflict, Store, StoreError
from zerglings.storage.regions.changes import Change, ChangeLog

PREFIX = "region:"
"""The prefix of the documents' ids; the region's name follows."""

PERIOD = 10.0
"""Seconds between two heartbeats of a region."""

YOUNGEST_REPLACED = 0.7 * PERIOD
"""Age in seconds from which a heartbeat is replaced. It is less than the period, because processes
do not look at exactly equal times."""

MAX_REGIONS = 100

TIMEOUT = 2.0
"""Timeout in seconds of each call on the store."""

_ID = re.compile(rf"{PREFIX}([a-z0-9-]{{1,63}})")
_REVISION = re.compile(r"[1-9][0-9]*-[0-9a-f]{32}")


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """What a region tells the others from time to time.

    Attributes:
        region: the region's name.
        time: when it was written, in seconds since 1970, by the region's own clock.
        latest: the latest change of the region's main database, None if that was empty.
    """

    region: str
    time: float
    latest: Change | None

    @classmethod
    def decode(cls, document: Document) -> Heartbeat | None:
        """Return the heartbeat in a document, None if it holds none that this version can read."""
        name = _ID.fullmatch(document["_id"])
        latest: Change | None = None
        match document:
            case {
                "time": float() | int() as time,
                "latest": {"id": str(id_), "rev": str(revision)},
            } if _REVISION.fullmatch(revision):
                latest = Change(id_, revision)
            case {"time": float() | int() as time, "latest": None}:
                pass
            case _:
                return None
        return cls(name[1], float(time), latest) if name else None

    def encode(self) -> Document:
        """Return the document without a revision."""
        latest = self.latest
        return {
            "_id": document_id(self.region),
            "time": self.time,
            "latest": latest and {"id": latest.document_id, "rev": latest.revision},
        }


def document_id(region: str) -> str:
    """Return the id of the document that holds a region's heartbeat."""
    return f"{PREFIX}{region}"


def read_heartbeats(history: Store) -> list[Heartbeat]:
    """Return the heartbeats of all regions that have arrived here, this region's own included.

    Raises:
        StoreError: the store failed.
    """
    page = history.page(PREFIX, MAX_REGIONS, until=f"{PREFIX}~", timeout=TIMEOUT)
    return [found for each in page.documents if (found := Heartbeat.decode(each)) is not None]


class HeartbeatWriter:
    """Writes the heartbeat of this region. Every process of the region may have a writer.

    Args:
        region: the name of this region.
        history: the store of the history database.
        changes: the changes of the main database.
    """

    def __init__(self, region: str, history: Store, changes: ChangeLog) -> None:
        self._region = region
        self._history = history
        self._changes = changes

    def write(self, now: float) -> None:
        """Write a heartbeat, unless another process has written one lately.

        On a cluster, two processes can write rival revisions at once. The newest is kept.

        Args:
            now: the time in seconds since 1970.

        Raises:
            StoreError: the store failed.
        """
        id_ = document_id(self._region)
        rivals = self._history.get_many([id_], timeout=TIMEOUT).get(id_, [])
        rivals.sort(key=_time_of)
        newest = rivals.pop() if rivals else None
        # After a step of the clock, the stored time may lie in the future.
        if newest is None or abs(now - _time_of(newest)) >= YOUNGEST_REPLACED:
            self._replace(newest, now)
        for rival in rivals:
            self._put({"_id": id_, "_rev": rival["_rev"], "_deleted": True})

    def _replace(self, newest: Document | None, now: float) -> None:
        latest = self._changes.latest(timeout=TIMEOUT)
        document = Heartbeat(self._region, now, latest).encode()
        if newest is not None:
            document["_rev"] = newest["_rev"]
        self._put(document)

    def _put(self, document: Document) -> None:
        """Store a document, unless another process was faster."""
        (result,) = self._history.put_many([document], timeout=TIMEOUT)
        if isinstance(result, StoreError) and not isinstance(result, Conflict):
            raise result


def _time_of(document: Document) -> float:
    heartbeat = Heartbeat.decode(document)
    return 0.0 if heartbeat is None else heartbeat.time
