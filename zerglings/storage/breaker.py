"""A circuit breaker: keeps a store that hangs from holding all who call it.

It bounds how many calls are under way and how many wait to begin. Once a call was left without an
answer, nobody else had one meanwhile and a probe of its own has none either, calls are refused at
once, until the probe is answered. So neither a slow document nor a slow store is taken for one that
hangs, nor is one that fails quickly, which holds nobody up. Knows of stores no more than their
contract.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count

from prometheus_client import Counter, Gauge

from zerglings.cooperative import with_yields
from zerglings.storage.base import (
    AccountRefused,
    NotAsked,
    NotBootstrapped,
    OutcomeUnknown,
    StoreError,
    StoreUnavailable,
    TooLarge,
    WriteFailed,
)

logger = logging.getLogger(__name__)

AT_ONCE = 32
"""Calls under way at most: batches need two, lists and histories one each."""

WAITING = 256
"""Calls that may wait to begin; one more is refused at once."""

LEAST = 0.05
"""Seconds that a call which had to wait has left in any case."""

LOOK_EVERY = 0.2
"""Seconds between two looks at what is under way, and between two probes."""

SUSPICIOUS = 0.4
"""Seconds without any answer, while one is awaited, after which the probe asks for one itself; and
that a call has to have waited in vain to count. A healthy store nearby takes milliseconds."""

SILENCE = 1.0
"""Seconds after which a probe without an answer confirms that the store hangs."""

PROBE_TIMEOUT = 1.5
"""Seconds that a probe may wait: nearly as long as any call, so that a slow store is not taken for
one that is away for good, and no longer, as one that gets lost puts recovery off."""

_OPEN = Gauge(
    "overmind_store_breaker_open",
    "Processes that do not call the store at present, except by a probe, because it hangs.",
    multiprocess_mode="livesum",
)
_REFUSED = Counter(
    "overmind_store_refused_total",
    "Calls that the store was spared: hanging (it answers nobody), full (too many wait).",
    ("reason",),
)
_HANGING, _FULL = _REFUSED.labels("hanging"), _REFUSED.labels("full")


class Breaker:
    """Lets calls on one store through, or refuses them. Safe to use from many threads at once.

    A thread watches while calls are under way; it begins with the first of them.

    Args:
        probe: asks the store whether it answers, waiting so many seconds at most.
        at_once: calls under way at most.
        waiting: calls that may wait to begin.
    """

    def __init__(
        self, probe: Callable[[float], None], *, at_once: int = AT_ONCE, waiting: int = WAITING
    ) -> None:
        self._probe = probe
        self._at_once = at_once
        self._most_waiting = waiting
        self._condition = threading.Condition()
        self._busy = threading.Event()
        self._closing = threading.Event()
        self._is_watched = False
        self._numbers = count()
        self._calls: dict[int, float] = {}  # when each began, the oldest first
        self._waiting = 0
        self._answered_at = 0.0
        self._hung_at = 0.0
        self._silent_at = 0.0
        self._probed_since: float | None = None
        self._turn_away: list[Callable[[], None]] = []
        self.is_open = False

    def when_open(self, turn_away: Callable[[], None]) -> None:
        """Have this called each time that the store is found to hang, once no call is let through.

        It is for those who wait elsewhere for calls of others to end, which may take two seconds.
        """
        self._turn_away.append(turn_away)

    def check(self) -> None:
        """Return if the store may be called.

        Raises:
            NotAsked: it hangs.
        """
        if self.is_open:
            _HANGING.inc()
            raise NotAsked("the store does not answer anybody at present")

    @contextmanager
    def call(self, timeout: float) -> Iterator[float]:
        """Call the store inside the block, which is told how many seconds are left for it.

        Raises:
            NotAsked: the store hangs, or too many call it.
        """
        began = time.monotonic()
        with self._condition:
            self.check()
            if len(self._calls) >= self._at_once:
                self._wait_for_room(timeout)
            number, now = next(self._numbers), time.monotonic()
            self._calls[number] = now
            self._have_watched()
        is_answered: bool | None = None  # neither, where the call crashes
        try:
            yield max(LEAST, timeout - (now - began))
            is_answered = True
        except StoreError as error:
            is_answered = _is_answer(error)
            raise
        finally:
            self._ended(number, is_answered=is_answered)

    def close(self) -> None:
        """End the watch."""
        self._closing.set()
        self._busy.set()

    def _wait_for_room(self, timeout: float) -> None:
        if self._waiting >= self._most_waiting:
            _FULL.inc()
            raise NotAsked("too many calls wait for the store")
        self._waiting += 1
        try:
            self._condition.wait_for(
                lambda: self.is_open or len(self._calls) < self._at_once, timeout
            )
        finally:
            self._waiting -= 1
        self.check()
        if len(self._calls) >= self._at_once:
            _FULL.inc()
            raise NotAsked("too many calls took too long")

    def _ended(self, number: int, *, is_answered: bool | None) -> None:
        with self._condition:
            began = self._calls.pop(number)
            now = time.monotonic()
            if is_answered:
                self._answered_at = now
            elif is_answered is False and now - max(began, self._answered_at) >= SUSPICIOUS:
                self._hung_at = now
                self._judge(now)
            if self._waiting:
                self._condition.notify()

    def _judge(self, now: float) -> None:
        """Refuse calls from now on if both a call and a probe have waited in vain."""
        since = self._probed_since
        is_silent = self._silent_at > self._answered_at or (
            since is not None and now - since >= SILENCE and self._answered_at < since
        )
        if is_silent and self._hung_at > self._answered_at and not self.is_open:
            self._set(is_open=True)
            self._have_watched()
            threading.Thread(target=self._clear, name="breaker-opened", daemon=True).start()
            logger.warning("The store hangs: it is asked by a probe only, until that is answered")

    def _set(self, *, is_open: bool) -> None:
        self.is_open = is_open
        _OPEN.set(is_open)

    def _clear(self) -> None:
        """Have all go that wait, here and elsewhere, none of whom will be let through any more."""
        for turn_away in self._turn_away:
            turn_away()
        for _ in with_yields(range(self._waiting)):
            with self._condition:
                self._condition.notify()

    def _have_watched(self) -> None:
        if not self._busy.is_set():
            self._busy.set()
        if not self._is_watched:
            self._is_watched = True
            threading.Thread(target=self._watch, name="breaker", daemon=True).start()

    def _watch(self) -> None:
        """Send a probe whenever one is due; rest while nothing is under way."""
        try:
            while not self._closing.is_set():
                if self._is_probe_due():
                    self._ask()
                self._closing.wait(LOOK_EVERY)
                with self._condition:
                    if not self._calls and not self.is_open and not self._closing.is_set():
                        self._busy.clear()
                self._busy.wait()
        finally:  # if it ends by a crash, the next call has another one watch
            with self._condition:
                self._is_watched, self._probed_since = False, None
                self._set(is_open=False)

    def _is_probe_due(self) -> bool:
        with self._condition:
            oldest = next(iter(self._calls.values()), None)
            if self.is_open or oldest is None:
                return self.is_open
            return time.monotonic() - max(oldest, self._answered_at) >= SUSPICIOUS

    def _ask(self) -> None:
        self._probed_since = began = time.monotonic()
        error: StoreError | None = None
        try:
            self._probe(PROBE_TIMEOUT)
        except StoreError as failure:
            error = failure
        with self._condition:
            self._probed_since = None
            now = time.monotonic()
            is_quick = now - began < SUSPICIOUS
            if error is None or _is_answer(error) or is_quick:
                self._answered_at = now
                if self.is_open:
                    self._set(is_open=False)
                    logger.warning("The store does not hang any more")
            elif self._answered_at < began:
                self._silent_at = now
                self._judge(now)


def _is_answer(error: StoreError) -> bool:
    """Whether an error is what the store said, rather than that it said nothing of use."""
    if isinstance(error, AccountRefused | NotBootstrapped | TooLarge | WriteFailed):
        return True
    return not isinstance(error, StoreUnavailable | OutcomeUnknown)
