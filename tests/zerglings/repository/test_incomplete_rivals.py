"""Tests of rivals whose chunks have not arrived yet, as replication between regions can leave them.

The documents are written as replication writes them: with revisions of their own, in any order.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import permutations

import pytest
from prometheus_client import REGISTRY

from tests.support.arrivals import (
    TAIL,
    all_ids,
    all_words,
    as_the_original_writes,
    deliver,
    deliver_chunks,
    moved,
    other_region,
)
from tests.support.backends import Backend
from tests.support.documents import leaves
from zerglings.domain.chunks import Chunk, shorten
from zerglings.domain.document_format import decode, encode
from zerglings.domain.pose import Pose, replay
from zerglings.domain.zergling import CommandRequest, Zergling
from zerglings.hive.healing import Healer
from zerglings.hive.hive import Hive
from zerglings.repository.chunk_store import MissingChunk
from zerglings.storage.base import Store


@pytest.fixture
def backend(couch: Backend) -> Backend:
    """Only CouchDB has rival revisions."""
    return couch


@pytest.fixture
def spawn(hive: Hive) -> Zergling:
    return hive.spawn(Pose())


def deliver_without_chunks(backend: Backend, spawn: Zergling) -> list[Chunk]:
    """Write the document of another region, and return its chunks."""
    document, chunks = other_region(spawn)
    deliver(backend, document, spawn)
    return chunks


def test_a_region_serves_its_own_state_until_the_rivals_chunks_are_there(
    backend: Backend, hive: Hive, store: Store, spawn: Zergling
) -> None:
    own = hive.command(spawn.id, CommandRequest("own", ("R",)))
    chunks = deliver_without_chunks(backend, spawn)
    assert Hive(store).get(spawn.id) == own
    deliver_chunks(store, chunks)
    merged = Hive(store).get(spawn.id)
    assert sorted(filter(None, all_ids(hive, spawn))) == sorted(
        ["own", *(f"east{number}" for number in range(350))]
    )
    assert merged.pose == replay(Pose(), ["M"] * 350 + ["R"])
    assert len(leaves(store, spawn.id) or []) == 1


def test_commands_are_accepted_while_a_rival_is_incomplete(
    backend: Backend, hive: Hive, store: Store, spawn: Zergling
) -> None:
    hive.command(spawn.id, CommandRequest("own", ("R",)))
    chunks = deliver_without_chunks(backend, spawn)
    here = Hive(store)
    for number in range(3):
        after = here.command(spawn.id, CommandRequest(f"later{number}", ("M",)))
    assert after.history == ("R", "M", "M", "M")
    assert len(leaves(store, spawn.id) or []) == 2
    deliver_chunks(store, chunks)
    expected = ["own", "later0", "later1", "later2", *(f"east{number}" for number in range(350))]
    assert sorted(filter(None, all_ids(Hive(store), spawn))) == sorted(expected)


def test_a_key_used_in_both_regions_counts_once(
    backend: Backend, hive: Hive, store: Store, spawn: Zergling
) -> None:
    request = CommandRequest.command("R", key="k1")
    there, chunks = shorten(moved(spawn.apply(request), 350, "east"), TAIL)
    hive.command(spawn.id, CommandRequest("own", ("M",)))
    deliver(backend, encode(there), spawn)
    assert Hive(store).command(spawn.id, request).history == ("M", "R")
    deliver_chunks(store, chunks)
    assert all_ids(hive, spawn).count(request.id) == 1


def test_a_key_is_refused_while_the_part_of_the_history_that_may_hold_it_is_missing(
    backend: Backend, store: Store, spawn: Zergling
) -> None:
    request = CommandRequest.command("R", key="k1")
    there, chunks = shorten(moved(spawn.apply(request), 350, "east"), TAIL)
    deliver(backend, encode(there), spawn)
    here = Hive(store)
    with pytest.raises(MissingChunk):
        here.command(spawn.id, request)
    assert here.command(spawn.id, CommandRequest("later", ("M",))).command_count == 352
    deliver_chunks(store, chunks)
    here.command(spawn.id, request)
    assert all_ids(here, spawn).count(request.id) == 1


def test_reads_that_leave_out_a_rival_are_counted(
    backend: Backend, hive: Hive, store: Store, spawn: Zergling
) -> None:
    hive.command(spawn.id, CommandRequest("own", ("R",)))
    chunks = deliver_without_chunks(backend, spawn)
    counted = REGISTRY.get_sample_value("overmind_merges_deferred_total") or 0
    Hive(store).get(spawn.id)
    assert REGISTRY.get_sample_value("overmind_merges_deferred_total") == counted + 1
    deliver_chunks(store, chunks)
    Hive(store).get(spawn.id)
    assert REGISTRY.get_sample_value("overmind_merges_deferred_total") == counted + 1


@pytest.mark.parametrize(
    "order", list(permutations(("east", "east chunks", "west", "west chunks")))
)
def test_the_order_of_arrival_does_not_matter(
    backend: Backend, hive: Hive, store: Store, spawn: Zergling, order: Sequence[str]
) -> None:
    hive.command(spawn.id, CommandRequest("own", ("R",)))
    east, east_chunks = other_region(spawn)
    west, west_chunks = other_region(spawn, 230, "west")
    arrivals = {
        "east": lambda: deliver(backend, east, spawn, 400),
        "east chunks": lambda: deliver_chunks(store, east_chunks),
        "west": lambda: deliver(backend, west, spawn, 300),
        "west chunks": lambda: deliver_chunks(store, west_chunks),
    }
    for name in order:
        arrivals[name]()
        Hive(store).get(spawn.id)
    here = Hive(store)
    ids = list(filter(None, all_ids(here, spawn)))
    assert len(ids) == len(set(ids)) == 1 + 350 + 230
    assert replay(Pose(), all_words(here, spawn)) == here.get(spawn.id).pose
    assert len(leaves(store, spawn.id) or []) == 1


def test_complete_rivals_are_merged_beside_an_incomplete_one(
    backend: Backend, hive: Hive, store: Store, spawn: Zergling
) -> None:
    hive.command(spawn.id, CommandRequest("own", ("R",)))
    east, _ = other_region(spawn)
    west, west_chunks = other_region(spawn, 230, "west")
    deliver(backend, east, spawn, 400)
    deliver(backend, west, spawn, 300)
    deliver_chunks(store, west_chunks)
    assert set(filter(None, all_ids(Hive(store), spawn))) == {
        "own",
        *(f"west{number}" for number in range(230)),
    }
    assert len(leaves(store, spawn.id) or []) == 2


def test_a_zergling_whose_rivals_are_all_incomplete_is_served(
    backend: Backend, hive: Hive, store: Store, spawn: Zergling
) -> None:
    east, _ = other_region(spawn)
    west, _ = other_region(spawn, 230, "west")
    deliver(backend, east, spawn, 400)
    deliver(backend, west, spawn, 300)
    assert Hive(store).get(spawn.id).id == spawn.id


def test_what_the_original_wrote_in_another_region_waits_for_its_chunks(
    backend: Backend, hive: Hive, store: Store, spawn: Zergling
) -> None:
    own = hive.command(spawn.id, CommandRequest("own", ("R",)))
    east, chunks = other_region(spawn)
    original = as_the_original_writes(east)
    both, own_chunks = shorten(moved(own, 250, "own"), TAIL)
    deliver_chunks(store, own_chunks)
    deliver(backend, encode(both), spawn, 300)
    deliver(backend, original, spawn, 400)
    here = Hive(store)
    assert here.get(spawn.id).command_count == 251
    assert len(leaves(store, spawn.id) or []) >= 2
    deliver_chunks(store, chunks)
    assert Hive(store).get(spawn.id).command_count == 251 + 350


def test_what_the_original_wrote_waits_even_if_this_region_has_no_chunks(
    backend: Backend, hive: Hive, store: Store, spawn: Zergling
) -> None:
    hive.command(spawn.id, CommandRequest("own", ("R",)))
    east, chunks = other_region(spawn)
    original = as_the_original_writes(east)
    deliver(backend, original, spawn, 400)
    assert Hive(store).get(spawn.id).command_count == 1
    deliver_chunks(store, chunks)
    assert Hive(store).get(spawn.id).command_count == 351


def test_heal_reports_a_rival_that_cannot_be_merged_yet(
    backend: Backend, hive: Hive, store: Store, spawn: Zergling
) -> None:
    hive.command(spawn.id, CommandRequest("own", ("R",)))
    chunks = deliver_without_chunks(backend, spawn)
    healer = Healer(store, TAIL)
    assert healer.merge() == 0
    assert [spawn.id in failure for failure in healer.failures] == [True]
    deliver_chunks(store, chunks)
    assert Healer(store, TAIL).merge() == 1
    (only,) = leaves(store, spawn.id) or []
    assert decode(only).command_count == 351
