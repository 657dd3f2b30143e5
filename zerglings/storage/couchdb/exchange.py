"""Finds out how far a database has been replicated between this region and another.

CouchDB stores the position of each replication as a local document of the same id in its source and
its target. The source counts the changes after that position, which the target lacks. A source that
is asked with another database's position counts all of its changes, so the direction of a
replication need not be known.

See https://docs.couchdb.org/en/stable/replication/protocol.html#upload-batch-of-changed-documents
for these local documents.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable

from zerglings.storage.base import NotBootstrapped, StoreUnavailable
from zerglings.storage.couchdb.database import Database

REPLICATOR = "_replicator"

PREFIX = "overmind:"
"""Start of the ids of the replications that bootstrap sets up: ``overmind:<database>:<peer>``."""

WAIT_LIMIT = 180.0
"""Seconds to wait for each direction. A replication stores its position every 30 seconds."""

POLL_SECONDS = 2.0

CALL_TIMEOUT = 10.0
"""Timeout in seconds of each request."""


def replicating_peers(replicator: Database, database: str) -> set[str]:
    """Return the names of the peers from which bootstrap has had a database replicated.

    Args:
        replicator: the database ``_replicator``, with a server admin's account.
        database: the name of the replicated database.

    Bootstrap does not set up any before CouchDB 2, so such servers are not asked.

    Raises:
        StoreUnavailable: the replications cannot be read.
    """
    if not replicator.is_modern(CALL_TIMEOUT):
        return set()
    start = f"{PREFIX}{database}:"
    params = {"startkey": json.dumps(start), "endkey": json.dumps(f"{start}\ufff0")}
    try:
        answer = replicator.ask(
            *("GET", "_all_docs"), timeout=CALL_TIMEOUT, params=params, required_key="rows"
        )
    except NotBootstrapped:
        return set()
    return {str(row["id"]).removeprefix(start) for row in answer["rows"]}


class PeerBehind(Exception):
    """A region has not replicated all of another's changes, or that cannot be found out."""


class Exchange:
    """The replication of one database between this region and a peer, in both directions.

    Args:
        peer_name: the peer's name, for messages.
        local: the database of this region.
        peer: the database of the same name in the other region.
        limit: seconds to wait for each direction.
        pause: sleeps for the given seconds.
    """

    def __init__(
        self,
        peer_name: str,
        local: Database,
        peer: Database,
        *,
        limit: float = WAIT_LIMIT,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        self._name = peer_name
        self._local = local
        self._peer = peer
        self._limit = limit
        self._pause = pause

    def complete(self) -> None:
        """Wait until the peer has this region's changes, and then this region has the peer's.

        Only changes that were made before each wait count. Afterwards this region has everything
        that the peer wrote before it knew what this region had written before the call.

        Raises:
            PeerBehind: that did not happen in time, or one of the two cannot be read.
        """
        try:
            self._wait(self._local, self._peer, f"{self._name} has not replicated this region")
            self._wait(self._peer, self._local, f"this region has not replicated {self._name}")
        except StoreUnavailable as error:
            raise PeerBehind(f"the replication with {self._name} is unknown: {error}") from error

    def _wait(self, source: Database, target: Database, failure: str) -> None:
        wanted = _last_position(source)
        end = time.monotonic() + self._limit
        while (missing := _missing(source, target, wanted)) > 0:
            if time.monotonic() >= end:
                raise PeerBehind(f"{failure}: {missing} changes are missing")
            self._pause(POLL_SECONDS)


def _last_position(database: Database) -> str:
    answer = database.ask(
        *("GET", "_changes"),
        timeout=CALL_TIMEOUT,
        params={"since": "now", "limit": "1"},
        required_key="last_seq",
    )
    return str(answer["last_seq"])


def _missing(source: Database, target: Database, wanted: str) -> int:
    """Return how many of the source's changes up to the position ``wanted`` the target lacks."""
    positions = ["0", *_positions(source, target)]
    return min(_changes_after(source, each) for each in positions) - _changes_after(source, wanted)


def _positions(source: Database, target: Database) -> list[str]:
    """Return the positions of all replications between two databases, in either direction."""
    ends = [_checkpoints(source), _checkpoints(target)]
    return [position for id_, position in ends[0].items() if id_ in ends[1]]


def _checkpoints(database: Database) -> dict[str, str]:
    answer = database.ask(
        *("GET", "_local_docs"),
        timeout=CALL_TIMEOUT,
        params={"include_docs": "true"},
        required_key="rows",
    )
    documents = [row["doc"] for row in answer["rows"] if isinstance(row.get("doc"), dict)]
    return {
        str(document["_id"]): str(document["source_last_seq"])
        for document in documents
        if "source_last_seq" in document
    }


def _changes_after(database: Database, position: str) -> int:
    answer = database.ask(
        *("GET", "_changes"),
        timeout=CALL_TIMEOUT,
        params={"since": position, "limit": "1"},
        required_key="pending",
    )
    return len(answer["results"]) + int(answer["pending"])
