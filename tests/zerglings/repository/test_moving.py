"""Tests for the original service's single documents with thousands of commands."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from itertools import count, cycle, islice
from types import FrameType
from typing import TYPE_CHECKING
from unittest.mock import Mock

import pytest

from tests.support.documents import read, write
from tests.support.faulty_store import FaultyStore, raising
from tests.support.lives import of_the_original
from zerglings import cooperative
from zerglings.documents import Document
from zerglings.domain import document_format
from zerglings.domain.chunks import LONG_HISTORY, shorten
from zerglings.domain.document_format import decode, encode_pose
from zerglings.domain.merging import Leaf, merge
from zerglings.domain.pose import Pose, replay
from zerglings.domain.zergling import CommandRequest, Zergling
from zerglings.hive.hive import Hive
from zerglings.hive.mutations import NoSuchZergling
from zerglings.repository import moving
from zerglings.storage.base import OutcomeUnknown, Store, StoreError

if TYPE_CHECKING:
    from _typeshed import TraceFunction

WORDS = list(islice(cycle(["M", "M", "jump", "L", "M", "R", "R"]), 2 * LONG_HISTORY))
DEADLINE = 20.0
STEPS = 125_000
"""Lines of code that may run without yielding, which take about ten milliseconds."""


@pytest.fixture(autouse=True)
def _time_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    """Raise the time limit of moves for a busy machine."""
    monkeypatch.setattr(moving, "TIME_LIMIT", DEADLINE)


@pytest.fixture
def hive(faulty: FaultyStore) -> Hive:
    return Hive(faulty)


@pytest.fixture
def old(store: Store) -> str:
    """A zergling with a long history, as the original left it."""
    left = of_the_original(WORDS)
    write(store, left)
    return str(left["_id"])


def words_of(hive: Hive, zergling_id: str) -> list[str]:
    return [word for part in hive.history(zergling_id).parts for word in part]


def test_the_first_command_moves_a_long_history_into_chunks(
    hive: Hive, old: str, store: Store
) -> None:
    before = hive.get(old)
    moved = hive.command(old, CommandRequest.command("M"))
    assert moved.pose == before.pose.after("M")
    assert moved.command_count == len(WORDS) + 1
    assert len(read(store, old)["commandHistory"]) < 1000
    assert words_of(hive, old) == [*WORDS, "M"]


def test_reading_a_long_history_shows_all_of_it_and_writes_nothing(
    hive: Hive, old: str, faulty: FaultyStore
) -> None:
    assert list(hive.get(old).history) == WORDS
    middle = hive.history(old, LONG_HISTORY, 7)
    assert [word for part in middle.parts for word in part] == WORDS[
        LONG_HISTORY : LONG_HISTORY + 7
    ]
    assert middle.after == LONG_HISTORY + 7
    assert faulty.puts == faulty.history.puts == []


def test_the_document_is_changed_only_after_every_chunk_is_stored(
    hive: Hive, old: str, faulty: FaultyStore
) -> None:
    stored: list[str] = []
    faulty.history.after_put = lambda chunk: stored.append(str(chunk["_id"]))
    newest: list[tuple[str, list[str]]] = []
    faulty.before_put = lambda document: newest.append((document["base"]["chunk"], list(stored)))
    hive.command(old, CommandRequest.command("M"))
    ((chunk, before),) = newest
    assert chunk == before[-1]


@pytest.mark.parametrize("number", [1, 7, 20])
@pytest.mark.parametrize("place", ["before_put", "after_put"])
def test_a_crash_between_two_chunks_loses_and_duplicates_nothing(
    old: str, store: Store, number: int, place: str
) -> None:
    faulty, left = FaultyStore(store), [number]

    def crash(chunk: Document) -> None:
        left[0] -= 1
        if not left[0]:
            raise OutcomeUnknown("crashed")

    setattr(faulty.history, place, crash)
    with pytest.raises(StoreError):
        Hive(faulty).command(old, CommandRequest.command("M"))
    assert read(store, old)["commandHistory"] == WORDS
    hive = Hive(store)
    assert list(hive.get(old).history) == WORDS
    hive.command(old, CommandRequest.command("R"))
    assert words_of(hive, old) == [*WORDS, "R"]


def test_a_crash_before_the_document_is_written_loses_nothing(old: str, store: Store) -> None:
    faulty = FaultyStore(store)
    faulty.before_put = raising(OutcomeUnknown("crashed"), times=1000)
    with pytest.raises(StoreError):
        Hive(faulty).command(old, CommandRequest.command("M"))
    hive = Hive(store)
    assert list(hive.get(old).history) == WORDS
    hive.command(old, CommandRequest.command("R"))
    assert words_of(hive, old) == [*WORDS, "R"]


def test_a_repeated_key_moves_a_long_history_once(hive: Hive, old: str, store: Store) -> None:
    for each in (hive, hive, Hive(store)):
        each.command(old, CommandRequest.command("MM", "a key"))
    assert words_of(hive, old) == [*WORDS, "M", "M"]


def test_a_repeated_spawn_returns_a_zergling_with_a_long_history(hive: Hive, store: Store) -> None:
    spawn = hive.spawn(Pose(), "a key")
    old = of_the_original(WORDS) | encode_pose(replay(Pose(), WORDS))
    write(store, old | {"_id": spawn.id, "id": spawn.id, "_rev": spawn.revision})
    for each in (hive, Hive(store)):
        assert each.spawn(Pose(), "a key").command_count == len(WORDS)


def test_a_zergling_with_a_long_history_can_be_deleted(hive: Hive, old: str, store: Store) -> None:
    hive.kill(old)
    with pytest.raises(NoSuchZergling):
        hive.get(old)
    assert len(read(store, old)["commandHistory"]) < 1000


def test_a_concurrent_write_of_the_original_is_kept(hive: Hive, old: str, store: Store) -> None:
    racing, chunks = FaultyStore(store), count()

    def go_on(chunk: Document) -> None:
        if next(chunks) == 0:
            left = read(store, old)
            write(store, left | {"commandHistory": [*left["commandHistory"], "jump"]})

    racing.history.before_put = go_on
    Hive(racing).command(old, CommandRequest.command("M"))
    assert words_of(hive, old) == [*WORDS, "jump", "M"]


def test_concurrent_commands_succeed_and_the_history_is_moved_once(
    hive: Hive, old: str, faulty: FaultyStore
) -> None:
    with ThreadPoolExecutor(8) as pool:
        calls = [pool.submit(hive.command, old, CommandRequest.command("R")) for _ in range(8)]
        for call in calls:
            call.result(DEADLINE)
    assert words_of(hive, old) == [*WORDS, *"R" * 8]
    chunks = [chunk["_id"] for put in faulty.history.puts for chunk in put]
    assert len(chunks) == len(set(chunks))


def test_other_zerglings_are_served_while_a_long_history_is_moved(
    hive: Hive, old: str, store: Store, faulty: FaultyStore
) -> None:
    other = of_the_original(["M"])
    write(store, other)
    begun, may_go_on = threading.Event(), threading.Event()

    def wait(chunk: Document) -> None:
        begun.set()
        assert may_go_on.wait(DEADLINE)

    faulty.history.before_put = wait
    with ThreadPoolExecutor(1) as pool:
        call = pool.submit(hive.command, old, CommandRequest.command("M"))
        assert begun.wait(DEADLINE)
        assert hive.command(other["_id"], CommandRequest.command("M")).command_count == 2
        assert len(hive.get(old).history) == len(WORDS)
        may_go_on.set()
        assert call.result(DEADLINE).command_count == len(WORDS) + 1


def test_a_command_that_times_out_during_the_move_fails_and_the_move_completes(
    hive: Hive, old: str, faulty: FaultyStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    may_go_on = threading.Event()
    faulty.history.before_put = lambda chunk: assert_true(may_go_on.wait(DEADLINE))
    with monkeypatch.context() as patched:
        patched.setattr(moving, "TIME_LIMIT", 0.0)
        with pytest.raises(moving.StillMoving):
            hive.command(old, CommandRequest.command("M"))
    may_go_on.set()
    assert hive.command(old, CommandRequest.command("L")).command_count == len(WORDS) + 1
    assert words_of(hive, old) == [*WORDS, "L"]


def test_moves_of_one_zergling_count_separately_per_revision(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(moving, "TIME_LIMIT", 0.0)
    may_go_on, archive = threading.Event(), Mock()
    archive.move_history.side_effect = lambda zergling, timeout: may_go_on.wait(60)
    mover = moving.Mover(archive)

    def change(revision: int) -> None:
        zergling = Zergling.spawned("z", Pose())
        raise moving.LongHistory(replace(zergling, revision=f"{revision}-a"))

    for revision in range(moving.MOVES_LIMIT):
        with pytest.raises(moving.StillMoving, match="is still being moved"):
            mover.retry_after_moving(partial(change, revision))
    with pytest.raises(moving.StillMoving, match="too many"):
        mover.retry_after_moving(partial(change, moving.MOVES_LIMIT))
    may_go_on.set()


def assert_true(value: bool) -> None:
    assert value


def test_a_bulk_call_moves_a_long_history_too(hive: Hive, old: str, store: Store) -> None:
    other = of_the_original(["M"])
    write(store, other)
    items = [
        (old, CommandRequest.command("M")),
        (other["_id"], CommandRequest.command("L")),
        (old, CommandRequest.command("RR")),
    ]
    parts: Sequence[Sequence[object]] = list(hive.bulk.command(items))
    assert [getattr(one, "command_count", one) for part in parts for one in part] == [
        len(WORDS) + 1,
        2,
        len(WORDS) + 3,
    ]
    assert words_of(hive, old) == [*WORDS, "M", "R", "R"]


def test_conflicting_revisions_with_long_histories_are_merged() -> None:
    shared = of_the_original(WORDS)
    one = decode(shared | {"commandHistory": [*WORDS, "L"], "_rev": "2-a"})
    other = decode(shared | {"commandHistory": [*WORDS, "R"], "_rev": "2-b"})
    assert list(merge([Leaf(one), Leaf(other)]).history) == [*WORDS, "R", "L"]


def lines_run(work: Callable[[], object], monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Return the numbers of lines of code that run between two yields."""
    stretches = [0]

    def trace(frame: FrameType, event: str, arg: object) -> TraceFunction:
        stretches[-1] += event == "line"
        return trace

    monkeypatch.setattr(cooperative, "yield_control", lambda: stretches.append(0))
    before = sys.gettrace()
    sys.settrace(trace)
    try:
        work()
    finally:
        sys.settrace(before)
    return stretches


def test_work_grows_linearly_with_the_history_and_yields_regularly(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def stretches(factor: int) -> list[int]:
        left = of_the_original(WORDS * factor)
        return lines_run(lambda: shorten(decode(left), 100), monkeypatch)

    once, twice = stretches(1), stretches(2)
    assert sum(twice) < 2.2 * sum(once)
    assert max(twice) < STEPS


def test_reading_derives_no_command_ids(
    hive: Hive, old: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    derived: list[int] = []
    monkeypatch.setattr(
        document_format, "_ids_from_history", lambda words: derived.append(len(words))
    )
    assert hive.get(old).command_count == len(WORDS)
    assert derived == []
