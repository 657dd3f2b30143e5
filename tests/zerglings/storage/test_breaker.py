"""Tests that the circuit breaker rejects calls while a store hangs, and only then."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest

from tests.support.waiting import wait_until
from zerglings.storage import breaker
from zerglings.storage.base import (
    AccountRefused,
    CallRejected,
    Conflict,
    OutcomeUnknown,
    StoreError,
    StoreUnavailable,
)
from zerglings.storage.breaker import Breaker

pytestmark = pytest.mark.usefixtures("hasty_breaker")

DEADLINE = 10.0


class Slow:
    """A store whose calls and probes are controlled by the test."""

    def __init__(self) -> None:
        self.is_well = threading.Event()
        self.is_well.set()
        self.probes = 0
        self.breaker = Breaker(self.probe, max_calls=4, max_queued=2)

    def probe(self, timeout: float) -> None:
        self.probes += 1
        if not self.is_well.wait(timeout):
            raise StoreUnavailable("no answer in time")

    def call(self, seconds: float = 0.0, error: Exception | None = None) -> None:
        with self.breaker.call(2.0):
            time.sleep(seconds)  # what the store takes
            if error is not None:
                raise error

    def call_in_vain(self, seconds: float = 0.6) -> None:
        with pytest.raises(StoreUnavailable):
            self.call(seconds, StoreUnavailable("no answer in time"))


@pytest.fixture
def slow() -> Iterator[Slow]:
    slow = Slow()
    yield slow
    slow.is_well.set()
    slow.breaker.close()


@contextmanager
def under_way(call: Callable[[], object], times: int) -> Iterator[None]:
    """Run calls during the block."""
    with ThreadPoolExecutor(times) as pool:
        done = [pool.submit(call) for _ in range(times)]
        yield
        for each in done:
            each.result()


@contextmanager
def held(slow: Slow, times: int) -> Iterator[threading.Event]:
    """Run calls, four at once, until the block sets the event or ends."""
    begun, release = threading.Semaphore(0), threading.Event()

    def hold() -> None:
        with slow.breaker.call(DEADLINE):
            begun.release()
            release.wait(DEADLINE)

    with under_way(hold, times):
        for _ in range(min(times, 4)):
            assert begun.acquire(timeout=DEADLINE)
        try:
            yield release
        finally:
            release.set()


def test_a_hanging_store_gets_no_calls_until_a_probe_succeeds(slow: Slow) -> None:
    slow.is_well.clear()
    slow.call_in_vain()
    for _ in range(100):
        with pytest.raises(CallRejected):
            slow.call()
    before = slow.probes
    wait_until(lambda: slow.probes > before + 1, "two more probes were sent")
    assert slow.breaker.is_open
    slow.is_well.set()
    wait_until(lambda: not slow.breaker.is_open, "the breaker is closed")
    slow.call()


def test_only_one_probe_runs_at_a_time(slow: Slow) -> None:
    slow.is_well.clear()
    slow.call_in_vain()
    began, before = time.monotonic(), slow.probes
    wait_until(lambda: slow.probes > before + 2, "three more probes were sent")
    assert time.monotonic() - began > 2 * 0.3


def test_a_single_slow_call_does_not_open_the_breaker(slow: Slow) -> None:
    for _ in range(3):
        slow.call_in_vain()
        slow.call()
    assert slow.probes > 0
    assert not slow.breaker.is_open


def test_time_outs_beside_successful_calls_do_not_open_the_breaker(slow: Slow) -> None:
    slow.is_well.clear()
    with under_way(slow.call_in_vain, 2):
        for _ in range(60):
            slow.call(0.01)
    assert not slow.breaker.is_open


def test_slow_successful_calls_do_not_open_the_breaker(slow: Slow) -> None:
    slow.is_well.clear()
    with under_way(lambda: slow.call(0.6), 3):
        pass
    assert slow.probes > 0
    slow.call()


@pytest.mark.parametrize(
    "error",
    [Conflict("lost"), AccountRefused("who"), StoreUnavailable("503"), OutcomeUnknown("500")],
)
def test_quick_errors_do_not_open_the_breaker(
    slow: Slow, error: StoreError, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow.is_well.clear()
    with held(slow, 1):
        wait_until(lambda: slow.breaker._probe_failed_at > 0, "a probe was left without an answer")
        monkeypatch.setattr(breaker, "PROBE_AFTER", DEADLINE)  # so that any machine is quick
        for _ in range(50):
            with pytest.raises(type(error)):
                slow.call(error=error)
        assert not slow.breaker.is_open


def test_writes_with_lost_responses_open_the_breaker(slow: Slow) -> None:
    slow.is_well.clear()
    with pytest.raises(OutcomeUnknown):
        slow.call(0.6, OutcomeUnknown("no answer in time"))
    with pytest.raises(CallRejected):
        slow.call()


def test_a_crashed_call_does_not_open_the_breaker(slow: Slow) -> None:
    slow.is_well.clear()
    with pytest.raises(ZeroDivisionError):
        slow.call(0.6, ZeroDivisionError())
    slow.call()


def test_running_and_queued_calls_are_limited(slow: Slow) -> None:
    with held(slow, 6):
        wait_until(lambda: slow.breaker._queued == 2, "two calls wait")
        with pytest.raises(CallRejected, match="too many"):
            slow.call()
    slow.call()


def test_time_in_the_queue_is_subtracted_from_the_timeout(slow: Slow) -> None:
    def seconds_left() -> float:
        with slow.breaker.call(DEADLINE) as left:
            return left

    with ThreadPoolExecutor(1) as pool, held(slow, 4) as release:
        waiting = pool.submit(seconds_left)
        wait_until(lambda: slow.breaker._queued == 1, "the call waits")
        seen = time.monotonic()
        wait_until(lambda: time.monotonic() > seen + 0.2, "it has waited for a while")
        release.set()
        assert waiting.result(DEADLINE) < DEADLINE - 0.2


def test_a_call_that_cannot_start_in_time_is_rejected(slow: Slow) -> None:
    with held(slow, 4), pytest.raises(CallRejected, match="too long"), slow.breaker.call(0.1):
        pass


def test_queued_calls_are_rejected_when_the_breaker_opens(slow: Slow) -> None:
    slow.is_well.clear()
    refused: list[float] = []

    def wait() -> None:
        with pytest.raises(CallRejected), slow.breaker.call(DEADLINE):
            pass
        refused.append(time.monotonic())

    with under_way(slow.call_in_vain, 4):
        wait_until(lambda: len(slow.breaker._calls) == 4, "four calls are under way")
        with under_way(wait, 2):
            pass
    assert len(refused) == 2


def test_listeners_are_called_once_when_the_breaker_opens(slow: Slow) -> None:
    was_open: list[bool] = []
    slow.breaker.when_open(lambda: was_open.append(slow.breaker.is_open))
    slow.is_well.clear()
    with under_way(slow.call_in_vain, 3):
        pass
    wait_until(lambda: was_open != [], "the listener was called")
    slow.is_well.set()
    wait_until(lambda: not slow.breaker.is_open, "the breaker is closed")
    assert was_open == [True]


def test_early_successes_do_not_keep_the_breaker_closed(slow: Slow) -> None:
    slow.is_well.clear()
    with under_way(lambda: slow.call_in_vain(0.7), 1):
        wait_until(lambda: len(slow.breaker._calls) == 1, "one call is under way")
        slow.call(0.05)
    with pytest.raises(CallRejected):
        slow.call()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_crashed_probe_does_not_open_the_breaker(slow: Slow) -> None:
    crashes = [True]

    def probe(timeout: float) -> None:
        slow.probes += 1
        if crashes:
            crashes.pop()
            raise ZeroDivisionError

    slow.breaker._probe = probe
    slow.call_in_vain()
    wait_until(lambda: slow.probes > 0, "a probe was sent")
    slow.call(0.3)
    wait_until(lambda: slow.probes > 1, "another probe was sent")
