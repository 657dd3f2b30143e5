"""Tests of documents that the original wrote in another region, and that arrive without chunks.

Such a document names no chunk. It arrives alone, as the successor of what this region knows.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import permutations

import pytest

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
from tests.support.documents import SOON, leaves, read, write
from tests.support.faulty_store import FaultyStore
from tests.support.original import Original
from zerglings.documents import Document
from zerglings.domain.chunks import LONG_HISTORY, Chunk, shorten
from zerglings.domain.document_format import encode, encode_pose
from zerglings.domain.pose import Pose, replay
from zerglings.domain.zergling import CommandRequest, Zergling
from zerglings.hive.hive import Hive
from zerglings.hive.mutations import KeyReused
from zerglings.repository.chunk_store import Incomplete
from zerglings.storage.base import Store

COUNT = 350
SPAWNS = (Pose(), Pose(5, -3, "E"))


@pytest.fixture
def backend(couch: Backend) -> Backend:
    """Only CouchDB has regions."""
    return couch


def written_elsewhere(spawn: Zergling) -> tuple[Document, list[Chunk]]:
    document, chunks = other_region(spawn, COUNT)
    assert len(chunks) == 2
    return as_the_original_writes(document), chunks


def command(hive: Hive, zergling: Zergling, number: int) -> Zergling:
    return hive.command(zergling.id, CommandRequest(f"here{number}", ("R",)))


@pytest.mark.parametrize("start", SPAWNS)
@pytest.mark.parametrize("order", list(permutations(("document", "older", "newer"))))
def test_no_older_part_is_detached_by_commands_before_it_arrives(
    backend: Backend, hive: Hive, store: Store, start: Pose, order: Sequence[str]
) -> None:
    spawn = hive.spawn(start)
    document, (older, newer) = written_elsewhere(spawn)
    arrivals = {
        "document": lambda: deliver(backend, document, spawn),
        "older": lambda: deliver_chunks(store, [older]),
        "newer": lambda: deliver_chunks(store, [newer]),
    }
    given = 0
    for name in order:
        arrivals[name]()
        if "document" in order[: order.index(name) + 1]:
            command(Hive(store), spawn, given)
            given += 1
    here = Hive(store)
    found = here.get(spawn.id)
    assert (found.command_count, found.spawn) == (COUNT + given, start)
    assert all_words(here, spawn) == ["M"] * COUNT + ["R"] * given
    ids = [id_ for id_ in all_ids(here, spawn) if id_]
    assert len(ids) == len(set(ids)) == COUNT + given
    assert {f"here{number}" for number in range(given)} <= set(ids)
    assert replay(start, all_words(here, spawn)) == found.pose


@pytest.mark.parametrize("start", SPAWNS)
def test_a_region_serves_and_moves_what_it_has_until_the_older_part_arrives(
    backend: Backend, hive: Hive, store: Store, start: Pose
) -> None:
    spawn = hive.spawn(start)
    document, chunks = written_elsewhere(spawn)
    deliver(backend, document, spawn)
    here = Hive(store)
    for number in range(10):
        after = here.command(spawn.id, CommandRequest(f"here{number}", ("R",) * (TAIL // 5)))
    assert after.history == ("M",) * len(document["commandHistory"]) + ("R",) * 2 * TAIL
    assert all_words(here, spawn) == list(after.history)
    here.kill(spawn.id)
    deliver_chunks(store, chunks)
    found = Hive(store)._reader.read([spawn.id], timeout=SOON)[spawn.id]
    assert isinstance(found, Zergling)
    assert found.is_dead
    assert found.command_count == COUNT + 2 * TAIL + 1


def test_a_key_given_before_the_older_part_arrives_counts_once(
    backend: Backend, hive: Hive, store: Store
) -> None:
    spawn = hive.spawn(SPAWNS[1])
    document, chunks = written_elsewhere(spawn)
    deliver(backend, document, spawn)
    request = CommandRequest.command("LL", "a key")
    Hive(store).command(spawn.id, request)
    deliver_chunks(store, chunks)
    Hive(store).command(spawn.id, request)
    assert all_ids(Hive(store), spawn).count(request.id) == 1


def test_a_repeated_spawn_is_not_another_one_while_the_older_part_is_missing(
    backend: Backend, hive: Hive, store: Store
) -> None:
    spawn = hive.spawn(SPAWNS[1], "a key")
    document, chunks = written_elsewhere(spawn)
    deliver(backend, document, spawn)
    with pytest.raises(Incomplete):
        Hive(store).spawn(SPAWNS[1], "a key")
    deliver_chunks(store, chunks)
    assert Hive(store).spawn(SPAWNS[1], "a key").command_count == COUNT
    with pytest.raises(KeyReused):
        Hive(store).spawn(SPAWNS[0], "a key")


def test_rivals_wait_for_the_older_part_of_what_a_region_moved_without_it(
    backend: Backend, hive: Hive, store: Store
) -> None:
    spawn = hive.spawn(SPAWNS[1])
    document, chunks = written_elsewhere(spawn)
    deliver(backend, document, spawn)
    command(Hive(store), spawn, 1)
    deliver(backend, encode(moved(spawn, 7, "west")), spawn, generation=300)
    here = Hive(store)
    assert here.get(spawn.id).history == ("M",) * 7
    assert len(leaves(store, spawn.id) or []) == 2
    deliver_chunks(store, chunks)
    assert Hive(store).get(spawn.id).command_count == COUNT + 1 + 7
    assert Hive(store).get(spawn.id).spawn == spawn.spawn


def test_two_documents_of_the_original_are_merged_once_their_chunks_are_there(
    backend: Backend, hive: Hive, store: Store
) -> None:
    spawn = hive.spawn(SPAWNS[1])
    start = moved(spawn, COUNT, "east")
    parts = [shorten(moved(start, count, name), TAIL) for count, name in ((3, "a"), (300, "b"))]
    for generation, (zergling, _) in zip((400, 500), parts, strict=True):
        deliver(backend, as_the_original_writes(encode(zergling)), spawn, generation)
    served = Hive(store).get(spawn.id)
    assert len(served.history) == len(parts[1][0].history)
    assert len(leaves(store, spawn.id) or []) == 2
    for _, chunks in parts:
        deliver_chunks(store, chunks)
    found = Hive(store).get(spawn.id)
    assert found.spawn == spawn.spawn
    assert found.command_count >= COUNT + 300


def test_the_originals_own_zergling_costs_no_look_for_chunks_after_the_first_write(
    store: Store,
) -> None:
    faulty = FaultyStore(store)
    pages: list[int] = []
    faulty.history.before_page = lambda: pages.append(1)
    original = Original(store)
    id_ = original.spawn()
    history = ["M", "R"] * (TAIL // 2 + 10)
    pose = encode_pose(replay(Pose(), history))
    write(store, original.read(id_) | pose | {"commandHistory": history})
    zergling = Hive(faulty).command(id_, CommandRequest.command("L"))
    assert "base" in read(store, id_)
    pages.clear()
    for _ in range(3):
        Hive(faulty).get(id_)
        zergling = Hive(faulty).command(id_, CommandRequest.command("L"))
    assert (pages, zergling.command_count) == ([], TAIL + 24)


def test_a_zergling_that_the_original_wrote_before_its_first_chunk_is_served_for_ever(
    store: Store, hive: Hive
) -> None:
    start = SPAWNS[1]
    spawn = hive.spawn(start)
    hive.command(spawn.id, CommandRequest("first", ("M",) * (TAIL + 20)))
    assert Original(store).command(spawn.id, "L")
    for number in range(12):
        request = CommandRequest(f"more{number}", ("M",) * (LONG_HISTORY // 10))
        Hive(store).command(spawn.id, request)
    found = Hive(store).get(spawn.id)
    total = TAIL + 21 + 12 * (LONG_HISTORY // 10)
    assert (found.spawn, found.command_count) == (start, total)
    assert len(found.history) < LONG_HISTORY
    words = all_words(Hive(store), spawn)
    assert (len(words), replay(start, words)) == (total, found.pose)
