"""A circuit breaker: fails fast while the store hangs.

It limits how many calls run concurrently and how many wait in the queue. It opens when a call timed
out, no other call was answered meanwhile, and a probe of its own is not answered either. While it
is open, every call fails at once. The first probe that is answered, or that fails quickly, closes
it. A single slow document or a slow store does not open it. Errors that arrive quickly do not open
it either, because they block no thread.

Within ``storage`` it depends on the store contract only.
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
    CallRejected,
    NotBootstrapped,
    OutcomeUnknown,
    StoreError,
    StoreUnavailable,
    TooLarge,
    WriteFailed,
)

logger = logging.getLogger(__name__)

MAX_CALLS = 32
"""Maximum number of concurrent calls. A process executes one batch of writes and one of reads at a
time, with one call each. Each request for a list or a history makes one call at a time."""

MAX_QUEUED = 256
"""Maximum number of calls in the queue; further calls fail at once."""

MIN_TIMEOUT = 0.05
"""Minimum timeout in seconds of a call that has waited in the queue."""

CHECK_INTERVAL = 0.2
"""Seconds between two checks of the running calls, and between two probes."""

PROBE_AFTER = 0.4
"""Seconds without an answer to any running call after which a probe is sent. A timed-out call
counts as hanging only if it waited this long. A healthy store nearby answers within milliseconds.
"""

PROBE_SILENCE = 1.0
"""Seconds without an answer after which a running probe confirms that the store hangs."""

PROBE_TIMEOUT = 1.5
"""Timeout of a probe in seconds. It is almost as long as that of a request's call, so that a slow
store can still close the breaker. It is no longer, because a lost probe delays the recovery."""

_OPEN = Gauge(
    "overmind_store_breaker_open",
    "Processes whose circuit breaker is open: the store hangs, and only probes call it.",
    multiprocess_mode="livesum",
)
_REFUSED = Counter(
    "overmind_store_refused_total",
    "Calls that failed without calling the store: hanging (breaker open), full (queue full).",
    ("reason",),
)
_HANGING, _FULL = _REFUSED.labels("hanging"), _REFUSED.labels("full")


class Breaker:
    """Limits and rejects calls to one store. Its methods may be called from many threads at once.

    The first call starts a watchdog thread, which sleeps while no call is running.

    Args:
        probe: calls the store with the given timeout in seconds, and raises ``StoreError`` if it
            fails.
        max_calls: maximum number of concurrent calls.
        max_queued: maximum number of calls in the queue.
    """

    def __init__(
        self,
        probe: Callable[[float], None],
        *,
        max_calls: int = MAX_CALLS,
        max_queued: int = MAX_QUEUED,
    ) -> None:
        self._probe = probe
        self._max_calls = max_calls
        self._max_queued = max_queued
        self._condition = threading.Condition()
        self._active = threading.Event()
        self._closing = threading.Event()
        self._has_watchdog = False
        self._call_numbers = count()
        self._calls: dict[int, float] = {}  # start time by call number, the oldest first
        self._queued = 0
        self._answered_at = 0.0
        self._call_failed_at = 0.0
        self._probe_failed_at = 0.0
        self._probing_since: float | None = None
        self._callbacks: list[Callable[[], None]] = []
        self.is_open = False

    def when_open(self, callback: Callable[[], None]) -> None:
        """Call ``callback`` each time the breaker opens.

        It allows other components to release threads that wait for a call of another thread, which
        may take two seconds to time out.
        """
        self._callbacks.append(callback)

    def check(self) -> None:
        """Fail if the breaker is open.

        Raises:
            CallRejected: the store hangs.
        """
        if self.is_open:
            _HANGING.inc()
            raise CallRejected("the store does not answer")

    @contextmanager
    def call(self, timeout: float) -> Iterator[float]:
        """Run a store call in this context, which yields the remaining timeout in seconds.

        The context waits in the queue while too many calls are running.

            with breaker.call(timeout) as remaining:
                store.ping(timeout=remaining)

        Args:
            timeout: seconds for the queue and the call together.

        Raises:
            CallRejected: the breaker is open, the queue is full, or it timed out in the queue.
        """
        began = time.monotonic()
        with self._condition:
            self.check()
            if len(self._calls) >= self._max_calls:
                self._wait_in_queue(timeout)
            number, now = next(self._call_numbers), time.monotonic()
            self._calls[number] = now
            self._ensure_watchdog()
        is_answered: bool | None = None  # stays None if the call crashes
        try:
            yield max(MIN_TIMEOUT, timeout - (now - began))
            is_answered = True
        except StoreError as error:
            is_answered = _is_answer(error)
            raise
        finally:
            self._finish(number, is_answered=is_answered)

    def close(self) -> None:
        """Stop the watchdog thread."""
        self._closing.set()
        self._active.set()

    def _wait_in_queue(self, timeout: float) -> None:
        if self._queued >= self._max_queued:
            _FULL.inc()
            raise CallRejected("too many calls wait for the store")
        self._queued += 1
        try:
            self._condition.wait_for(
                lambda: self.is_open or len(self._calls) < self._max_calls, timeout
            )
        finally:
            self._queued -= 1
        self.check()
        if len(self._calls) >= self._max_calls:
            _FULL.inc()
            raise CallRejected("the call waited too long in the queue for the store")

    def _finish(self, number: int, *, is_answered: bool | None) -> None:
        with self._condition:
            began = self._calls.pop(number)
            now = time.monotonic()
            if is_answered:
                self._answered_at = now
            elif is_answered is False and now - max(began, self._answered_at) >= PROBE_AFTER:
                self._call_failed_at = now
                self._open_if_hanging(now)
            if self._queued:
                self._condition.notify()

    def _open_if_hanging(self, now: float) -> None:
        """Open the breaker if both a call and a probe remained unanswered."""
        since = self._probing_since
        is_probe_unanswered = self._probe_failed_at > self._answered_at or (
            since is not None and now - since >= PROBE_SILENCE and self._answered_at < since
        )
        if is_probe_unanswered and self._call_failed_at > self._answered_at and not self.is_open:
            self._set_open(is_open=True)
            self._ensure_watchdog()
            threading.Thread(target=self._wake_waiting, name="breaker-opened", daemon=True).start()
            logger.warning("The store hangs: only probes call it until it answers")

    def _set_open(self, *, is_open: bool) -> None:
        self.is_open = is_open
        _OPEN.set(is_open)

    def _wake_waiting(self) -> None:
        """Wake everything that waits, here and in other components, so that it fails at once."""
        for callback in self._callbacks:
            callback()
        for _ in with_yields(range(self._queued)):
            with self._condition:
                self._condition.notify()

    def _ensure_watchdog(self) -> None:
        if not self._active.is_set():
            self._active.set()
        if not self._has_watchdog:
            self._has_watchdog = True
            threading.Thread(target=self._run_watchdog, name="breaker", daemon=True).start()

    def _run_watchdog(self) -> None:
        """Send a probe whenever one is due; sleep while no call is running."""
        try:
            while not self._closing.is_set():
                if self._is_probe_due():
                    self._send_probe()
                self._closing.wait(CHECK_INTERVAL)
                with self._condition:
                    if not self._calls and not self.is_open and not self._closing.is_set():
                        self._active.clear()
                self._active.wait()
        finally:  # after a crash, the next call starts another watchdog
            with self._condition:
                self._has_watchdog, self._probing_since = False, None
                self._set_open(is_open=False)

    def _is_probe_due(self) -> bool:
        with self._condition:
            oldest = next(iter(self._calls.values()), None)
            if self.is_open or oldest is None:
                return self.is_open
            return time.monotonic() - max(oldest, self._answered_at) >= PROBE_AFTER

    def _send_probe(self) -> None:
        self._probing_since = began = time.monotonic()
        error: StoreError | None = None
        try:
            self._probe(PROBE_TIMEOUT)
        except StoreError as failure:
            error = failure
        with self._condition:
            self._probing_since = None
            now = time.monotonic()
            is_quick = now - began < PROBE_AFTER
            if error is None or _is_answer(error) or is_quick:
                self._answered_at = now
                if self.is_open:
                    self._set_open(is_open=False)
                    logger.warning("The store answers again")
            elif self._answered_at < began:
                self._probe_failed_at = now
                self._open_if_hanging(now)


def _is_answer(error: StoreError) -> bool:
    """Whether the store answered with this error, as opposed to a timeout or a lost connection."""
    if isinstance(error, AccountRefused | NotBootstrapped | TooLarge | WriteFailed):
        return True
    return not isinstance(error, StoreUnavailable | OutcomeUnknown)
