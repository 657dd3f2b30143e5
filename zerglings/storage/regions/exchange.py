"""Finds out how far a database has been replicated between this region and another.

CouchDB stores the position of each replication as a local document of the same id in its source and
its target. This region's own replications are known by their ids; all others between the two
databases are taken for the peer's, whose source is this region.

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

SILENCE_LIMIT = 10.0
"""Seconds after which a region that does not answer is given up."""

POLL_SECONDS = 2.0

NOTHING = "0"
"""The position of a replication that has not stored any yet."""

EMPTY = "no replication"

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
        self._wait(self._local, self._has_sent, f"{self._name} has not replicated this region")
        self._wait(self._peer, self._has_received, f"this region has not replicated {self._name}")

    def _wait(self, source: Database, has_reached: Callable[[str], bool], failure: str) -> None:
        end = time.monotonic() + self._limit
        silent_since: float | None = None
        wanted: str | None = None
        while True:
            problem = failure
            try:
                wanted = wanted or _last_position(source)
                if has_reached(wanted):
                    return
                silent_since = None
            except StoreUnavailable as error:
                problem = f"{failure}, as far as is known: {error}"
                silent_since = silent_since or time.monotonic()
            now = time.monotonic()
            if now >= end or (silent_since is not None and now - silent_since >= SILENCE_LIMIT):
                raise PeerBehind(problem)
            self._pause(POLL_SECONDS)

    def _has_sent(self, wanted: str) -> bool:
        others = self._positions()
        others.pop(self._own_checkpoint(), None)
        return any(_is_reached(self._local, position, wanted) for position in others.values())

    def _has_received(self, wanted: str) -> bool:
        position = self._positions().get(self._own_checkpoint(), NOTHING)
        return _is_reached(self._peer, position, wanted)

    def _own_checkpoint(self) -> str:
        """Return the id of the local document of this region's replication from the peer."""
        job = self._local.ask_server(
            *("_scheduler", "docs", REPLICATOR, f"{PREFIX}{self._local.name}:{self._name}"),
            timeout=CALL_TIMEOUT,
            required_key="id",
        )
        return f"_local/{job['id']}".removesuffix("+continuous")

    def _positions(self) -> dict[str, str]:
        """Return the positions on which both ends of a replication agree, by document id."""
        here, there = _checkpoints(self._local), _checkpoints(self._peer)
        return {
            id_: checkpoint[1] for id_, checkpoint in here.items() if there.get(id_) == checkpoint
        } | {EMPTY: NOTHING}


def _last_position(database: Database) -> str:
    answer = database.ask(
        *("GET", "_changes"),
        timeout=CALL_TIMEOUT,
        params={"since": "now", "limit": "1"},
        required_key="last_seq",
    )
    return str(answer["last_seq"])


def _is_reached(source: Database, position: str, wanted: str) -> bool:
    """Whether a replication at ``position`` has everything up to ``wanted``.

    A number in a position adds up those of all shards. So it decides only for a single shard;
    otherwise there must be no change after the position.
    """
    after = _changes_after(source, position)
    if after == 0:
        return True
    is_later = _number(position) >= _number(wanted)
    return is_later and _shards(source) == 1 and after <= _changes_after(source, wanted)


def _number(position: str) -> int:
    return int(position.partition("-")[0])


def _shards(database: Database) -> int:
    info = database.ask("GET", timeout=CALL_TIMEOUT, required_key="cluster")
    return int(info["cluster"]["q"])


def _checkpoints(database: Database) -> dict[str, tuple[str, str]]:
    """Return session and position of each replication that the database takes part in."""
    answer = database.ask(
        *("GET", "_local_docs"),
        timeout=CALL_TIMEOUT,
        params={"include_docs": "true"},
        required_key="rows",
    )
    documents = [row["doc"] for row in answer["rows"] if isinstance(row.get("doc"), dict)]
    return {
        str(document["_id"]): (str(document.get("session_id")), str(document["source_last_seq"]))
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
