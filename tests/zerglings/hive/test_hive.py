"""Tests for the use cases over stores with races, broken connections and lost responses."""

from __future__ import annotations

import logging
import threading
import time
import uuid
from collections.abc import Collection
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import pytest

from tests.support.documents import read, write
from tests.support.faulty_store import FaultyStore, raising
from zerglings.documents import Document
from zerglings.domain.pose import Pose, replay
from zerglings.domain.zergling import CommandRequest, OutOfBounds, Zergling
from zerglings.hive.hive import Hive
from zerglings.hive.mutations import NoSuchZergling, PreconditionFailed
from zerglings.repository import retry_budget
from zerglings.repository.retry_budget import TooMuchContention
from zerglings.storage.base import (
    AccountRefused,
    Conflict,
    NotBootstrapped,
    OutcomeUnknown,
    Page,
    Store,
    StoreUnavailable,
)


def moved(hive: Hive, zergling: Zergling, commands: str) -> Zergling:
    return hive.command(zergling.id, CommandRequest.command(commands))


def test_a_zergling_remembers_its_commands(hive: Hive) -> None:
    zergling = hive.spawn(Pose(1, 1, "E"))
    after = moved(hive, zergling, "MLM")
    assert (after.pose, after.history) == (Pose(2, 2, "N"), ("M", "L", "M"))
    assert hive.get(zergling.id) == after


def test_concurrent_commands_are_each_in_the_history_once(hive: Hive) -> None:
    zergling = hive.spawn(Pose())
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda n: moved(hive, zergling, "MR"[n % 2]), range(80)))
    end = hive.get(zergling.id)
    assert sorted(end.history) == ["M"] * 40 + ["R"] * 40
    assert len(set(end.request_ids)) == 80
    assert replay(end.spawn, end.history) == end.pose


def test_a_lost_response_does_not_move_twice(faulty: FaultyStore) -> None:
    hive = Hive(faulty)
    zergling = hive.spawn(Pose())
    faulty.after_put = raising(OutcomeUnknown("lost"))
    after = moved(hive, zergling, "M")
    assert after.history == ("M",)
    assert len(faulty.puts) == 2, "the spawn and one move"
    assert hive.get(zergling.id) == after


def test_a_write_that_did_not_arrive_is_sent_again(faulty: FaultyStore) -> None:
    hive = Hive(faulty)
    zergling = hive.spawn(Pose())
    faulty.before_put = raising(OutcomeUnknown("lost"), times=3)
    assert moved(hive, zergling, "M").history == ("M",)


def test_a_lost_response_does_not_spawn_twice(faulty: FaultyStore) -> None:
    hive = Hive(faulty)
    faulty.after_put = raising(OutcomeUnknown("lost"))
    zergling = hive.spawn(Pose())
    assert [z.id for z in hive.list().zerglings] == [zergling.id]


def test_an_outcome_that_cannot_be_determined_is_reported_as_unknown(
    faulty: FaultyStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retry_budget, "TIME_LIMIT", 0.3)
    zergling = Hive(faulty).spawn(Pose())
    faulty.after_put = raising(OutcomeUnknown("lost"))
    first_read = threading.Event()

    def reads_once(_: Collection[str]) -> None:
        if first_read.is_set():
            raise StoreUnavailable("gone")
        first_read.set()

    faulty.before_get = reads_once
    with pytest.raises(OutcomeUnknown):
        moved(Hive(faulty), zergling, "M")


def test_an_unavailable_store_is_reported_after_a_few_quick_retries(faulty: FaultyStore) -> None:
    hive = Hive(faulty)
    zergling = hive.spawn(Pose())
    faulty.before_put = raising(StoreUnavailable("away"), times=100)
    began = time.monotonic()
    with pytest.raises(StoreUnavailable):
        moved(hive, zergling, "M")
    assert time.monotonic() - began < retry_budget.TIME_LIMIT / 2
    assert len(faulty.puts) == 1 + 1 + retry_budget.QUICK_RETRIES
    assert hive.get(zergling.id).history == ()


def test_quick_failures_are_retried(faulty: FaultyStore) -> None:
    hive = Hive(faulty)
    zergling = hive.spawn(Pose())
    faulty.before_put = raising(StoreUnavailable("away"), times=retry_budget.QUICK_RETRIES)
    assert moved(hive, zergling, "M").history == ("M",)
    faulty.before_get = raising(StoreUnavailable("away"), times=retry_budget.QUICK_RETRIES)
    assert hive.get(zergling.id).history == ("M",)


