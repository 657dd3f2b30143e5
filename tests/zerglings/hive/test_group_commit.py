"""Tests for group commit: leaders, batches, queue limits and failed flushes."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from tests.support.waiting import wait_until
from zerglings.hive.group_commit import Abandoned, Call, GroupCommit, QueueFull

LONG = 10.0


class Wish(Call[str]):
    def __init__(self, name: str, budget: float = LONG) -> None:
        super().__init__()
        self.name = name
        self._end = time.monotonic() + budget

    @property
    def time_left(self) -> float:
        return self._end - time.monotonic()


class Flushes:
    """A flush that notes its batches, waits where it is told to, and answers as it is told."""

    def __init__(self) -> None:
        self.batches: list[list[str]] = []
        self.gate = threading.Event()
        self.gate.set()
        self.began = threading.Semaphore(0)
        self.carry_out: Callable[[Wish], None] = lambda wish: wish.succeed(wish.name.upper())

    def __call__(self, batch: Sequence[Wish]) -> None:
        self.batches.append([wish.name for wish in batch])
        self.began.release()
        assert self.gate.wait(LONG)
        for wish in batch:
            self.carry_out(wish)


class Watched:
    """Notes what a group commit says about itself."""

    def __init__(self) -> None:
        self.depths: list[int] = []
        self.sizes: list[int] = []

    def queue_length(self, calls: int) -> None:
        self.depths.append(calls)

    def batch_started(self, calls: int) -> None:
        self.sizes.append(calls)


@pytest.fixture
def flushes() -> Flushes:
    return Flushes()


@pytest.fixture
def monitor() -> Watched:
    return Watched()


@pytest.fixture
def group(flushes: Flushes, monitor: Watched) -> GroupCommit[Wish]:
    return GroupCommit[Wish](flushes, batch_limit=4, queue_limit=6, grace=0.05, monitor=monitor)


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(16) as pool:
        yield pool


def run(group: GroupCommit[Wish], wish: Wish) -> str:
    group.run([wish])
    return wish.outcome()


def queued(
    group: GroupCommit[Wish], pool: ThreadPoolExecutor, names: str, **options: float
) -> list[Future[str]]:
    """Have calls wait, in this order, behind the flush that is under way."""
    futures = []
    for name in names:
        before = len(group._queue)
        futures.append(pool.submit(run, group, Wish(name, **options)))
        wait_until(lambda before=before: len(group._queue) == before + 1, "it waits")  # type: ignore[misc]  # the default binds it
    return futures


def occupied(group: GroupCommit[Wish], flushes: Flushes, pool: ThreadPoolExecutor) -> Future[str]:
    """Begin a flush and hold it."""
    flushes.gate.clear()
    first = pool.submit(run, group, Wish("first"))
    assert flushes.began.acquire(timeout=LONG)
    return first


def test_a_single_call_is_flushed_immediately(group: GroupCommit[Wish], flushes: Flushes) -> None:
    assert [run(group, Wish("a")), run(group, Wish("b"))] == ["A", "B"]
    assert flushes.batches == [["a"], ["b"]]


def test_calls_queued_during_a_flush_share_the_next_one(
    group: GroupCommit[Wish], flushes: Flushes, pool: ThreadPoolExecutor
) -> None:
    first = occupied(group, flushes, pool)
    others = queued(group, pool, "abc")
    flushes.gate.set()
    assert [call.result(LONG) for call in (first, *others)] == ["FIRST", "A", "B", "C"]
    assert flushes.batches == [["first"], ["a", "b", "c"]]


def test_queue_length_and_batch_size_are_reported(
    group: GroupCommit[Wish], flushes: Flushes, monitor: Watched, pool: ThreadPoolExecutor
) -> None:
    first = occupied(group, flushes, pool)
    others = queued(group, pool, "abc")
    assert monitor.depths == [1, 0, 1, 2, 3]
    flushes.gate.set()
    for call in (first, *others):
        call.result(LONG)
    assert monitor.sizes == [1, 3]
    assert monitor.depths[-1] == 0


def test_an_abandoned_call_is_removed_from_the_reported_queue_length(
    group: GroupCommit[Wish], flushes: Flushes, monitor: Watched, pool: ThreadPoolExecutor
) -> None:
    first = occupied(group, flushes, pool)
    with pytest.raises(Abandoned):
        run(group, Wish("a", budget=0.0))
    assert monitor.depths[-2:] == [1, 0]
    flushes.gate.set()
    first.result(LONG)


def test_batches_are_limited_and_keep_the_queue_order(
    group: GroupCommit[Wish], flushes: Flushes, pool: ThreadPoolExecutor
) -> None:
    occupied(group, flushes, pool)
    others = queued(group, pool, "abcdef")
    flushes.gate.set()
    assert [call.result(LONG) for call in others] == list("ABCDEF")
    assert flushes.batches == [["first"], ["a", "b", "c", "d"], ["e", "f"]]


def test_calls_beyond_the_queue_limit_are_rejected(
    group: GroupCommit[Wish], flushes: Flushes, pool: ThreadPoolExecutor
) -> None:
    occupied(group, flushes, pool)
    others = queued(group, pool, "abcdef")
    with pytest.raises(QueueFull):
        run(group, Wish("g"))
    flushes.gate.set()
    assert [call.result(LONG) for call in others] == list("ABCDEF")
    assert run(group, Wish("h")) == "H"


def test_calls_that_are_not_admitted_are_not_queued(flushes: Flushes, monitor: Watched) -> None:
    def admit() -> None:
        raise PermissionError

    group = GroupCommit[Wish](
        flushes, batch_limit=4, queue_limit=6, grace=0.05, monitor=monitor, admit=admit
    )
    with pytest.raises(PermissionError):
        run(group, Wish("a"))
    assert (flushes.batches, monitor.depths) == ([], [])


def test_queued_calls_can_be_rejected_without_those_in_a_flush(
    group: GroupCommit[Wish], flushes: Flushes, monitor: Watched, pool: ThreadPoolExecutor
) -> None:
    first = occupied(group, flushes, pool)
    others = queued(group, pool, "abcdef")
    group.reject_queued(PermissionError("not now"))
    for call in others:
        with pytest.raises(PermissionError):
            call.result(LONG)
    assert (first.done(), monitor.depths[-1]) == (False, 0)
    flushes.gate.set()
    assert first.result(LONG) == "FIRST"
    assert run(group, Wish("g")) == "G"
    assert flushes.batches == [["first"], ["g"]]


def test_calls_between_two_attempts_are_not_rejected_with_the_queue(
    group: GroupCommit[Wish], flushes: Flushes, pool: ThreadPoolExecutor
) -> None:
    first = occupied(group, flushes, pool)
    others = queued(group, pool, "ab")
    attempts: list[str] = []

    def attempt(wish: Wish) -> None:
        """Carry out what was tried before; behind the first attempt, all are turned away."""
        if wish.name in attempts or wish.name == "first":
            wish.succeed(wish.name)
        attempts.append(wish.name)
        if attempts[-2:] == ["a", "b"]:
            pool.submit(group.reject_queued, PermissionError("not now")).result(LONG)

    flushes.carry_out = attempt
    flushes.gate.set()
    assert [call.result(LONG) for call in (first, *others)] == ["first", "a", "b"]


def test_unanswered_calls_come_first_in_the_next_batch(
    group: GroupCommit[Wish], flushes: Flushes, pool: ThreadPoolExecutor
) -> None:
    attempts = {"a": 0, "b": 0}

    def second_time(wish: Wish) -> None:
        if wish.name in attempts and not attempts[wish.name]:
            attempts[wish.name] = 1
        else:
            wish.succeed(wish.name)

    flushes.carry_out = second_time
    occupied(group, flushes, pool)
    others = queued(group, pool, "axybz")
    flushes.gate.set()
    assert [call.result(LONG) for call in others] == list("axybz")
    assert flushes.batches == [["first"], ["a", "x", "y", "b"], ["a", "b", "z"]]


def test_an_error_of_one_call_does_not_fail_the_batch(
    group: GroupCommit[Wish], flushes: Flushes, pool: ThreadPoolExecutor
) -> None:
    def no_b(wish: Wish) -> None:
        if wish.name == "b":
            wish.fail(LookupError("b"))
        else:
            wish.succeed(wish.name)

    flushes.carry_out = no_b
    occupied(group, flushes, pool)
    a, b, c = queued(group, pool, "abc")
    flushes.gate.set()
    assert (a.result(LONG), c.result(LONG)) == ("a", "c")
    with pytest.raises(LookupError):
        b.result(LONG)


def test_a_crash_abandons_only_the_rest_of_its_batch(
    group: GroupCommit[Wish],
    flushes: Flushes,
    pool: ThreadPoolExecutor,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def crash_at_b(wish: Wish) -> None:
        if wish.name == "b":
            raise ZeroDivisionError
        wish.succeed(wish.name)

    flushes.carry_out = crash_at_b
    occupied(group, flushes, pool)
    a, b, c, d, e = queued(group, pool, "abcde")
    flushes.gate.set()
    assert a.result(LONG) == "a", "it was answered before"
    for call in (b, c, d):
        with pytest.raises(Abandoned) as abandoned:
            call.result(LONG)
        assert abandoned.value.was_started
    assert e.result(LONG) == "e"
    assert "ZeroDivisionError" in caplog.text
    assert caplog.records[0].levelno == logging.ERROR


def test_a_leader_that_exits_hands_over(
    group: GroupCommit[Wish], flushes: Flushes, pool: ThreadPoolExecutor
) -> None:
    def end(wish: Wish) -> None:
        if wish.name == "first":
            raise SystemExit
        wish.succeed(wish.name)

    flushes.carry_out = end
    first = occupied(group, flushes, pool)
    others = queued(group, pool, "ab")
    flushes.gate.set()
    with pytest.raises(SystemExit):
        first.result(LONG)
    assert [call.result(LONG) for call in others] == ["a", "b"]


def test_a_leader_hands_over_once_it_is_answered(
    group: GroupCommit[Wish], flushes: Flushes, pool: ThreadPoolExecutor
) -> None:
    flushes.carry_out = lambda wish: wish.succeed(str(threading.get_ident()))
    leader = occupied(group, flushes, pool)
    others = queued(group, pool, "abcdef")
    flushes.gate.set()
    leaders = [leader.result(LONG), *dict.fromkeys(call.result(LONG) for call in others)]
    assert len(set(leaders)) == 3, "one for each flush"


def test_a_queued_call_is_abandoned_at_its_deadline(
    group: GroupCommit[Wish], flushes: Flushes, pool: ThreadPoolExecutor
) -> None:
    occupied(group, flushes, pool)
    (late,) = queued(group, pool, "a", budget=0.05)
    with pytest.raises(Abandoned) as abandoned:
        late.result(LONG)
    assert not abandoned.value.was_started
    (other,) = queued(group, pool, "b")
    flushes.gate.set()
    assert other.result(LONG) == "B"
    assert flushes.batches == [["first"], ["b"]], "nobody does what nobody waits for"


class Hasty(Wish):
    def is_over(self) -> bool:
        if self.time_left <= 0:
            self.fail(TimeoutError())
        return self.is_answered


def test_an_expired_call_does_not_lead(group: GroupCommit[Wish], flushes: Flushes) -> None:
    with pytest.raises(TimeoutError):
        run(group, Hasty("late", budget=0))
    assert run(group, Wish("next")) == "NEXT"
    assert flushes.batches == [["next"]]


def test_a_leader_hands_over_at_its_deadline(
    group: GroupCommit[Wish], flushes: Flushes, pool: ThreadPoolExecutor
) -> None:
    def carry_out(wish: Wish) -> None:
        if wish.name == "leader":
            wish._end = 0.0
        else:
            wish.succeed(wish.name)

    flushes.carry_out = carry_out
    flushes.gate.clear()
    leader = pool.submit(run, group, Hasty("leader"))
    assert flushes.began.acquire(timeout=LONG)
    (other,) = queued(group, pool, "b")
    flushes.gate.set()
    with pytest.raises(TimeoutError):
        leader.result(LONG)
    assert other.result(LONG) == "b"
    assert flushes.batches == [["leader"], ["b"]]


def test_a_call_abandoned_during_its_flush_is_reported_as_started(
    group: GroupCommit[Wish], flushes: Flushes, pool: ThreadPoolExecutor
) -> None:
    occupied(group, flushes, pool)
    a, b = queued(group, pool, "ab", budget=0.2)
    flushes.began = threading.Semaphore(0)
    held, flushes.gate = flushes.gate, threading.Event()
    held.set()
    assert flushes.began.acquire(timeout=LONG), "a leads now, for b too"
    with pytest.raises(Abandoned) as abandoned:
        b.result(LONG)
    assert abandoned.value.was_started
    flushes.gate.set()
    assert a.result(LONG) == "A"


def test_an_abandoned_call_never_becomes_the_leader(
    group: GroupCommit[Wish], flushes: Flushes, pool: ThreadPoolExecutor
) -> None:
    flushes.carry_out = lambda wish: None if wish.name == "b" else wish.succeed(wish.name)
    occupied(group, flushes, pool)
    a, b = queued(group, pool, "ab", budget=0.2)
    flushes.began = threading.Semaphore(0)
    held, flushes.gate = flushes.gate, threading.Event()
    held.set()
    assert flushes.began.acquire(timeout=LONG), "a leads now, for b too"
    with pytest.raises(Abandoned):
        b.result(LONG)
    (later,) = queued(group, pool, "c")
    flushes.gate.set()
    assert (a.result(LONG), later.result(LONG)) == ("a", "c")
    assert flushes.batches == [["first"], ["a", "b"], ["c"]]


def test_concurrent_calls_are_all_answered(
    flushes: Flushes, monitor: Watched, pool: ThreadPoolExecutor
) -> None:
    group = GroupCommit[Wish](flushes, batch_limit=5, queue_limit=100, grace=1, monitor=monitor)
    names = [f"n{number}" for number in range(400)]
    assert list(pool.map(lambda name: run(group, Wish(name)), names)) == [n.upper() for n in names]
    assert sorted(name for batch in flushes.batches for name in batch) == sorted(names)


def test_calls_of_one_caller_are_flushed_in_order(
    flushes: Flushes, group: GroupCommit[Wish]
) -> None:
    wishes = [Wish(name) for name in "abcdef"]
    group.run(wishes)
    assert flushes.batches == [["a", "b", "c", "d"], ["e", "f"]]
    assert [wish.outcome() for wish in wishes] == list("ABCDEF")


def test_a_caller_leads_until_all_of_its_calls_are_answered(
    flushes: Flushes, group: GroupCommit[Wish]
) -> None:
    refused = ["b", "e"]

    def carry_out(wish: Wish) -> None:
        if wish.name in refused:
            refused.remove(wish.name)
        else:
            wish.succeed(wish.name.upper())

    flushes.carry_out = carry_out
    wishes = [Wish(name) for name in "abcdef"]
    group.run(wishes)
    assert [wish.outcome() for wish in wishes] == list("ABCDEF")
    assert flushes.batches == [["a", "b", "c", "d"], ["b", "e", "f"], ["e"]]


def test_concurrent_callers_of_several_and_of_single_calls_are_all_answered(
    flushes: Flushes, group: GroupCommit[Wish], pool: ThreadPoolExecutor
) -> None:
    for round_ in range(50):
        many = [[Wish(f"{caller}{n}") for n in range(2)] for caller in "ab"]
        single = Wish("c")
        running = [pool.submit(group.run, wishes) for wishes in [*many, [single]]]
        for run in running:
            run.result(LONG)
        answers = [wish.outcome() for wishes in [*many, [single]] for wish in wishes]
        assert answers == ["A0", "A1", "B0", "B1", "C"], round_


def test_more_calls_than_the_queue_limit_are_rejected_as_a_whole(
    flushes: Flushes, group: GroupCommit[Wish]
) -> None:
    wishes = [Wish(str(n)) for n in range(7)]
    with pytest.raises(QueueFull):
        group.run(wishes)
    assert flushes.batches == []
    with pytest.raises(Abandoned):
        wishes[0].outcome()


def test_only_the_expired_calls_of_a_caller_are_abandoned(
    flushes: Flushes, group: GroupCommit[Wish], pool: ThreadPoolExecutor
) -> None:
    flushes.gate.clear()
    first = pool.submit(group.run, [Wish("first")])
    assert flushes.began.acquire(timeout=LONG)
    wishes = [Wish("a", budget=0.01), Wish("b")]
    second = pool.submit(group.run, wishes)
    wait_until(lambda: list(group._queue) == [wishes[1]], "the first is given up")
    flushes.gate.set()
    first.result(LONG)
    second.result(LONG)
    with pytest.raises(Abandoned):
        wishes[0].outcome()
    assert wishes[1].outcome() == "B"
