"""Tests that the hive fails fast over a store that is known to hang."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import chain

import pytest

from tests.support.faulty_store import FaultyStore
from tests.support.waiting import wait_until
from zerglings.documents import Document
from zerglings.domain.pose import Pose
from zerglings.domain.zergling import CommandRequest
from zerglings.hive.hive import Hive
from zerglings.storage import breaker as module
from zerglings.storage.base import CallRejected, OutcomeUnknown, Store, StoreUnavailable
from zerglings.storage.breaker import Breaker
from zerglings.storage.guarded import GuardedStore

DEADLINE = 10.0
AT_ONCE = 1.5
"""Seconds, enough for a busy machine; a call that waits for the hanging store takes four."""


class Hanging:
    """A store that leaves calls unanswered while ``hangs`` is set."""

    def __init__(self, store: Store) -> None:
        self.hangs = threading.Event()
        self.over = threading.Event()
        self.held = threading.Semaphore(0)
        self._faulty = FaultyStore(store)
        self._faulty.before_get = self._before_get
        self._faulty.after_put = self._after_put
        self.breaker = Breaker(self._probe)
        self.hive = Hive(GuardedStore(self._faulty, self.breaker), breaker=self.breaker)

    def _probe(self, timeout: float) -> None:
        if self.hangs.is_set() and not self.over.wait(timeout):
            raise StoreUnavailable("no answer in time")

    def _before_get(self, ids: Collection[str]) -> None:
        if self.hangs.is_set():
            self.held.release()
            self.over.wait(DEADLINE)
            raise StoreUnavailable("no answer in time")

    def _after_put(self, document: Document) -> None:
        if self.hangs.is_set():
            self.held.release()
            self.over.wait(DEADLINE)
            raise OutcomeUnknown("no answer in time")

    def open_breaker(self) -> None:
        """Let calls time out until the breaker opens."""
        wait_until(lambda: self.breaker.is_open or self._call_in_vain(), "the breaker is open")

    def close_breaker(self) -> None:
        """Let the probe succeed."""
        self.hangs.clear()
        wait_until(lambda: not self.breaker.is_open, "the breaker is closed")

    def _call_in_vain(self) -> bool:
        def call() -> None:
            with self.breaker.call(1.0):
                time.sleep(2 * module.PROBE_AFTER)  # so long it waits
                raise StoreUnavailable("no answer in time")

        with pytest.raises(StoreUnavailable):
            call()
        return False


@pytest.fixture
def hanging(store: Store, hasty_breaker: None) -> Iterator[Hanging]:
    hanging = Hanging(store)
    yield hanging
    hanging.over.set()
    hanging.breaker.close()


def timed(call: Callable[[], object]) -> tuple[float, str]:
    """Return when a call ended, and with what."""
    try:
        call()
    except (StoreUnavailable, OutcomeUnknown) as error:
        return time.monotonic(), type(error).__name__
    return time.monotonic(), "answered"


def test_queued_and_new_calls_fail_fast_once_the_breaker_is_open(
    hanging: Hanging,
) -> None:
    """Only calls that the store has already received wait for their outcome."""
    hive = hanging.hive
    first, other = hive.spawn(Pose()), hive.spawn(Pose())
    hive.command(first.id, CommandRequest.command("L"))
    with ThreadPoolExecutor(16) as pool:
        hanging.hangs.set()
        under_way = [
            pool.submit(timed, lambda: hive.command(first.id, CommandRequest.command("M"))),
            pool.submit(timed, lambda: hive.get(first.id)),
        ]
        for _ in under_way:
            assert hanging.held.acquire(timeout=DEADLINE)
        waiting = [
            pool.submit(timed, call)
            for call in (
                lambda: hive.command(other.id, CommandRequest.command("M")),
                lambda: hive.get(other.id),
                lambda: list(hive.bulk.command([(other.id, CommandRequest.command("M"))])),
            )
            for _ in range(4)
        ]
        hanging.open_breaker()
        opened = time.monotonic()
        ends = [call.result(AT_ONCE) for call in waiting]
        for call in (
            lambda: hive.command(other.id, CommandRequest.command("R")),
            lambda: hive.get(first.id),
            lambda: hive.list(),
        ):
            assert timed(call)[1] == "CallRejected"
        assert time.monotonic() - opened < AT_ONCE
        assert {kind for _, kind in ends} == {
            "CallRejected",
            "answered",
        }  # each item of a swarm has its own
        assert not any(call.done() for call in under_way)
        hanging.close_breaker()
        hanging.over.set()
        ended = [call.result(DEADLINE)[1] for call in under_way]
        assert ended[0] == "answered"  # the write was done, and is found
        assert ended[1] in ("answered", "StoreUnavailable")
    assert hive.get(first.id).history == ("L", "M")
    assert hive.get(other.id).history == ()


def test_a_bulk_call_fails_fast_while_the_breaker_is_open(hanging: Hanging) -> None:
    zergling = hanging.hive.spawn(Pose())
    hanging.hangs.set()
    hanging.open_breaker()
    items = [(zergling.id, CommandRequest.command("M"))] * 200
    began = time.monotonic()
    outcomes = list(chain.from_iterable(hanging.hive.bulk.command(items)))
    assert time.monotonic() - began < AT_ONCE
    assert len(outcomes) == 200
    assert all(isinstance(outcome, CallRejected) for outcome in outcomes)
