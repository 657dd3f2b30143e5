"""Tests for group commit: batches, queue limits and failed flushes."""

from __future__ import annotations

import logging
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.zerglings.hive.group_commits import (
    LONG,
    ControlledFlush,
    NamedCall,
    RecordingMonitor,
    enqueue,
    run,
    start_held_flush,
)
from zerglings.hive.group_commit import Abandoned, GroupCommit, QueueFull


def test_a_single_call_is_flushed_immediately(
    group: GroupCommit[NamedCall], flushes: ControlledFlush
) -> None:
    assert [run(group, NamedCall("a")), run(group, NamedCall("b"))] == ["A", "B"]
    assert flushes.batches == [["a"], ["b"]]


def test_calls_queued_during_a_flush_share_the_next_one(
    group: GroupCommit[NamedCall], flushes: ControlledFlush, pool: ThreadPoolExecutor
) -> None:
    first = start_held_flush(group, flushes, pool)
    others = enqueue(group, pool, "abc")
    flushes.gate.set()
    assert [call.result(LONG) for call in (first, *others)] == ["FIRST", "A", "B", "C"]
    assert flushes.batches == [["first"], ["a", "b", "c"]]


def test_queue_length_and_batch_size_are_reported(
    group: GroupCommit[NamedCall],
    flushes: ControlledFlush,
    monitor: RecordingMonitor,
    pool: ThreadPoolExecutor,
) -> None:
    first = start_held_flush(group, flushes, pool)
    others = enqueue(group, pool, "abc")
    assert monitor.depths == [1, 0, 1, 2, 3]
    flushes.gate.set()
    for call in (first, *others):
        call.result(LONG)
    assert monitor.sizes == [1, 3]
    assert monitor.depths[-1] == 0


def test_batches_are_limited_and_keep_the_queue_order(
    group: GroupCommit[NamedCall], flushes: ControlledFlush, pool: ThreadPoolExecutor
) -> None:
    start_held_flush(group, flushes, pool)
    others = enqueue(group, pool, "abcdef")
    flushes.gate.set()
    assert [call.result(LONG) for call in others] == list("ABCDEF")
    assert flushes.batches == [["first"], ["a", "b", "c", "d"], ["e", "f"]]


def test_calls_beyond_the_queue_limit_are_rejected(
    group: GroupCommit[NamedCall], flushes: ControlledFlush, pool: ThreadPoolExecutor
) -> None:
    start_held_flush(group, flushes, pool)
    others = enqueue(group, pool, "abcdef")
    with pytest.raises(QueueFull):
        run(group, NamedCall("g"))
    flushes.gate.set()
    assert [call.result(LONG) for call in others] == list("ABCDEF")
    assert run(group, NamedCall("h")) == "H"


def test_calls_that_are_not_admitted_are_not_queued(
    flushes: ControlledFlush, monitor: RecordingMonitor
) -> None:
    def admit() -> None:
        raise PermissionError

    group = GroupCommit[NamedCall](
        flushes, batch_limit=4, queue_limit=6, grace=0.05, monitor=monitor, admit=admit
    )
    with pytest.raises(PermissionError):
        run(group, NamedCall("a"))
    assert (flushes.batches, monitor.depths) == ([], [])


def test_queued_calls_can_be_rejected_without_those_in_a_flush(
    group: GroupCommit[NamedCall],
    flushes: ControlledFlush,
    monitor: RecordingMonitor,
    pool: ThreadPoolExecutor,
) -> None:
    first = start_held_flush(group, flushes, pool)
    others = enqueue(group, pool, "abcdef")
    group.reject_queued(PermissionError("not now"))
    for call in others:
        with pytest.raises(PermissionError):
            call.result(LONG)
    assert (first.done(), monitor.depths[-1]) == (False, 0)
    flushes.gate.set()
    assert first.result(LONG) == "FIRST"
    assert run(group, NamedCall("g")) == "G"
    assert flushes.batches == [["first"], ["g"]]


