"""Tests for the hive's counters: births, moves, deaths, batches, conflicts, merges and cache."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from prometheus_client import REGISTRY

from tests.support.backends import Backend
from tests.support.faulty_store import FaultyStore
from tests.support.rivals import plant
from tests.support.waiting import wait_until
from zerglings.documents import Document
from zerglings.domain.pose import Pose
from zerglings.domain.zergling import CommandRequest, Zergling
from zerglings.hive.hive import Hive
from zerglings.hive.mutations import PreconditionFailed
from zerglings.storage.base import OutcomeUnknown, Store, StoreUnavailable


def value(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(f"overmind_{name}", labels) or 0.0


class Growth:
    """The growth of some samples since its creation."""

    def __init__(self, *samples: str, **labels: str) -> None:
        self._samples = samples
        self._labels = labels
        self._before = self._now()

    def _now(self) -> list[float]:
        return [value(sample, **self._labels) for sample in self._samples]

    def __call__(self) -> tuple[float, ...]:
        return tuple(now - was for now, was in zip(self._now(), self._before, strict=True))


@pytest.fixture
def lives() -> Growth:
    return Growth("spawns_total", "commands_total", "deaths_total")


def moved(hive: Hive, zergling: Zergling, words: str, key: str | None = None) -> Zergling:
    return hive.command(zergling.id, CommandRequest.command(words, key))


def test_spawns_commands_and_deaths_are_counted(hive: Hive, lives: Growth) -> None:
    zergling = hive.spawn(Pose())
    assert lives() == (1, 0, 0)
    moved(hive, zergling, "M")
    moved(hive, zergling, "MMRL")
    assert lives() == (1, 5, 0)
    hive.kill(zergling.id)
    assert lives() == (1, 5, 1)


def test_repeats_and_failed_preconditions_are_not_counted(hive: Hive, lives: Growth) -> None:
    zergling = hive.spawn(Pose(), "key")
    hive.spawn(Pose(), "key")
    for _ in range(3):
        moved(hive, zergling, "M", "once")
    with pytest.raises(PreconditionFailed):
        hive.command(zergling.id, CommandRequest.command("M"), lambda _: False)
    assert lives() == (1, 1, 0)


def test_concurrent_commands_are_all_counted(hive: Hive, lives: Growth) -> None:
    zergling = hive.spawn(Pose())
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: moved(hive, zergling, "MM"), range(40)))
    assert lives() == (1, 80, 0)


def test_reads_that_share_a_flush_are_counted_as_one_batch(store: Store) -> None:
    faulty, hold, holds = FaultyStore(store), threading.Event(), threading.Semaphore(0)
    hive = Hive(faulty)
    zergling = hive.spawn(Pose())
    batches = Growth("batch_size_sum", "batch_size_count", kind="looks")

    def wait(_ids: object) -> None:
        holds.release()
        assert hold.wait(10)

    faulty.before_get = wait
    with ThreadPoolExecutor(6) as pool:
        first = pool.submit(hive.get, zergling.id)
        assert holds.acquire(timeout=10)
        others = [pool.submit(hive.get, zergling.id) for _ in range(5)]
        wait_until(lambda: value("queue_depth", kind="looks") == 5, "five looks wait")
        hold.set()
        assert {each.result(10).id for each in (first, *others)} == {zergling.id}
    assert batches() == (6, 2)
    assert value("queue_depth", kind="looks") == 0


def test_a_lost_race_is_counted_as_a_retry_and_a_stale_revision(store: Store) -> None:
    hive, other = Hive(store), Hive(store)
    zergling = moved(hive, hive.spawn(Pose()), "M")
    races = Growth("retries_total", after="conflict")
    stale = Growth("revision_cache_total", result="stale")
    moved(other, zergling, "L")
    assert (races(), stale()) == ((0,), (0,))
    assert moved(hive, zergling, "R").history == ("M", "L", "R")
    assert (races(), stale()) == ((1,), (1,))


def test_the_cache_hits_own_writes_and_misses_other_zerglings(store: Store) -> None:
    hive = Hive(store)
    zergling = hive.spawn(Pose())
    moved(hive, zergling, "M")  # only now it is known which database this is
    hits = Growth("revision_cache_total", result="hit")
    misses = Growth("revision_cache_total", result="miss")
    moved(hive, zergling, "M")
    assert (hits(), misses()) == ((1,), (0,))
    moved(Hive(store), zergling, "M")
    assert (hits(), misses()) == ((1,), (1,))


def test_retries_are_counted_by_cause(store: Store) -> None:
    faulty = FaultyStore(store)
    hive = Hive(faulty)
    zergling = hive.spawn(Pose())
    lost, refused = (
        Growth("retries_total", after="unknown"),
        Growth("retries_total", after="unavailable"),
    )

    def lose(_document: Document) -> None:
        faulty.after_put = lambda _: None
        raise OutcomeUnknown("the answer was lost")

    faulty.after_put = lose
    assert moved(hive, zergling, "M").history == ("M",)
    assert (lost(), refused()) == ((1,), (0,))

    def refuse(_ids: object) -> None:
        faulty.before_get = lambda _: None
        raise StoreUnavailable("not now")

    faulty.before_get = refuse
    assert hive.get(zergling.id).history == ("M",)
    assert (lost(), refused()) == ((1,), (1,))


def test_the_last_failure_is_not_counted_as_a_retry(store: Store) -> None:
    faulty = FaultyStore(store)
    hive = Hive(faulty)
    zergling = hive.spawn(Pose())
    refused = Growth("retries_total", after="unavailable")

    def refuse(_ids: object) -> None:
        raise StoreUnavailable("never")

    faulty.before_get = refuse
    with pytest.raises(StoreUnavailable):
        hive.get(zergling.id)
    assert refused() == (3,), "the number of quick retries"


def test_a_merge_of_conflicting_revisions_is_counted_once(couch: Backend) -> None:
    store = couch.open()
    hive = Hive(store)
    zergling = hive.spawn(Pose())
    merges = Growth("merges_total")
    hive.get(zergling.id)
    assert merges() == (0,)
    moved(hive, zergling, "L")
    plant(couch, zergling.apply(CommandRequest("two", ("R",))), after=zergling.revision or "")
    assert sorted(hive.get(zergling.id).history) == ["L", "R"]
    assert hive.get(zergling.id).command_count == 2
    assert merges() == (1,)
    store.close()
