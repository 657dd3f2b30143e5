"""The use cases: spawn, command, read and kill zerglings over a store that may fail or be raced.

The only caller of a store. Every change is read, apply, compare-and-swap, again until it holds or
the time is up. Knows nothing of HTTP.
"""

from __future__ import annotations

import logging
import random
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cache
from typing import TypeVar

from zerglings.document import NotAZergling, decode, encode, is_zergling_id
from zerglings.storage import configured_store
from zerglings.storage.base import (
    PAGE_LIMIT,
    AccountRefused,
    Conflict,
    Document,
    DocumentMissing,
    NotBootstrapped,
    OutcomeUnknown,
    Page,
    Store,
    StoreUnavailable,
)
from zerglings.zergling import Pose, Request, Zergling

logger = logging.getLogger(__name__)

TIME_LIMIT = 4.0
"""Seconds that a use case may take in all: an answer, good or bad, reaches the client within 5."""

CALL_TIMEOUT = 2.0
"""Seconds that one store call may wait, so that there is time left to look what became of it."""

PROBE_TIMEOUT = 1.0
"""Seconds that a question after the store's health may wait."""

SMALLEST_PAGE = 100
"""Documents to read at once at least, as many of them may be of the dead."""

SHORTEST_TIMEOUT = 0.05
"""Seconds that a call may wait even when the time is all but up."""

BLIPS = 3
"""How often a store that quickly says no is asked again: of a cluster, another node may say yes."""

BLIP_LIMIT = 0.7
"""Seconds that a call may have failed within to be asked again for that reason."""

DOUBT_LIMIT = 2.0
"""Seconds to look what became of a write while the store does not answer: enough for another
node of a cluster, too short for a restart, because a thread that waits serves nobody."""

TURN_TIMEOUT = 1.0
"""Seconds to wait for others of this process who change the same zergling."""

TURNS = 256
"""Number of locks that all zerglings share by the hash of their ids."""

FIRST_PAUSE = 0.002
LONGEST_PAUSE = 0.1
"""Seconds before a new attempt at most; each pause is a random part of a bound that doubles."""

Result = TypeVar("Result")

Precondition = Callable[[Zergling], bool]


class NoSuchZergling(Exception):
    """There is no living zergling under this id."""


class PreconditionFailed(Exception):
    """The zergling is not at a revision that the caller would accept; nothing was changed."""


class TooMuchContention(Exception):
    """Others kept changing the zergling until the time was up; nothing was changed."""


@dataclass(frozen=True, slots=True)
class Listing:
    """Some living zerglings in id order; ``after`` is the last id when there are more of them."""

    zerglings: list[Zergling]
    after: str | None