@pytest.mark.parametrize("error", [AccountRefused("no"), NotBootstrapped("no")])
def test_permanent_errors_are_not_retried(faulty: FaultyStore, error: Exception) -> None:
    hive = Hive(faulty)
    zergling = hive.spawn(Pose())
    faulty.before_put = raising(error)
    with pytest.raises(type(error)):
        moved(hive, zergling, "M")
    assert len(faulty.puts) == 2


def test_endless_contention_ends_with_an_error(
    faulty: FaultyStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 0.0

    def lose(_document: Document) -> None:
        nonlocal now
        now += retry_budget.TIME_LIMIT / 8
        raise Conflict("raced")

    hive = Hive(faulty)
    zergling = hive.spawn(Pose())
    monkeypatch.setattr(retry_budget, "time", SimpleNamespace(monotonic=lambda: now))
    faulty.before_put = lose
    with pytest.raises(TooMuchContention):
        moved(hive, zergling, "M")
    assert len(faulty.puts) > 3, "it tried"


def test_a_command_that_was_applied_before_a_death_is_acknowledged(
    faulty: FaultyStore, store: Store
) -> None:
    hive, other = Hive(faulty), Hive(store)
    zergling = hive.spawn(Pose())

    def die_and_lose_the_answer(document: Document) -> None:
        faulty.after_put = lambda document: None
        other.kill(zergling.id)
        raise OutcomeUnknown("lost")

    faulty.after_put = die_and_lose_the_answer
    assert moved(hive, zergling, "M").history[0] == "M"


@pytest.mark.parametrize("crashes", ["before_put", "before_get"])
def test_a_crashed_flush_is_reported_as_a_store_failure(
    faulty: FaultyStore, caplog: pytest.LogCaptureFixture, crashes: str
) -> None:
    zergling = Hive(faulty).spawn(Pose())
    hive = Hive(faulty)
    setattr(faulty, crashes, raising(ZeroDivisionError()))
    with pytest.raises(OutcomeUnknown):
        moved(hive, zergling, "M")
    assert "ZeroDivisionError" in caplog.text
    assert moved(hive, zergling, "M").history == ("M",)
    faulty.before_get = raising(ZeroDivisionError())
    with pytest.raises(StoreUnavailable):
        hive.get(zergling.id)
    assert hive.get(zergling.id).history == ("M",)


def test_a_step_over_the_edge_changes_nothing(hive: Hive) -> None:
    zergling = hive.spawn(Pose(2**53 - 1, 0, "E"))
    with pytest.raises(OutOfBounds):
        moved(hive, zergling, "LM" + "RM")
    assert hive.get(zergling.id).history == ()


def test_dead_zerglings_are_not_found(hive: Hive) -> None:
    zergling, other = hive.spawn(Pose()), hive.spawn(Pose())
    hive.kill(zergling.id)
    for call in (hive.get, hive.kill, lambda id_: hive.command(id_, CommandRequest.command("M"))):
        with pytest.raises(NoSuchZergling):
            call(zergling.id)
    assert [z.id for z in hive.list().zerglings] == [other.id]


def test_a_death_is_acknowledged_after_a_lost_response(faulty: FaultyStore) -> None:
    hive = Hive(faulty)
    zergling = hive.spawn(Pose())
    faulty.after_put = raising(OutcomeUnknown("lost"))
    hive.kill(zergling.id)
    with pytest.raises(NoSuchZergling):
        hive.kill(zergling.id)


def test_only_one_of_concurrent_deletions_succeeds(hive: Hive) -> None:
    zergling = hive.spawn(Pose())

    def kill(_: int) -> bool:
        try:
            hive.kill(zergling.id)
        except NoSuchZergling:
            return False
        return True

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(kill, range(4))).count(True) == 1


def test_a_known_key_does_not_move_a_dead_zergling_from_the_cache(store: Store) -> None:
    """The cached revision is tried first; its failure leads to the death."""
    one, two = Hive(store), Hive(store)
    zergling = one.spawn(Pose())
    moved(one, zergling, "M")
    two.command(zergling.id, CommandRequest.command("L", "key"))
    two.kill(zergling.id)
    with pytest.raises(NoSuchZergling):
        one.command(zergling.id, CommandRequest.command("L", "key"))


