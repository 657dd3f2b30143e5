"""Tests that readers merge conflicting revisions without losing any command id."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.support.backends import Backend
from tests.support.documents import leaves
from tests.support.faulty_store import FaultyStore, raising
from tests.support.rivals import plant, plant_document
from zerglings.documents import Document
from zerglings.domain.chunks import shorten
from zerglings.domain.document_format import decode, encode
from zerglings.domain.pose import Pose, replay
from zerglings.domain.zergling import CommandRequest, Zergling
from zerglings.hive.hive import Hive
from zerglings.hive.mutations import NoSuchZergling
from zerglings.repository.archive import Archive
from zerglings.storage.base import Conflict, OutcomeUnknown, Store, StoreUnavailable


@pytest.fixture
def backend(couch: Backend) -> Backend:
    """Only CouchDB has conflicting revisions."""
    return couch


@pytest.fixture
def parent(hive: Hive) -> Zergling:
    zergling = hive.spawn(Pose())
    return hive.command(zergling.id, CommandRequest.command("M"))


def after(zergling: Zergling, request_id: str, words: str) -> Zergling:
    return zergling.apply(CommandRequest(request_id, tuple(words)))


def rivals(backend: Backend, hive: Hive, parent: Zergling) -> None:
    """Make three leaves: one written by the hive, and two planted beside it."""
    hive.command(parent.id, CommandRequest.command("L"))
    plant(backend, after(parent, "two", "RR"), after=parent.revision or "")
    plant(backend, after(parent, "three", "MM"), after=parent.revision or "")


def living_ids(store: Store, zergling_id: str) -> set[str]:
    found = leaves(store, zergling_id) or []
    return {request.id for leaf in found for request in decode(leaf).requests()}


def test_the_first_read_merges_conflicting_revisions_without_loss(
    backend: Backend, hive: Hive, store: Store, parent: Zergling
) -> None:
    rivals(backend, hive, parent)
    before = living_ids(store, parent.id)
    assert len(leaves(store, parent.id) or []) == 3
    merged = hive.get(parent.id)
    assert sorted(merged.history) == sorted("MLRRMM")
    assert {request.id for request in merged.requests()} == before
    assert replay(merged.spawn, merged.history) == merged.pose
    (only,) = leaves(store, parent.id) or []
    assert decode(only) == merged == hive.get(parent.id)


def test_a_command_merges_conflicting_revisions(
    backend: Backend, hive: Hive, store: Store, parent: Zergling
) -> None:
    rivals(backend, hive, parent)
    moved = Hive(store).command(parent.id, CommandRequest.command("M"))
    assert sorted(moved.history) == sorted("MLRRMMM")
    (only,) = leaves(store, parent.id) or []
    assert decode(only) == moved


def test_a_death_on_one_side_of_a_partition_wins(
    backend: Backend, hive: Hive, parent: Zergling
) -> None:
    hive.command(parent.id, CommandRequest.command("L"))
    hive.command(parent.id, CommandRequest.command("L"))
    plant(backend, parent.apply(CommandRequest.death(7)), after=parent.revision or "")
    with pytest.raises(NoSuchZergling):
        hive.get(parent.id)
    assert hive.list().zerglings == []


def test_a_stale_leaf_from_long_ago_adds_nothing(
    backend: Backend, hive: Hive, store: Store, parent: Zergling
) -> None:
    stale = parent
    for _ in range(5):
        parent = hive.command(parent.id, CommandRequest.command("R"))
    plant(backend, stale, after=stale.revision or "")
    merged = hive.get(parent.id)
    assert merged.history == parent.history
    assert len(leaves(store, parent.id) or []) == 1


def test_concurrent_merges_end_with_one_leaf(
    backend: Backend, hive: Hive, store: Store, parent: Zergling
) -> None:
    other = Hive(backend.open())
    for round_ in range(5):
        base = hive.get(parent.id)
        hive.command(parent.id, CommandRequest.command("L"))
        plant(backend, after(base, f"two{round_}", "R"), after=base.revision or "")
        barrier = threading.Barrier(2)

        def merge(hive: Hive, barrier: threading.Barrier = barrier) -> Zergling:
            barrier.wait()
            return hive.get(parent.id)

        with ThreadPoolExecutor(2) as pool:
            one, two = pool.map(merge, (hive, other))
        assert one.history == two.history
        hive.get(parent.id)
        assert len(leaves(store, parent.id) or []) == 1
    end = hive.get(parent.id)
    assert sorted(end.history) == sorted("M" + "LR" * 5)
    other._store.close()


class Stop(Exception):
    """Simulates the end of the process at a chosen moment."""


def test_a_merge_interrupted_between_any_two_calls_loses_nothing(
    backend: Backend, hive: Hive, store: Store, parent: Zergling
) -> None:
    rivals(backend, hive, parent)
    before = living_ids(store, parent.id)
    stops = 0
    for moment in range(20):
        faulty = FaultyStore(store)
        calls = [0]

        def stop_at(_: object, moment: int = moment, calls: list[int] = calls) -> None:
            calls[0] += 1
            if calls[0] > moment:
                raise Stop

        faulty.before_get = faulty.before_put = stop_at
        try:
            Hive(faulty)._reader.read([parent.id], timeout=5)
        except Stop:
            stops += 1
            assert living_ids(store, parent.id) == before
            assert stops < 20
            if len(leaves(store, parent.id) or []) == 1:
                break
        else:
            break
    assert stops >= 4, "the read, the merge, and two losers"
    assert living_ids(store, parent.id) == before
    assert len(leaves(store, parent.id) or []) == 1


@pytest.mark.parametrize("error", [StoreUnavailable("away"), OutcomeUnknown("lost")])
def test_a_read_succeeds_when_the_merge_cannot_be_written(
    backend: Backend, hive: Hive, store: Store, parent: Zergling, error: Exception
) -> None:
    rivals(backend, hive, parent)
    faulty = FaultyStore(store)
    faulty.before_put = raising(error, times=10**6)
    merged = Hive(faulty).get(parent.id)
    assert sorted(merged.history) == sorted("MLRRMM")
    assert len(leaves(store, parent.id) or []) == 3


def test_a_merge_that_lost_a_race_reads_again(
    backend: Backend, hive: Hive, store: Store, parent: Zergling
) -> None:
    rivals(backend, hive, parent)
    faulty = FaultyStore(store)
    others = Hive(store)

    def raced(document: Document) -> None:
        faulty.before_put = lambda document: None
        others.command(parent.id, CommandRequest("raced", ("M",)))
        raise Conflict("raced")

    faulty.before_put = raced
    merged = Hive(faulty).get(parent.id)
    assert "raced" in merged.request_ids
    assert len(merged.history) == 7
    assert len(leaves(store, parent.id) or []) == 1


def test_losing_leaves_are_kept_until_a_majority_stored_the_merge(
    backend: Backend, hive: Hive, store: Store, parent: Zergling
) -> None:
    rivals(backend, hive, parent)
    faulty = FaultyStore(store)
    faulty.is_minority = lambda document: True
    merged = Hive(faulty).get(parent.id)
    assert len(merged.history) == 6
    assert len(leaves(store, parent.id) or []) == 3, "the merge on the winner, and both losers"
    hive.get(parent.id)
    assert len(leaves(store, parent.id) or []) == 1


def test_conflicting_revisions_with_different_chunks_are_merged(
    backend: Backend, store: Store, parent: Zergling
) -> None:
    hive = Hive(store, tail=10)
    for _ in range(18):
        parent = hive.command(parent.id, CommandRequest.command("R"))
    one = parent
    for number in range(6):
        one = hive.command(parent.id, CommandRequest(f"one{number}", ("M",)))
    assert one.base.chunk is not None
    rival = parent
    for number in range(9):
        rival = rival.apply(CommandRequest(f"two{number}", ("L", "M")))
    other = Hive(store, tail=10)
    shorter, chunks = shorten(rival, 10)
    Archive(other._store.history).store_chunks(chunks, timeout=5)
    assert shorter.base.chunk not in (None, one.base.chunk)
    plant(backend, shorter, after=parent.revision or "", generation=30)
    merged = hive.get(parent.id)
    words = [word for part in hive.history(parent.id).parts for word in part]
    assert sorted(words) == sorted("M" + "R" * 18 + "M" * 6 + "LM" * 9)
    assert replay(merged.spawn, words) == merged.pose
    assert merged.command_count == len(words)


def test_a_leaf_of_the_original_is_merged_by_its_commands(
    backend: Backend, hive: Hive, store: Store, parent: Zergling
) -> None:
    its: Document = {
        key: value
        for key, value in encode(after(parent, "x", "R")).items()
        if key in ("_id", "id", "location", "facing", "commandHistory")
    }
    hive.command(parent.id, CommandRequest.command("L"))
    plant_document(backend, its, after=parent.revision or "")
    assert sorted(hive.get(parent.id).history) == ["L", "M", "R"]
    assert len(leaves(store, parent.id) or []) == 1


def test_a_conflicting_revision_that_is_not_a_zergling_is_kept(
    backend: Backend, hive: Hive, store: Store, parent: Zergling
) -> None:
    hive.command(parent.id, CommandRequest.command("R"))
    plant_document(
        backend, {"_id": parent.id, "shopping": ["milk"]}, after=parent.revision or "", generation=9
    )
    assert hive.get(parent.id).history == ("M", "R")
    assert hive.command(parent.id, CommandRequest.command("L")).history == ("M", "R", "L")
    assert len(leaves(store, parent.id) or []) == 2
