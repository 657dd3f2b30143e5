"""Tests for leaders and deadlines of group commit: who leads, hands over or is abandoned."""

from __future__ import annotations

import threading
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from tests.support.waiting import wait_until
from tests.zerglings.hive.group_commits import (
    LONG,
    ControlledFlush,
    ExpiringCall,
    NamedCall,
    RecordingMonitor,
    enqueue,
    run,
    start_held_flush,
)
from zerglings.hive.group_commit import Abandoned, GroupCommit


def test_an_abandoned_call_is_removed_from_the_reported_queue_length(
    group: GroupCommit[NamedCall],
    flushes: ControlledFlush,
    monitor: RecordingMonitor,
    pool: ThreadPoolExecutor,
) -> None:
    first = start_held_flush(group, flushes, pool)
    with pytest.raises(Abandoned):
        run(group, NamedCall("a", budget=0.0))
    assert monitor.depths[-2:] == [1, 0]
    flushes.gate.set()
    first.result(LONG)


def test_a_leader_that_exits_hands_over(
    group: GroupCommit[NamedCall], flushes: ControlledFlush, pool: ThreadPoolExecutor
) -> None:
    def end(call: NamedCall) -> None:
        if call.name == "first":
            raise SystemExit
        call.succeed(call.name)

    flushes.carry_out = end
    first = start_held_flush(group, flushes, pool)
    others = enqueue(group, pool, "ab")
    flushes.gate.set()
    with pytest.raises(SystemExit):
        first.result(LONG)
    assert [call.result(LONG) for call in others] == ["a", "b"]


def test_a_leader_hands_over_once_it_is_answered(
    group: GroupCommit[NamedCall], flushes: ControlledFlush, pool: ThreadPoolExecutor
) -> None:
    flushes.carry_out = lambda call: call.succeed(str(threading.get_ident()))
    leader = start_held_flush(group, flushes, pool)
    others = enqueue(group, pool, "abcdef")
    flushes.gate.set()
    leaders = [leader.result(LONG), *dict.fromkeys(call.result(LONG) for call in others)]
    assert len(set(leaders)) == 3, "one leader per flush"


def test_a_queued_call_is_abandoned_at_its_deadline(
    group: GroupCommit[NamedCall], flushes: ControlledFlush, pool: ThreadPoolExecutor
) -> None:
    start_held_flush(group, flushes, pool)
    (late,) = enqueue(group, pool, "a", budget=0.05)
    with pytest.raises(Abandoned) as abandoned:
        late.result(LONG)
    assert not abandoned.value.was_started
    (other,) = enqueue(group, pool, "b")
    flushes.gate.set()
    assert other.result(LONG) == "B"
    assert flushes.batches == [["first"], ["b"]], "the abandoned call is not flushed"


def test_an_expired_call_does_not_lead(
    group: GroupCommit[NamedCall], flushes: ControlledFlush
) -> None:
    with pytest.raises(TimeoutError):
        run(group, ExpiringCall("late", budget=0))
    assert run(group, NamedCall("next")) == "NEXT"
    assert flushes.batches == [["next"]]


def test_a_leader_hands_over_at_its_deadline(
    group: GroupCommit[NamedCall], flushes: ControlledFlush, pool: ThreadPoolExecutor
) -> None:
    def carry_out(call: NamedCall) -> None:
        if call.name == "leader":
            call._end = 0.0
        else:
            call.succeed(call.name)

    flushes.carry_out = carry_out
    flushes.gate.clear()
    leader = pool.submit(run, group, ExpiringCall("leader"))
    assert flushes.began.acquire(timeout=LONG)
    (other,) = enqueue(group, pool, "b")
    flushes.gate.set()
    with pytest.raises(TimeoutError):
        leader.result(LONG)
    assert other.result(LONG) == "b"
    assert flushes.batches == [["leader"], ["b"]]


def start_flush_of_a_and_b(
    group: GroupCommit[NamedCall], flushes: ControlledFlush, pool: ThreadPoolExecutor
) -> list[Future[str]]:
    """Hold a flush that call a leads, until the gate opens; both calls time out soon."""
    start_held_flush(group, flushes, pool)
    futures = enqueue(group, pool, "ab", budget=0.2)
    flushes.began = threading.Semaphore(0)
    held, flushes.gate = flushes.gate, threading.Event()
    held.set()
    assert flushes.began.acquire(timeout=LONG), "call a leads the flush with b"
    return futures


def test_a_call_abandoned_during_its_flush_is_reported_as_started(
    group: GroupCommit[NamedCall], flushes: ControlledFlush, pool: ThreadPoolExecutor
) -> None:
    a, b = start_flush_of_a_and_b(group, flushes, pool)
    with pytest.raises(Abandoned) as abandoned:
        b.result(LONG)
    assert abandoned.value.was_started
    flushes.gate.set()
    assert a.result(LONG) == "A"


def test_an_abandoned_call_never_becomes_the_leader(
    group: GroupCommit[NamedCall], flushes: ControlledFlush, pool: ThreadPoolExecutor
) -> None:
    flushes.carry_out = lambda call: None if call.name == "b" else call.succeed(call.name)
    a, b = start_flush_of_a_and_b(group, flushes, pool)
    with pytest.raises(Abandoned):
        b.result(LONG)
    (later,) = enqueue(group, pool, "c")
    flushes.gate.set()
    assert (a.result(LONG), later.result(LONG)) == ("a", "c")
    assert flushes.batches == [["first"], ["a", "b"], ["c"]]


def test_a_caller_leads_until_all_of_its_calls_are_answered(
    flushes: ControlledFlush, group: GroupCommit[NamedCall]
) -> None:
    refused = ["b", "e"]

    def carry_out(call: NamedCall) -> None:
        if call.name in refused:
            refused.remove(call.name)
        else:
            call.succeed(call.name.upper())

    flushes.carry_out = carry_out
    calls = [NamedCall(name) for name in "abcdef"]
    group.run(calls)
    assert [call.outcome() for call in calls] == list("ABCDEF")
    assert flushes.batches == [["a", "b", "c", "d"], ["b", "e", "f"], ["e"]]


def test_concurrent_callers_of_several_and_of_single_calls_are_all_answered(
    flushes: ControlledFlush, group: GroupCommit[NamedCall], pool: ThreadPoolExecutor
) -> None:
    for round_ in range(50):
        many = [[NamedCall(f"{caller}{n}") for n in range(2)] for caller in "ab"]
        single = NamedCall("c")
        running = [pool.submit(group.run, calls) for calls in [*many, [single]]]
        for future in running:
            future.result(LONG)
        answers = [call.outcome() for calls in [*many, [single]] for call in calls]
        assert answers == ["A0", "A1", "B0", "B1", "C"], round_


def test_only_the_expired_calls_of_a_caller_are_abandoned(
    flushes: ControlledFlush, group: GroupCommit[NamedCall], pool: ThreadPoolExecutor
) -> None:
    flushes.gate.clear()
    first = pool.submit(group.run, [NamedCall("first")])
    assert flushes.began.acquire(timeout=LONG)
    calls = [NamedCall("a", budget=0.01), NamedCall("b")]
    second = pool.submit(group.run, calls)
    wait_until(lambda: list(group._queue) == [calls[1]], "the first is given up")
    flushes.gate.set()
    first.result(LONG)
    second.result(LONG)
    with pytest.raises(Abandoned):
        calls[0].outcome()
    assert calls[1].outcome() == "B"
