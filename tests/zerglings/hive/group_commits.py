"""A group commit whose flush a test holds, releases and answers."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

from tests.support.waiting import wait_until
from zerglings.hive.group_commit import GroupCommit, Operation

LONG = 10.0


class NamedCall(Operation[str]):
    def __init__(self, name: str, budget: float = LONG) -> None:
        super().__init__()
        self.name = name
        self._end = time.monotonic() + budget

    @property
    def time_left(self) -> float:
        return self._end - time.monotonic()


class ControlledFlush:
    """Records its batches, waits for ``gate`` and answers each call with ``carry_out``."""

    def __init__(self) -> None:
        self.batches: list[list[str]] = []
        self.gate = threading.Event()
        self.gate.set()
        self.began = threading.Semaphore(0)
        self.carry_out: Callable[[NamedCall], None] = lambda call: call.succeed(call.name.upper())

    def __call__(self, batch: Sequence[NamedCall]) -> None:
        self.batches.append([call.name for call in batch])
        self.began.release()
        assert self.gate.wait(LONG)
        for call in batch:
            self.carry_out(call)


class RecordingMonitor:
    """Records the queue lengths and batch sizes that a group commit reports."""

    def __init__(self) -> None:
        self.depths: list[int] = []
        self.sizes: list[int] = []

    def queue_length(self, calls: int) -> None:
        self.depths.append(calls)

    def batch_started(self, calls: int) -> None:
        self.sizes.append(calls)


def run(group: GroupCommit[NamedCall], call: NamedCall) -> str:
    group.run([call])
    return call.outcome()


def enqueue(
    group: GroupCommit[NamedCall], pool: ThreadPoolExecutor, names: str, **options: float
) -> list[Future[str]]:
    """Queue calls in this order behind the running flush."""
    futures = []
    for name in names:
        before = len(group._queue)
        futures.append(pool.submit(run, group, NamedCall(name, **options)))
        wait_until(lambda before=before: len(group._queue) == before + 1, "it waits")  # type: ignore[misc]  # the default binds it
    return futures


def start_held_flush(
    group: GroupCommit[NamedCall], flushes: ControlledFlush, pool: ThreadPoolExecutor
) -> Future[str]:
    """Start a flush that waits until the gate is set."""
    flushes.gate.clear()
    first = pool.submit(run, group, NamedCall("first"))
    assert flushes.began.acquire(timeout=LONG)
    return first


class ExpiringCall(NamedCall):
    def is_over(self) -> bool:
        if self.time_left <= 0:
            self.fail(TimeoutError())
        return self.is_answered
