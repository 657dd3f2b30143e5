"""Finds out how far a database has been replicated between this region and another.

CouchDB stores a checkpoint of each replication in its source and its target. This region's own
replication is known by its id; of all others between the two databases, the one with the newest
checkpoint is taken for the peer's, whose source is this region.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from typing import Literal

from zerglings.storage.base import StoreUnavailable
from zerglings.storage.couchdb.database import Database
from zerglings.storage.regions.changes import ChangeLog
from zerglings.storage.regions.checkpoints import START, Checkpoint, checkpoints, is_older_copy
from zerglings.storage.regions.delivery import Delivery
from zerglings.storage.regions.jobs import CALL_TIMEOUT, checkpoint_id, job_id

Part = Literal["zerglings", "history"]
"""One of the two databases, which are replicated independently of each other."""

WAIT_LIMIT = 180.0
"""Seconds to wait for each direction."""

SILENCE_LIMIT = 10.0
"""Seconds after which a region that does not answer is given up."""

POLL_SECONDS = 1.0


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
        return job_id(self._local.name, self.peer_name)

    def complete(self) -> None:
        """Wait until the peer has this region's changes, and then this region has the peer's.

        Only changes that were made before each wait count. Afterwards this region has everything
        that the peer wrote before it knew what this region had written before the call.

        Raises:
            PeerBehind: that did not happen in time, one of the two cannot be read, or there is a
                fault.
        """
        here, there = ChangeLog(self._local), ChangeLog(self._peer)
        failure = f"{self.peer_name} has not replicated this region"
        self._wait(Delivery(here, there), self._sent, failure)
        failure = f"this region has not replicated {self.peer_name}"
        self._wait(Delivery(there, here), self._received, failure)

    def fault(self) -> str | None:
        """Return a sentence if changes are lost although CouchDB reports no error.

        That is so if one of the two databases was replaced by an older copy of its files, or if the
        peer is this region itself.

        Raises:
            StoreUnavailable: one of the two cannot be read.
        """
        common = self._checkpoints()
        if _server_id(self._local) == _server_id(self._peer):
            return (
                f"{self.peer_name} has the uuid of this CouchDB: COUCHDB_PEERS lists this region "
                "itself, or both CouchDBs were given one uuid"
            )
        own = self._own_checkpoint_id()
        if own in common and is_older_copy(self._peer, self._local, own):
            return self._restored(f"in {self.peer_name}", "this region misses changes")
        newest = _newest(common, but=own)
        if newest is not None and is_older_copy(self._local, self._peer, newest):
            return self._restored("here", f"{self.peer_name} misses changes")
        return None

    def _restored(self, where: str, consequence: str) -> str:
        return (
            f"{self._local.name} was restored {where} from an older copy of its files, so "
            f"{consequence}: see 'Restore a region' in docs/regions.md"
        )

    def _wait(
        self, delivery: Delivery, agreed_position: Callable[[], str | None], failure: str
    ) -> None:
        end = time.monotonic() + self._limit
        silent_since: float | None = None
        is_compared = False
        position = START
        while True:
            try:
                if not is_compared and (fault := self.fault()):
                    raise PeerBehind(fault)
                is_compared = True
                position = agreed_position() or position
                if delivery.is_complete(position):
                    return
                problem = f"{failure}: {delivery.outstanding()}"
                silent_since = None
            except StoreUnavailable as error:
                problem = f"cannot be compared with peer {self.peer_name}: {error}"
                silent_since = silent_since or time.monotonic()
            now = time.monotonic()
            if now >= end or (silent_since is not None and now - silent_since >= SILENCE_LIMIT):
                raise PeerBehind(problem)
            self._pause(POLL_SECONDS)

    def _sent(self) -> str | None:
        """Return the position in this region's changes up to which the peer has them."""
        common = self._checkpoints()
        newest = _newest(common, but=self._own_checkpoint_id())
        return None if newest is None else _agreed(*common[newest])

    def _received(self) -> str | None:
        """Return the position in the peer's changes up to which this region has them."""
        own = self._checkpoints().get(self._own_checkpoint_id())
        return None if own is None else _agreed(*own)

    def _own_checkpoint_id(self) -> str:
        return checkpoint_id(self._local, self.peer_name)

    def _checkpoints(self) -> dict[str, tuple[Checkpoint, Checkpoint]]:
        """Return the checkpoints of all replications between the two: here, and in the peer."""
        here, there = checkpoints(self._local), checkpoints(self._peer)
        return {id_: (here[id_], there[id_]) for id_ in here.keys() & there.keys()}


def _newest(common: dict[str, tuple[Checkpoint, Checkpoint]], *, but: str) -> str | None:
    """Return the id of the checkpoints that were written last at either end, without one id."""
    ids = common.keys() - {but}
    return max(ids, key=lambda id_: max(each.written for each in common[id_]), default=None)


def _agreed(source: Checkpoint, target: Checkpoint) -> str | None:
    """Return the position on which both ends agree; None also while CouchDB is writing them."""
    return source.position if source == target else None


def _server_id(database: Database) -> object:
    """Return the server's uuid; something that equals nothing if a gateway does not show it."""
    with suppress(StoreUnavailable):
        welcome = database.ask_server(timeout=CALL_TIMEOUT, required_key="uuid")
        return welcome["uuid"]
    return object()