def test_a_precondition_is_checked_against_the_current_revision(hive: Hive) -> None:
    zergling = hive.spawn(Pose())
    first = moved(hive, zergling, "M")

    def is_first(current: Zergling) -> bool:
        return current.revision == first.revision

    second = hive.command(zergling.id, CommandRequest.command("M"), is_first)
    for change in (
        lambda: hive.command(zergling.id, CommandRequest.command("M"), is_first),
        lambda: hive.kill(zergling.id, is_first),
    ):
        with pytest.raises(PreconditionFailed):
            change()
    assert hive.get(zergling.id) == second


def test_a_precondition_holds_for_only_one_of_concurrent_commands(hive: Hive) -> None:
    zergling = hive.spawn(Pose())
    current = hive.get(zergling.id)

    def command(_: int) -> bool:
        try:
            hive.command(
                zergling.id, CommandRequest.command("M"), lambda z: z.revision == current.revision
            )
        except PreconditionFailed:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(command, range(16))).count(True) == 1


@pytest.mark.parametrize(
    "zergling_id", ["", "x", "_design/x", "..", "5FB0A7C2-6E0B-4C39-9A51-3C8C5C3C2B1D", "\0"]
)
def test_a_malformed_id_is_not_found_without_a_store_call(
    faulty: FaultyStore, zergling_id: str
) -> None:
    faulty.before_get = raising(AssertionError("the store was asked"))
    with pytest.raises(NoSuchZergling):
        Hive(faulty).get(zergling_id)


def test_a_document_that_is_no_zergling_is_skipped_and_logged(
    hive: Hive, store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    zergling = hive.spawn(Pose())
    stranger = str(uuid.uuid4())
    write(store, {"_id": stranger, "shopping": ["milk"]})
    write(store, {"_id": "notes", "text": "x"})
    with caplog.at_level(logging.WARNING):
        assert [z.id for z in hive.list().zerglings] == [zergling.id]
    assert stranger in caplog.text
    assert "milk" not in caplog.text
    with pytest.raises(NoSuchZergling):
        hive.get(stranger)
    with pytest.raises(NoSuchZergling):
        moved(hive, Zergling.spawned(stranger, Pose()), "M")
    assert read(store, stranger)["shopping"] == ["milk"]


def test_pages_hold_as_many_living_zerglings_as_requested(hive: Hive) -> None:
    ids = sorted(hive.spawn(Pose()).id for _ in range(9))
    for dead in ids[2:5]:
        hive.kill(dead)
    living = ids[:2] + ids[5:]
    assert [z.id for z in hive.list(limit=3).zerglings] == living[:3]
    assert hive.list(limit=3).after == living[2]
    assert [z.id for z in hive.list(after=living[2], limit=3).zerglings] == living[3:]
    assert hive.list(after=living[2], limit=3).after is None
    assert hive.list(limit=len(living)).after is None


def test_a_suspended_list_reader_holds_no_documents_in_memory(hive: Hive) -> None:
    hive.spawn(Pose())
    pages = hive.pages()
    assert len(next(pages)) == 1
    assert not any(isinstance(held, Page) for held in pages.gi_frame.f_locals.values())  # type: ignore[attr-defined]  # it is a generator


def test_a_document_of_the_original_is_moved_as_it_is(hive: Hive, store: Store) -> None:
    zergling_id = str(uuid.uuid4())
    document = {"_id": zergling_id, "id": zergling_id, "location": {"x": -1, "y": 1}, "facing": "W"}
    document["commandHistory"] = ["M", "L", "what?", "M"]
    write(store, document)
    after = hive.command(zergling_id, CommandRequest.command("M"))
    assert after.history == ("M", "L", "what?", "M", "M")
    assert (after.pose, after.spawn) == (Pose(-2, 1, "W"), Pose())
    stored = read(store, zergling_id)
    assert stored["spawn"] == {"location": {"x": 0, "y": 0}, "facing": "N"}
    assert len(stored["commandIds"]) == 5


def test_health_follows_the_store(faulty: FaultyStore, caplog: pytest.LogCaptureFixture) -> None:
    hive = Hive(faulty)
    assert hive.is_healthy()

    def away(*, timeout: float) -> None:
        raise StoreUnavailable("away")

    faulty.ping = away  # type: ignore[method-assign]  # just here
    assert not hive.is_healthy()
    assert "away" in caplog.text