class Hive:
    """All zerglings of one store. Safe to use from many threads at once.

    Every method may raise ``StoreUnavailable`` (nothing was changed); those that write may raise
    ``OutcomeUnknown`` (the change may have been made or not).
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._turns = [threading.Lock() for _ in range(TURNS)]

    def spawn(self, pose: Pose) -> Zergling:
        """Store a new zergling under a new id and return it."""
        zergling = Zergling.spawned(str(uuid.uuid4()), pose)

        def attempt(deadline: _Deadline) -> Zergling:
            try:
                revision = self._store.put(encode(zergling), timeout=deadline.call_timeout)
            except Conflict:  # the id is new, so only an earlier attempt can have put it there
                return self._read_even_dead(zergling.id, deadline.call_timeout)
            return replace(zergling, revision=revision)

        return _until_it_holds(attempt, _Deadline())

    def get(self, zergling_id: str) -> Zergling:
        """Return a living zergling.

        Raises:
            NoSuchZergling: no living zergling has this id.
        """

        def attempt(deadline: _Deadline) -> Zergling:
            zergling = self._read_even_dead(zergling_id, deadline.call_timeout)
            if zergling.is_dead:
                raise NoSuchZergling
            return zergling

        return _until_it_holds(attempt, _Deadline())

    def command(
        self, zergling_id: str, request: Request, precondition: Precondition | None = None
    ) -> Zergling:
        """Apply a request to a zergling exactly once and return the zergling after it.

        Raises:
            NoSuchZergling: no living zergling has this id.
            OutOfBounds: a step would leave the grid.
            PreconditionFailed: ``precondition`` does not hold for the current revision.
            TooMuchContention: the time was up before a write succeeded.
        """

        def attempt(deadline: _Deadline) -> Zergling:
            current = self._read_even_dead(zergling_id, deadline.call_timeout)
            if current.has_applied(request):
                return current
            if current.is_dead:
                raise NoSuchZergling
            if precondition is not None and not precondition(current):
                raise PreconditionFailed
            changed = current.apply(request)
            revision = self._store.put(encode(changed), timeout=deadline.call_timeout)
            return replace(changed, revision=revision)

        deadline = _Deadline()
        with self._turn(zergling_id):
            return _until_it_holds(attempt, deadline)

    def kill(self, zergling_id: str, precondition: Precondition | None = None) -> None:
        """End a zergling's life for ever. Raises as ``command`` does."""
        self.command(zergling_id, Request.death(), precondition)

    def list(self, after: str | None = None, limit: int = PAGE_LIMIT) -> Listing:
        """Return up to ``limit`` living zerglings with ids greater than ``after``."""
        found: list[Zergling] = []
        for zergling in self.all(after, page_size=max(limit + 1, SMALLEST_PAGE)):
            if len(found) == limit:
                return Listing(found, found[-1].id)
            found.append(zergling)
        return Listing(found, None)

    def all(self, after: str | None = None, page_size: int = PAGE_LIMIT) -> Iterator[Zergling]:
        """Yield every living zergling with an id greater than ``after``, in id order."""
        more = True
        while more:
            page = self._page(after, min(page_size, PAGE_LIMIT))
            for document in page.documents:
                zergling = _decode_or_log(document)
                if zergling is not None and not zergling.is_dead:
                    yield zergling
            after, more = page.after, page.after is not None

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

    def _page(self, after: str | None, limit: int) -> Page:
        def attempt(deadline: _Deadline) -> Page:
            return self._store.page(after, limit, timeout=deadline.call_timeout)

        return _until_it_holds(attempt, _Deadline())

    @contextmanager
    def _turn(self, zergling_id: str) -> Iterator[None]:
        """Let those who change one zergling go one after another, as far as this process can.

        It only spares them losing against each other; what makes a change safe is the store's
        compare-and-swap, so whoever has waited long enough goes without a turn.
        """
        turn = self._turns[hash(zergling_id) % TURNS]
        is_held = turn.acquire(timeout=TURN_TIMEOUT)
        try:
            yield
        finally:
            if is_held:
                turn.release()

    def _read_even_dead(self, zergling_id: str, timeout: float) -> Zergling:
        if not is_zergling_id(zergling_id):
            raise NoSuchZergling
        try:
            zergling = _decode_or_log(self._store.get(zergling_id, timeout=timeout))
        except DocumentMissing as error:
            raise NoSuchZergling from error
        if zergling is None:
            raise NoSuchZergling
        return zergling


def _decode_or_log(document: Document) -> Zergling | None:
    try:
        return decode(document)
    except NotAZergling as error:
        logger.warning("Document %r is not a zergling: %s", document.get("_id"), error)
        return None


class _Deadline:
    """The end of a use case's time, shared out among its store calls."""

    def __init__(self) -> None:
        self._end = time.monotonic() + TIME_LIMIT

    def allows(self, pause: float) -> bool:
        """Whether there is time left after a pause of so many seconds."""
        return time.monotonic() + pause < self._end

    def come_down_to(self, seconds: float) -> None:
        """Leave no more than so many seconds."""
        self._end = min(self._end, time.monotonic() + seconds)

    @property
    def call_timeout(self) -> float:
        return max(SHORTEST_TIMEOUT, min(CALL_TIMEOUT, self._end - time.monotonic()))


def _until_it_holds(attempt: Callable[[_Deadline], Result], deadline: _Deadline) -> Result:
    """Repeat an attempt until it succeeds, cannot succeed, or the time is up.

    An attempt whose outcome is unknown is followed by others, which begin by reading and so find
    out. While the doubt lasts, a store that does not answer is asked again.
    """
    doubt: OutcomeUnknown | None = None
    pause = FIRST_PAUSE
    blips = 0
    while True:
        began = time.monotonic()
        try:
            return attempt(deadline)
        except Conflict:
            logger.debug("Others were faster; trying again")
        except OutcomeUnknown as error:
            doubt = error
            deadline.come_down_to(DOUBT_LIMIT)
        except (AccountRefused, NotBootstrapped):
            raise
        except StoreUnavailable:
            blips += 1
            is_slow = time.monotonic() - began > BLIP_LIMIT
            if doubt is None and (blips > BLIPS or is_slow):
                raise
        jitter = random.uniform(0, pause)
        if not deadline.allows(jitter):
            raise doubt or TooMuchContention
        time.sleep(jitter)
        pause = min(2 * pause, LONGEST_PAUSE)


@cache
def configured_hive() -> Hive:
    """Return this process's hive, over the store that the settings choose."""
    return Hive(configured_store())