def test_calls_between_two_attempts_are_not_rejected_with_the_queue(
    group: GroupCommit[NamedCall], flushes: ControlledFlush, pool: ThreadPoolExecutor
) -> None:
    first = start_held_flush(group, flushes, pool)
    others = enqueue(group, pool, "ab")
    attempts: list[str] = []

    def attempt(call: NamedCall) -> None:
        """Answer at the second attempt; after the first one, reject all queued calls."""
        if call.name in attempts or call.name == "first":
            call.succeed(call.name)
        attempts.append(call.name)
        if attempts[-2:] == ["a", "b"]:
            pool.submit(group.reject_queued, PermissionError("not now")).result(LONG)

    flushes.carry_out = attempt
    flushes.gate.set()
    assert [call.result(LONG) for call in (first, *others)] == ["first", "a", "b"]


def test_unanswered_calls_come_first_in_the_next_batch(
    group: GroupCommit[NamedCall], flushes: ControlledFlush, pool: ThreadPoolExecutor
) -> None:
    attempts = {"a": 0, "b": 0}

    def second_time(call: NamedCall) -> None:
        if call.name in attempts and not attempts[call.name]:
            attempts[call.name] = 1
        else:
            call.succeed(call.name)

    flushes.carry_out = second_time
    start_held_flush(group, flushes, pool)
    others = enqueue(group, pool, "axybz")
    flushes.gate.set()
    assert [call.result(LONG) for call in others] == list("axybz")
    assert flushes.batches == [["first"], ["a", "x", "y", "b"], ["a", "b", "z"]]


def test_an_error_of_one_call_does_not_fail_the_batch(
    group: GroupCommit[NamedCall], flushes: ControlledFlush, pool: ThreadPoolExecutor
) -> None:
    def no_b(call: NamedCall) -> None:
        if call.name == "b":
            call.fail(LookupError("b"))
        else:
            call.succeed(call.name)

    flushes.carry_out = no_b
    start_held_flush(group, flushes, pool)
    a, b, c = enqueue(group, pool, "abc")
    flushes.gate.set()
    assert (a.result(LONG), c.result(LONG)) == ("a", "c")
    with pytest.raises(LookupError):
        b.result(LONG)


def test_a_crash_abandons_only_the_rest_of_its_batch(
    group: GroupCommit[NamedCall],
    flushes: ControlledFlush,
    pool: ThreadPoolExecutor,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def crash_at_b(call: NamedCall) -> None:
        if call.name == "b":
            raise ZeroDivisionError
        call.succeed(call.name)

    flushes.carry_out = crash_at_b
    start_held_flush(group, flushes, pool)
    a, b, c, d, e = enqueue(group, pool, "abcde")
    flushes.gate.set()
    assert a.result(LONG) == "a", "it was answered before"
    for call in (b, c, d):
        with pytest.raises(Abandoned) as abandoned:
            call.result(LONG)
        assert abandoned.value.was_started
    assert e.result(LONG) == "e"
    assert "ZeroDivisionError" in caplog.text
    assert caplog.records[0].levelno == logging.ERROR


def test_concurrent_calls_are_all_answered(
    flushes: ControlledFlush, monitor: RecordingMonitor, pool: ThreadPoolExecutor
) -> None:
    group = GroupCommit[NamedCall](
        flushes, batch_limit=5, queue_limit=100, grace=1, monitor=monitor
    )
    names = [f"n{number}" for number in range(400)]
    assert list(pool.map(lambda name: run(group, NamedCall(name)), names)) == [
        n.upper() for n in names
    ]
    assert sorted(name for batch in flushes.batches for name in batch) == sorted(names)


def test_calls_of_one_caller_are_flushed_in_order(
    flushes: ControlledFlush, group: GroupCommit[NamedCall]
) -> None:
    calls = [NamedCall(name) for name in "abcdef"]
    group.run(calls)
    assert flushes.batches == [["a", "b", "c", "d"], ["e", "f"]]
    assert [call.outcome() for call in calls] == list("ABCDEF")


def test_more_calls_than_the_queue_limit_are_rejected_as_a_whole(
    flushes: ControlledFlush, group: GroupCommit[NamedCall]
) -> None:
    calls = [NamedCall(str(n)) for n in range(7)]
    with pytest.raises(QueueFull):
        group.run(calls)
    assert flushes.batches == []
    with pytest.raises(Abandoned):
        calls[0].outcome()
