"""Finds out how far a database has been replicated between this region and another.

CouchDB stores a checkpoint of each replication in its source and its target. This region's own
replications are known by their ids; all others between the two databases are taken for the peer's,
whose source is this region.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from contextlib import suppress

from zerglings.storage.base import NotBootstrapped, StoreUnavailable
from zerglings.storage.couchdb.database import Database
from zerglings.storage.regions.checkpoints import (
    CALL_TIMEOUT,
    START,
    changes_after,
    checkpoints,
    is_older_copy,
    last_position,
    number_of,
)

REPLICATOR = "_replicator"

PREFIX = "overmind:"
"""Start of the ids of the replications that bootstrap sets up: ``overmind:<database>:<peer>``."""

WAIT_LIMIT = 180.0
"""Seconds to wait for each direction. A replication stores its position every 30 seconds."""

SILENCE_LIMIT = 10.0
"""Seconds after which a region that does not answer is given up."""

POLL_SECONDS = 2.0

EMPTY = "no replication"


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
        self.peer_name = peer_name
        self._local = local
        self._peer = peer
        self._limit = limit
        self._pause = pause

    @property
    def replication(self) -> str:
        """The id of the document of this region's replication from the peer."""
        return f"{PREFIX}{self._local.name}:{self.peer_name}"

    def complete(self) -> None:
        """Wait until the peer has this region's changes, and then this region has the peer's.

        Only changes that were made before each wait count. Afterwards this region has everything
        that the peer wrote before it knew what this region had written before the call.

        Raises:
            PeerBehind: that did not happen in time, one of the two cannot be read, or there is a
                fault.
        """
        self._wait(self._local, self._has_sent, f"{self.peer_name} has not replicated this region")
        failure = f"this region has not replicated {self.peer_name}"
        self._wait(self._peer, self._has_received, failure)

    def fault(self) -> str | None:
        """Return a sentence if changes are lost although CouchDB reports no error.

        That is so if one of the two databases was replaced by an older copy of its files, or if the
        peer is this region itself.

        Raises:
            StoreUnavailable: one of the two cannot be read.
        """
        here, there = checkpoints(self._local), checkpoints(self._peer)
        if _server_id(self._local) == _server_id(self._peer):
            return (
                f"{self.peer_name} has the uuid of this CouchDB: COUCHDB_PEERS lists this region "
                "itself, or both CouchDBs were given one uuid"
            )
        own = self._own_checkpoint()
        for id_ in here.keys() & there.keys():
            if id_ == own and is_older_copy(self._peer, self._local, id_):
                return self._restored(f"in {self.peer_name}", "this region misses changes")
            if id_ != own and is_older_copy(self._local, self._peer, id_):
                return self._restored("here", f"{self.peer_name} misses changes")
        return None

    def _restored(self, where: str, consequence: str) -> str:
        return (
            f"{self._local.name} was restored {where} from an older copy of its files, so "
            f"{consequence}: see 'Restore a region' in docs/regions.md"
        )

    def _wait(self, source: Database, has_reached: Callable[[str], bool], failure: str) -> None:
        end = time.monotonic() + self._limit
        silent_since: float | None = None
        wanted: str | None = None
        while True:
            problem = failure
            try:
                if fault := self.fault():
                    raise PeerBehind(fault)
                wanted = wanted or last_position(source)
                if has_reached(wanted):
                    return
                silent_since = None
            except StoreUnavailable as error:
                problem = f"cannot be compared with peer {self.peer_name}: {error}"
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
        position = self._positions().get(self._own_checkpoint(), START)
        return _is_reached(self._peer, position, wanted)

    def _own_checkpoint(self) -> str:
        """Return the id of the local document of this region's replication from the peer."""
        job = self._local.ask_server(
            *("_scheduler", "docs", REPLICATOR, self.replication),
            timeout=CALL_TIMEOUT,
            required_key="id",
        )
        return f"_local/{job['id']}".removesuffix("+continuous")

    def _positions(self) -> dict[str, str]:
        """Return the positions on which both ends of a replication agree, by document id."""
        here, there = checkpoints(self._local), checkpoints(self._peer)
        agreed = {id_: each.position for id_, each in here.items() if there.get(id_) == each}
        return agreed | {EMPTY: START}


def _server_id(database: Database) -> object:
    """Return the server's uuid; something that equals nothing if a gateway does not show it."""
    with suppress(StoreUnavailable):
        welcome = database.ask_server(timeout=CALL_TIMEOUT, required_key="uuid")
        return welcome["uuid"]
    return object()


def _is_reached(source: Database, position: str, wanted: str) -> bool:
    """Whether a replication at ``position`` has everything up to ``wanted``.

    A number in a position adds up those of all shards. So it decides only for a single shard;
    otherwise there must be no change after the position.
    """
    after = changes_after(source, position)
    if after == 0:
        return True
    is_later = number_of(position) >= number_of(wanted)
    return (
        is_later
        and source.cluster(CALL_TIMEOUT).get("q") == 1
        and after <= changes_after(source, wanted)
    )
