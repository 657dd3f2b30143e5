"""Tests for bulk operations over stores that fail and stores with concurrent writers."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.support.faulty_store import FaultyStore, raising
from zerglings.documents import Document
from zerglings.domain.pose import Pose
from zerglings.domain.zergling import CommandRequest, Zergling
from zerglings.hive.bulk import PART, Item, item_key
from zerglings.hive.healing import Healer
from zerglings.hive.hive import Hive
from zerglings.hive.mutation_group import Outcome
from zerglings.hive.mutations import KeyReused
from zerglings.repository import retry_budget
from zerglings.repository.chunk_store import MissingChunk
from zerglings.storage.base import OutcomeUnknown, Store, StoreUnavailable


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Raise all time limits: no test here is about time."""
    for limit in ("TIME_LIMIT", "LOOKUP_LIMIT", "QUICK_FAILURE_LIMIT", "STORE_CALL_TIMEOUT"):
        monkeypatch.setattr(retry_budget, limit, 60.0)


def flat(parts: Iterator[Sequence[Outcome]]) -> list[Outcome]:
    return [outcome for part in parts for outcome in part]


def spawned(hive: Hive, count: int, key: str | None = None) -> list[Zergling]:
    outcomes = flat(hive.bulk.spawn(count, Pose(), key))
    return [outcome for outcome in outcomes if isinstance(outcome, Zergling)]


def orders(zerglings: Sequence[Zergling], words: str, key: str | None = None) -> list[Item]:
    return [
        (zergling.id, CommandRequest.command(words, item_key(key, number)))
        for number, zergling in enumerate(zerglings)
    ]


def test_a_lost_response_mid_call_moves_no_zergling_twice(faulty: FaultyStore) -> None:
    hive = Hive(faulty)
    zerglings = spawned(hive, 2 * PART + 10)
    faulty.after_put = raising(OutcomeUnknown("lost"), times=3)
    outcomes = flat(hive.bulk.command(orders(zerglings, "M")))
    assert [outcome.history for outcome in outcomes if isinstance(outcome, Zergling)] == [
        ("M",)
    ] * len(zerglings)


def test_a_store_that_fails_a_whole_part_is_not_called_for_the_rest(
    faulty: FaultyStore,
) -> None:
    hive = Hive(faulty)
    zerglings = spawned(hive, 5 * PART)
    items = orders(zerglings, "M")
    items[-1] = ValueError("an item that was wrong from the beginning")
    parts = hive.bulk.command(items)
    assert all(isinstance(outcome, Zergling) for outcome in next(parts))
    away = raising(StoreUnavailable("away"), times=10**6)
    faulty.before_get, faulty.before_put = away, away
    faulty.gets.clear()
    rest = flat(parts)
    assert len(rest) == 4 * PART
    assert all(isinstance(outcome, StoreUnavailable) for outcome in rest[:-1])
    assert rest[-1] is items[-1]
    faulty.before_get, faulty.before_put = lambda ids: None, lambda document: None
    assert {id_ for ids, _ in faulty.gets for id_ in ids} <= {z.id for z in zerglings[: 2 * PART]}
    assert [len(hive.get(z.id).history) for z in zerglings[PART:]] == [0] * (4 * PART)


def test_a_damaged_history_fails_no_other_item(faulty: FaultyStore) -> None:
    hive = Hive(faulty, tail=100)
    damaged, well = spawned(hive, 2)
    for _ in range(10):
        hive.command(damaged.id, CommandRequest.command("R" * 30))
    chunks = faulty.history.page(None, 100, timeout=5).documents
    assert chunks
    for chunk in chunks:
        tombstone = {"_id": chunk["_id"], "_rev": chunk["_rev"], "_deleted": True}
        faulty.history.put_many([tombstone], timeout=5)
    bad = orders([damaged] * PART, "M", "k")
    good = [(well.id, CommandRequest.command("M", item_key("k", PART + n))) for n in range(PART)]
    outcomes = flat(Hive(faulty).bulk.command([*bad, *good], "k"))
    assert any(isinstance(outcome, MissingChunk) for outcome in outcomes[:PART])
    assert all(isinstance(outcome, StoreUnavailable) for outcome in outcomes[:PART])
    assert all(isinstance(outcome, Zergling) for outcome in outcomes[PART:])


