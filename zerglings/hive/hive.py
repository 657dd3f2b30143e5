"""The hive: the entry point of the use cases spawn, command, read, list and kill.

All requests reach the store through it. Concurrent operations share store calls, in one queue for
mutations and one for reads. Independent of HTTP.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import TypeVar

from django.conf import settings

from zerglings.domain.document_format import Summary, decode_summary, is_zergling_id
from zerglings.domain.pose import Pose
from zerglings.domain.zergling import CommandRequest, Zergling
from zerglings.hive.bulk import BulkMutations
from zerglings.hive.change_events import ChangeBatch, ChangeEventReader
from zerglings.hive.group_commit import GroupCommit, QueueFull, admit_all
from zerglings.hive.idempotency import KeyRegister
from zerglings.hive.mutations import (
    CommandMutation,
    Mutation,
    NoSuchZergling,
    Precondition,
    SpawnMutation,
    new_id,
)
from zerglings.hive.reads import PendingRead, ReadBatch
from zerglings.hive.write_batch import WriteBatch
from zerglings.repository.archive import TAIL, Archive
from zerglings.repository.counters import QueueMetrics
from zerglings.repository.histories import History, HistoryReader
from zerglings.repository.reading import Reader, decode_or_skip
from zerglings.repository.retry_budget import GRACE, STORE_CALL_TIMEOUT
from zerglings.storage import configured_store
from zerglings.storage.base import PAGE_LIMIT, CallRejected, Store, StoreUnavailable
from zerglings.storage.breaker import Breaker

logger = logging.getLogger(__name__)

BATCH_LIMIT = 128
"""Maximum number of operations in a batch. Each waits for its whole batch, and CouchDB is no faster
with larger ones."""

QUEUE_LIMIT = 1000
"""Maximum number of operations in each queue of a process. Further ones fail at once with
``StoreUnavailable``."""

THREADS_PER_QUEUED_OPERATION = 3
"""Each queue may hold one operation for this many threads that do not serve streams. So both queues
together hold the operations of two thirds of these threads. The rest are for batches and probes."""

PROBE_TIMEOUT = 1.0
"""Seconds for a health check of the store."""

SMALLEST_PAGE = 100
"""Minimum number of documents to read with one call, because many may be of dead zerglings."""


@dataclass(frozen=True, slots=True)
class Listing:
    """Living zerglings in id order. ``after`` is the last id if there are more, else None."""

    zerglings: list[Summary]
    after: str | None


class Hive:
    """All zerglings of one store. Thread-safe.

    Every method may raise ``StoreUnavailable`` (nothing was changed). Methods that write may also
    raise ``OutcomeUnknown`` (the mutation may or may not have been stored) and
    ``TooMuchContention`` (other writers won every race until the deadline; nothing was changed).

    ``bulk`` executes many mutations for one client.

    >>> hive = Hive(store)  # doctest: +SKIP
    >>> zergling = hive.spawn(Pose(0, 0, "N"))  # doctest: +SKIP
    >>> hive.command(zergling.id, CommandRequest.command("MR")).pose  # doctest: +SKIP
    Pose(x=0, y=1, facing='E')

    Args:
        store: holds the zerglings.
        tail: words that stay in a document when its history is shortened.
        threads: how many threads may call the hive at once, if known. It limits the queues.
        breaker: the circuit breaker in front of the store, if any. While it is open, new and queued
            operations fail at once.
        is_region: whether other regions send zerglings, of which a part may still be on its way.
    """

    def __init__(
        self,
        store: Store,
        tail: int = TAIL,
        threads: int | None = None,
        breaker: Breaker | None = None,
        *,
        is_region: bool = False,
    ) -> None:
        queue_limit = QUEUE_LIMIT
        if threads is not None:
            queue_limit = max(1, min(QUEUE_LIMIT, threads // THREADS_PER_QUEUED_OPERATION))
        admit = admit_all if breaker is None else breaker.check
        self._store = store
        archive = Archive(store.history, tail)
        self._reader = Reader(store, archive)
        self._histories = HistoryReader(archive, is_region=is_region)
        self._change_reader = ChangeEventReader(store, self._reader)
        self._mutations = GroupCommit[Mutation](
            WriteBatch(store, self._reader, archive),
            batch_limit=BATCH_LIMIT,
            queue_limit=queue_limit,
            grace=GRACE,
            monitor=QueueMetrics("changes"),
            admit=admit,
        )
        self.bulk = BulkMutations(self._mutations, KeyRegister(store.history), self._reader.mover)
        self._reads = GroupCommit[PendingRead](
            ReadBatch(self._reader),
            batch_limit=BATCH_LIMIT,
            queue_limit=queue_limit,
            grace=GRACE,
            monitor=QueueMetrics("looks"),
            admit=admit,
        )
        if breaker is not None:
            breaker.when_open(self._reject_queued)

    def spawn(self, pose: Pose, key: str | None = None) -> Zergling:
        """Store a new zergling and return it. A repeated key returns the first request's zergling.

        Args:
            pose: where it spawns.
            key: the client's idempotency key, if any.

        Raises:
            KeyReused: the key was used with another pose.
            NoSuchZergling: the key was used before, and that zergling is dead.
        """
        newborn = Zergling.spawned(new_id(key), pose)
        return self._reader.mover.retry_after_moving(
            lambda: _run(self._mutations, SpawnMutation(newborn, is_keyed=key is not None))
        )

    def get(self, zergling_id: str) -> Zergling:
        """Return a living zergling.

        Raises:
            NoSuchZergling: no living zergling has this id.
        """
        if not is_zergling_id(zergling_id):
            raise NoSuchZergling
        return _run(self._reads, PendingRead(zergling_id))

    def command(
        self, zergling_id: str, request: CommandRequest, precondition: Precondition | None = None
    ) -> Zergling:
        """Apply a request to a zergling exactly once, and return the zergling after it.

        Raises:
            NoSuchZergling: no living zergling has this id.
            OutOfBounds: a step would leave the grid.
            PreconditionFailed: ``precondition`` does not hold for the current revision.
            KeyReused: the request's key was used with other commands.
        """
        if not is_zergling_id(zergling_id):
            raise NoSuchZergling
        return self._reader.mover.retry_after_moving(
            lambda: _run(self._mutations, CommandMutation(zergling_id, request, precondition))
        )

    def kill(self, zergling_id: str, precondition: Precondition | None = None) -> None:
        """Kill a zergling permanently. Raises the same errors as ``command``."""
        self.command(zergling_id, CommandRequest.death(time.time()), precondition)

    def list(self, after: str | None = None, limit: int = PAGE_LIMIT) -> Listing:
        """Return up to ``limit`` living zerglings with ids greater than ``after``, in id order."""
        found: list[Summary] = []
        for page in self.pages(after, max(limit + 1, SMALLEST_PAGE)):
            found += page
            if len(found) > limit:
                return Listing(found[:limit], found[limit - 1].id)
        return Listing(found, None)

    def pages(
        self, after: str | None = None, size: int = PAGE_LIMIT
    ) -> Iterator[Sequence[Summary]]:
        """Yield all living zerglings with ids greater than ``after``, in id order and page by page.

        Args:
            after: an id, or None to start with the first zergling.
            size: documents to read with one call. A page holds at most that many zerglings, and may
                be empty.
        """
        more = True
        while more:
            page = self._reader.page(after, min(size, PAGE_LIMIT))
            seen = [
                found
                for document in page.documents
                if (found := decode_or_skip(decode_summary, document))
            ]
            after, more = page.after, page.after is not None
            del page  # frees the documents while a slow client reads the list
            yield seen

    def history(self, zergling_id: str, offset: int = 0, limit: int | None = None) -> History:
        """Return up to ``limit`` words of a living zergling's history from number ``offset`` on.

        Iterating over the parts reads them from the store, and may raise ``StoreUnavailable``.

        Raises:
            NoSuchZergling: no living zergling has this id.
            MissingChunk: a chunk is damaged, or missing although there is no other region.
        """
        return self._histories.read(self.get(zergling_id), offset, limit)

    def changes_after(
        self, since: str | None, limit: int = PAGE_LIMIT, wait: float = 0.0
    ) -> ChangeBatch:
        """Return the change events of up to ``limit`` zerglings after a position.

        Args:
            since: the position of an earlier batch, or None for the current position without
                events.
            limit: maximum number of zerglings.
            wait: seconds to wait for an event if there is none yet.

        Raises:
            UnknownPosition: the position is invalid or no longer known.
        """
        return self._change_reader.changes_after(
            since, limit, timeout=STORE_CALL_TIMEOUT, wait=wait
        )

    def is_healthy(self) -> bool:
        """Whether the store answers. A failure is logged."""
        try:
            self._store.ping(timeout=PROBE_TIMEOUT)
        except StoreUnavailable as error:
            logger.warning("The store does not answer: %s", error)
            return False
        return True

    def check_ready(self) -> None:
        """Return if the store can serve commands.

        Raises:
            StoreUnavailable: it cannot. The text says why.
        """
        self._store.check_ready(timeout=PROBE_TIMEOUT)

    def missing_documents(self) -> int | None:
        """Return the number of documents missing from copies; None if unknown or with one copy."""
        try:
            parts = [
                store.missing_documents(timeout=PROBE_TIMEOUT)
                for store in (self._store, self._store.history)
            ]
        except StoreUnavailable:
            return None
        known = [number for number in parts if number is not None]
        return sum(known) if known else None

    def _reject_queued(self) -> None:
        for queue in (self._mutations, self._reads):
            queue.reject_queued(
                CallRejected("the store stopped answering while this request waited")
            )


AnyOperation = TypeVar("AnyOperation", Mutation, PendingRead)


def _run(queue: GroupCommit[AnyOperation], operation: AnyOperation) -> Zergling:
    """Queue an operation, wait for its batch, and return its result."""
    try:
        queue.run([operation])
    except QueueFull as error:
        raise StoreUnavailable("too many calls wait for the store") from error
    return operation.result()


@cache
def configured_hive() -> Hive:
    """Return the hive of this process, over the configured store."""
    threads = settings.OVERMIND_THREADS - settings.OVERMIND_STREAMS
    store = configured_store()
    return Hive(
        store,
        tail=settings.OVERMIND_HISTORY_TAIL,
        threads=threads,
        breaker=store.breaker,
        is_region=bool(settings.OVERMIND_REGION),
    )
