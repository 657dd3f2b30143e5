"""The use cases: spawn, command, read and kill zerglings over a store that may fail or be raced.

The only way to a store for whoever serves requests. Calls that arrive together share its round
trips: those that change zerglings on one way, those that only look on another. Knows nothing of
HTTP.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import takewhile
from typing import TypeVar

from django.conf import settings

from zerglings.domain.document import Summary, decode_summary, is_zergling_id
from zerglings.domain.zergling import CommandRequest, Pose, Zergling
from zerglings.hive.bulk import Swarm
from zerglings.hive.change_events import ChangeBatch, ChangeEventReader
from zerglings.hive.group_commit import GroupCommit, QueueFull, anybody
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
from zerglings.repository.counters import QueueWatch
from zerglings.repository.reading import Reader, decode_or_skip
from zerglings.repository.retry_budget import CALL_TIMEOUT, GRACE, RetryBudget
from zerglings.storage import configured_store
from zerglings.storage.base import (
    PAGE_LIMIT,
    NotAsked,
    Page,
    Store,
    StoreUnavailable,
)
from zerglings.storage.breaker import Breaker

logger = logging.getLogger(__name__)

BATCH_LIMIT = 128
"""Calls that share a flush at most: CouchDB gains nothing from more, and each waits for all."""

QUEUE_LIMIT = 1000
"""Calls of a process that may wait for a flush; one more is told at once to come back later."""

SHARE_OF_THREADS = 3
"""Each of the two queues may hold the third part of the threads that are not for streams, so that
both together leave some for probes."""

PROBE_TIMEOUT = 1.0
"""Seconds that a question after the store's health may wait."""

SMALLEST_PAGE = 100
"""Documents to read at once at least, as many of them may be of the dead."""


@dataclass(frozen=True, slots=True)
class Listing:
    """Some living zerglings in id order; ``after`` is the last id when there are more of them."""

    zerglings: list[Summary]
    after: str | None


@dataclass(frozen=True, slots=True)
class History:
    """Words of a zergling's history, in parts; ``after`` is the next one's number if there is."""

    parts: Iterator[Sequence[str]]
    after: int | None