def test_an_interrupted_call_is_completed_when_repeated_with_its_key(store: Store) -> None:
    hive = Hive(store)
    parts = hive.bulk.spawn(3 * PART, Pose(), "k")
    first = list(next(parts))
    parts.close()  # type: ignore[attr-defined]  # it is a generator, whose client went away
    again = spawned(Hive(store), 3 * PART, "k")
    assert again[:PART] == first
    assert len({zergling.id for zergling in again}) == 3 * PART


def test_concurrent_calls_with_one_key_take_effect_once(store: Store) -> None:
    hives = [Hive(store) for _ in range(4)]
    with ThreadPoolExecutor() as pool:
        swarms = list(pool.map(lambda hive: spawned(hive, 20, "k"), hives))
    assert all(bulk == swarms[0] for bulk in swarms)
    assert len(hives[0].list().zerglings) == 20


def test_only_one_of_different_concurrent_calls_with_one_key_succeeds(store: Store) -> None:
    barrier = threading.Barrier(4)

    def attempt(count: int) -> int:
        barrier.wait()
        try:
            return len(spawned(Hive(store), count, "k"))
        except KeyReused:
            return 0

    with ThreadPoolExecutor() as pool:
        counts = list(pool.map(attempt, [1, 2, 3, 4]))
    assert sorted(counts)[:3] == [0, 0, 0]
    assert len(Hive(store).list().zerglings) == max(counts) > 0


@pytest.mark.parametrize("is_stored", [True, False])
def test_a_key_record_is_looked_up_after_a_lost_response(
    faulty: FaultyStore, is_stored: bool
) -> None:
    hook = "after_put" if is_stored else "before_put"
    setattr(faulty.history, hook, raising(OutcomeUnknown("lost")))
    assert len(spawned(Hive(faulty), 2, "k")) == 2


def test_a_key_record_stored_by_a_minority_is_written_again(faulty: FaultyStore) -> None:
    minority = [True]
    faulty.history.is_minority = lambda document: bool(minority and minority.pop())
    assert len(spawned(Hive(faulty), 2, "k")) == 2
    notes = [put for put in faulty.history.puts if put[0]["_id"].startswith("key:")]
    assert len(notes) == 2


def test_a_call_is_not_executed_if_its_key_record_cannot_be_stored(faulty: FaultyStore) -> None:
    faulty.history.before_put = raising(StoreUnavailable("away"), times=10**6)
    hive = Hive(faulty)
    with pytest.raises(StoreUnavailable, match="could not record the idempotency key"):
        spawned(hive, 2, "k")
    assert hive.list().zerglings == []


def test_healing_keeps_key_records(store: Store) -> None:
    hive = Hive(store)
    spawned(hive, 1, "k")
    healer = Healer(store, 100, pause=lambda seconds: None)
    assert healer.remove_unreachable() == 0
    assert healer.failures == []
    with pytest.raises(KeyReused):
        spawned(hive, 2, "k")


def test_single_commands_are_written_between_the_parts_of_a_bulk_call(faulty: FaultyStore) -> None:
    hive = Hive(faulty)
    (other,) = spawned(hive, 1)
    parts = hive.bulk.spawn(10 * PART, Pose())
    held, release = threading.Event(), threading.Event()

    def hold(_: Document) -> None:
        held.set()
        assert release.wait(10)

    next(parts)
    faulty.before_put = hold
    with ThreadPoolExecutor() as pool:
        bulk = pool.submit(flat, parts)
        assert held.wait(10)
        move = pool.submit(hive.command, other.id, CommandRequest.command("M"))
        faulty.before_put = lambda _: None
        faulty.puts.clear()
        release.set()
        assert move.result(10).history == ("M",)
        assert len(bulk.result(20)) == 9 * PART
    written = [put[0]["_id"] for put in faulty.puts]
    assert other.id in written[: 2 * PART + 2]


def test_a_full_queue_fails_only_the_part_that_does_not_fit(
    faulty: FaultyStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("zerglings.hive.hive.QUEUE_LIMIT", PART - 1)
    monkeypatch.setattr("zerglings.hive.bulk.QUEUE_WAIT_LIMIT", 0.05)
    hive = Hive(faulty)
    outcomes = flat(hive.bulk.spawn(PART, Pose()))
    assert all(isinstance(outcome, StoreUnavailable) for outcome in outcomes)
    assert spawned(hive, PART - 1)
    assert str(uuid.UUID(hive.spawn(Pose()).id))