class Hive:
    """All zerglings of one store. Safe to use from many threads at once.

    Every method may raise ``StoreUnavailable`` (nothing was changed); those that write may raise
    ``OutcomeUnknown`` (the change may have been made or not) and ``TooMuchContention`` (it was not,
    as others kept changing the zergling until the time was up).

    ``swarm`` makes many changes in one call.

    Args:
        store: what remembers them.
        tail: words of a history that its document keeps at least.
        threads: how many may call it at once, if that is known.
        breaker: what spares the store all calls while it hangs, if anything does: nobody then
            waits for a call of others.
    """

    def __init__(
        self,
        store: Store,
        tail: int = TAIL,
        threads: int | None = None,
        breaker: Breaker | None = None,
    ) -> None:
        queue_limit = QUEUE_LIMIT
        if threads is not None:
            queue_limit = max(1, min(QUEUE_LIMIT, threads // SHARE_OF_THREADS))
        admit = anybody if breaker is None else breaker.check
        self._store = store
        self._archive = Archive(store.history, tail)
        self._reader = Reader(store, self._archive)
        self._reporter = ChangeEventReader(store, self._reader)
        self._changes = GroupCommit[Mutation](
            WriteBatch(store, self._reader, self._archive),
            batch_limit=BATCH_LIMIT,
            queue_limit=queue_limit,
            grace=GRACE,
            watch=QueueWatch("changes"),
            admit=admit,
        )
        self.swarm = Swarm(self._changes, KeyRegister(store.history), self._reader.mover)
        self._looks = GroupCommit[PendingRead](
            ReadBatch(self._reader),
            batch_limit=BATCH_LIMIT,
            queue_limit=queue_limit,
            grace=GRACE,
            watch=QueueWatch("looks"),
            admit=admit,
        )
        if breaker is not None:
            breaker.when_open(self._turn_away)

    def spawn(self, pose: Pose, key: str | None = None) -> Zergling:
        """Store a new zergling and return it; with a known key, return the one it spawned.

        Raises:
            KeyReused: the key has spawned a zergling elsewhere or facing another way.
            NoSuchZergling: what the key has spawned is dead.
        """
        newborn = Zergling.spawned(new_id(key), pose)
        return _answered(self._changes, SpawnMutation(newborn, is_keyed=key is not None))

    def get(self, zergling_id: str) -> Zergling:
        """Return a living zergling.

        Raises:
            NoSuchZergling: no living zergling has this id.
        """
        if not is_zergling_id(zergling_id):
            raise NoSuchZergling
        return _answered(self._looks, PendingRead(zergling_id))

    def command(
        self, zergling_id: str, request: CommandRequest, precondition: Precondition | None = None
    ) -> Zergling:
        """Apply a request to a zergling exactly once and return the zergling after it.

        Raises:
            NoSuchZergling: no living zergling has this id.
            OutOfBounds: a step would leave the grid.
            PreconditionFailed: ``precondition`` does not hold for the current revision.
            KeyReused: the request's key was used for another one.
        """
        if not is_zergling_id(zergling_id):
            raise NoSuchZergling
        return self._reader.mover.having_moved(
            lambda: _answered(self._changes, CommandMutation(zergling_id, request, precondition))
        )

    def kill(self, zergling_id: str, precondition: Precondition | None = None) -> None:
        """End a zergling's life for ever. Raises as ``command`` does."""
        self.command(zergling_id, CommandRequest.death(time.time()), precondition)

    def list(self, after: str | None = None, limit: int = PAGE_LIMIT) -> Listing:
        """Return up to ``limit`` living zerglings with ids greater than ``after``."""
        found: list[Summary] = []
        for page in self.pages(after, max(limit + 1, SMALLEST_PAGE)):
            found += page
            if len(found) > limit:
                return Listing(found[:limit], found[limit - 1].id)
        return Listing(found, None)

    def pages(
        self, after: str | None = None, size: int = PAGE_LIMIT
    ) -> Iterator[Sequence[Summary]]:
        """Yield all living zerglings with ids greater than ``after``, in id order.

        They come in parts as large as the store gave them, from ``size`` documents each; a part may
        be empty.
        """
        more = True
        while more:
            page = self._page(after, min(size, PAGE_LIMIT))
            seen = [
                found
                for document in page.documents
                if (found := decode_or_skip(decode_summary, document))
            ]
            after, more = page.after, page.after is not None
            del page  # whoever reads slowly holds what is seen, not the documents
            yield seen

    def history(self, zergling_id: str, offset: int = 0, limit: int | None = None) -> History:
        """Return the words of a living zergling from the one numbered ``offset`` on, oldest first.

        They are read as they are taken; whoever takes them may get a ``StoreUnavailable``.

        Raises:
            NoSuchZergling: no living zergling has this id.
        """
        zergling = self.get(zergling_id)
        total = zergling.command_count
        end = total if limit is None else min(total, offset + limit)
        return History(self._words(zergling, offset, end), end if end < total else None)

    def news(self, since: str | None, limit: int = PAGE_LIMIT, wait: float = 0.0) -> ChangeBatch:
        """Return what happened to up to ``limit`` zerglings after a position of earlier news.

        With ``since`` None there are no events, only the position of now. While there is nothing to
        tell, it waits up to ``wait`` seconds.

        Raises:
            UnknownPosition: the store cannot tell what happened after ``since``.
        """
        return self._reporter.news(since, limit, timeout=CALL_TIMEOUT, wait=wait)

    def is_healthy(self) -> bool:
        """Whether the store answers."""
        try:
            self._store.ping(timeout=PROBE_TIMEOUT)
        except StoreUnavailable as error:
            logger.warning("The brain is damaged: %s", error)
            return False
        return True

    def check_ready(self) -> None:
        """Return if commands can be served.

        Raises:
            StoreUnavailable: they cannot; the text says why.
        """
        self._store.check_ready(timeout=PROBE_TIMEOUT)

    def lacking(self) -> int | None:
        """Return how many documents some copies of the store lack; None if that is not known."""
        try:
            parts = [
                store.lacking(timeout=PROBE_TIMEOUT) for store in (self._store, self._store.history)
            ]
        except StoreUnavailable:
            return None
        known = [number for number in parts if number is not None]
        return sum(known) if known else None

    def _turn_away(self) -> None:
        for group in (self._changes, self._looks):
            group.turn_away(NotAsked("the store was found to hang while others were served"))

    def _page(self, after: str | None, limit: int) -> Page:
        budget = RetryBudget()
        while True:
            began = time.monotonic()
            try:
                return self._store.page(after, limit, timeout=budget.call_timeout)
            except StoreUnavailable as error:
                if (end := budget.end_of(error, time.monotonic() - began)) is not None:
                    raise end from error
            time.sleep(budget.next_pause())

    def _words(self, zergling: Zergling, start: int, end: int) -> Iterator[Sequence[str]]:
        """Yield the words from number ``start`` to before ``end``."""
        kept_from = zergling.base.count
        if start < kept_from:
            older = self._archive.oldest_first(zergling, start, timeout=CALL_TIMEOUT)
            for chunk in takewhile(lambda chunk: chunk.start < end, older):
                yield chunk.words[max(0, start - chunk.start) : end - chunk.start]
        if end > kept_from:
            yield zergling.history[max(0, start - kept_from) : end - kept_from]


Asked = TypeVar("Asked", Mutation, PendingRead)


def _answered(group: GroupCommit[Asked], call: Asked) -> Zergling:
    """Have a call carried out together with others, and return its own answer."""
    try:
        group.run([call])
    except QueueFull as error:
        raise StoreUnavailable("too many calls wait for the store") from error
    return call.result()


@cache
def configured_hive() -> Hive:
    """Return this process's hive, over the store that the settings choose."""
    threads = settings.OVERMIND_THREADS - settings.OVERMIND_STREAMS
    store = configured_store()
    return Hive(store, tail=settings.OVERMIND_HISTORY_TAIL, threads=threads, breaker=store.breaker)
