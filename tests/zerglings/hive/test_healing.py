"""Tests for healing a database: merges, purges and clean-up that leave living data untouched."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import closing

import pytest

from tests.support.backends import Backend
from tests.support.documents import leaves, read, write
from tests.support.faulty_store import FaultyStore, raising
from tests.support.rivals import plant
from zerglings.documents import Document
from zerglings.domain.chunks import shorten
from zerglings.domain.document_format import decode, encode
from zerglings.domain.pose import Pose
from zerglings.domain.zergling import CommandRequest, Zergling
from zerglings.hive.healing import Healer
from zerglings.hive.hive import Hive
from zerglings.hive.mutations import NoSuchZergling
from zerglings.repository.archive import Archive
from zerglings.storage.base import Store, StoreError, StoreUnavailable, TooLarge
from zerglings.storage.regions.exchange import Part, PeerBehind
from zerglings.storage.regions.heartbeats import Heartbeat

TAIL = 10


@pytest.fixture
def hive(store: Store) -> Hive:
    return Hive(store, tail=TAIL)


def healer(store: Store, meanwhile: Callable[[], None] = lambda: None) -> Healer:
    return Healer(store, TAIL, pause=lambda seconds: meanwhile())


def moved(hive: Hive, zergling: Zergling, times: int) -> Zergling:
    for _ in range(times):
        zergling = hive.command(zergling.id, CommandRequest.command("R"))
    return zergling


def chunk_ids(store: Store) -> list[str]:
    return [document["_id"] for document in store.history.page(None, 1000, timeout=5).documents]


def test_every_rival_is_merged(couch: Backend) -> None:
    store = couch.open()
    hive = Hive(store, tail=TAIL)
    swarm = [moved(hive, hive.spawn(Pose()), 1) for _ in range(5)]
    for zergling in swarm[:3]:
        moved(hive, zergling, 2)
        rival = zergling.apply(CommandRequest("rival", ("M",)))
        plant(couch, rival, after=zergling.revision or "")
    assert healer(store).merge() == 3
    assert healer(store).merge() == 0
    for zergling in swarm[:3]:
        assert len(leaves(store, zergling.id) or []) == 1
        assert "M" in decode(read(store, zergling.id)).history
    store.close()


def test_zerglings_that_died_before_the_limit_are_removed_and_stay_dead(
    hive: Hive, store: Store
) -> None:
    living, lately, long_ago = (moved(hive, hive.spawn(Pose(), key), 25) for key in "abc")
    hive.kill(lately.id)
    hive.command(long_ago.id, CommandRequest.death(time.time() - 1000))
    assert healer(store).remove_dead(time.time() - 500) == 1
    assert healer(store).remove_dead(time.time() - 500) == 0
    assert leaves(store, long_ago.id) == []
    assert leaves(store, lately.id)
    with pytest.raises(NoSuchZergling):
        hive.spawn(Pose(), "c")
    assert [seen.id for seen in hive.list().zerglings] == [living.id]


def test_chunks_of_removed_zerglings_are_removed_and_others_are_kept(
    hive: Hive, store: Store
) -> None:
    living, dead = (moved(hive, hive.spawn(Pose()), 45) for _ in range(2))
    hive.command(dead.id, CommandRequest.death(7))
    assert healer(store).remove_unreachable() == 0
    healer(store).remove_dead(time.time())
    assert healer(store).remove_unreachable() == 3
    assert {id_.partition(":")[0] for id_ in chunk_ids(store)} == {living.id}
    assert sum(len(part) for part in hive.history(living.id).parts) == 45


def unreached(hive: Hive, store: Store) -> tuple[Zergling, Zergling]:
    """Return a zergling with an unreferenced chunk, and its form that refers to the chunk."""
    zergling = moved(hive, hive.spawn(Pose()), 2 * TAIL)
    shorter, chunks = shorten(zergling.apply(CommandRequest("x", ("M",))), TAIL)
    Archive(store.history).store_chunks(chunks, timeout=5)
    return zergling, shorter


def test_a_chunk_left_by_a_lost_race_is_removed(hive: Hive, store: Store) -> None:
    zergling, _ = unreached(hive, store)
    assert healer(store).remove_unreachable() == 1
    assert chunk_ids(store) == []
    assert hive.get(zergling.id).command_count == 2 * TAIL


def test_a_chunk_that_a_concurrent_write_refers_to_is_kept(hive: Hive, store: Store) -> None:
    zergling, _ = unreached(hive, store)

    def arrive() -> None:
        hive.command(zergling.id, CommandRequest("x", ("M",)))

    assert healer(store, meanwhile=arrive).remove_unreachable() == 0
    assert len(chunk_ids(store)) == 1
    assert sum(len(part) for part in hive.history(zergling.id).parts) == 2 * TAIL + 1


def test_a_chunk_whose_zergling_arrives_from_another_region_is_kept(
    hive: Hive, store: Store
) -> None:
    _, shorter = unreached(hive, store)

    def arrive(part: Part) -> None:
        if part == "zerglings":
            write(store, encode(shorter))

    healing = Healer(store, TAIL, pause=lambda _: None, exchange=arrive)
    assert healing.remove_unreachable() == 0
    assert len(chunk_ids(store)) == 1


def test_a_chunk_that_another_region_has_cut_too_is_kept(hive: Hive, store: Store) -> None:
    """It stored the chunk just before it got this region's, which has the same revision."""
    zergling, shorter = unreached(hive, store)
    done: list[str] = []

    def exchange(part: Part) -> None:
        if part == "history":
            done.append("it stored the chunk")
        elif len(done) == 2:
            write(store, encode(shorter))

    def pause(_seconds: float) -> None:
        if done:
            done.append("it stored the zergling")

    healing = Healer(store, TAIL, pause=pause, exchange=exchange)
    assert healing.remove_unreachable() == 0
    assert sum(len(part) for part in hive.history(zergling.id).parts) == 2 * TAIL + 1


def test_a_zergling_is_removed_only_if_the_others_knew_of_its_death(
    hive: Hive, store: Store
) -> None:
    """A death that arrives in the exchange may still be unknown to a third region."""
    zergling = hive.spawn(Pose())

    def arrive(_part: Part) -> None:
        hive.command(zergling.id, CommandRequest.death(time.time() - 1000))

    other = hive.spawn(Pose())
    hive.command(other.id, CommandRequest.death(time.time() - 1000))
    healing = Healer(store, TAIL, exchange=arrive)
    assert healing.remove_dead(time.time() - 500) == 1
    assert leaves(store, other.id) == []
    assert leaves(store, zergling.id)
    assert healing.failures == []


def test_a_zergling_that_another_region_removes_meanwhile_is_no_failure(
    hive: Hive, store: Store
) -> None:
    zergling = hive.spawn(Pose())
    hive.command(zergling.id, CommandRequest.death(time.time() - 1000))

    def remove(_part: Part) -> None:
        write(store, read(store, zergling.id) | {"_deleted": True})

    healing = Healer(store, TAIL, exchange=remove)
    assert healing.remove_dead(time.time() - 500) == 0
    assert healing.failures == []


def overtaken(store: Store) -> Callable[[Document], None]:
    """Return a hook with which another writer changes a document just before it is deleted."""

    def overtake(tombstone: Document) -> None:
        write(store, read(store, tombstone["_id"]))

    return overtake


def rejected(
    hive: Hive, store: Store, main: Callable[[Document], None], history: Callable[[Document], None]
) -> tuple[Healer, str]:
    """Remove a dead zergling and an unreachable part, with hooks that reject both.

    Returns the healer, and the id of the zergling.
    """
    unreached(hive, store)
    dead = hive.spawn(Pose())
    hive.command(dead.id, CommandRequest.death(time.time() - 1000))
    faulty = FaultyStore(store)
    faulty.before_put = main
    faulty.history.before_put = history
    healing = healer(faulty)
    assert healing.remove_dead(time.time() - 500) == 0
    assert healing.remove_unreachable() == 0
    return healing, dead.id


def test_documents_that_another_writer_changes_at_the_last_moment_stay_without_a_failure(
    hive: Hive, store: Store
) -> None:
    """Regions that run heal at the same time overtake each other."""
    healing, dead = rejected(hive, store, overtaken(store), overtaken(store.history))
    assert healing.failures == []
    assert leaves(store, dead)
    assert len(chunk_ids(store)) == 1


def test_a_document_that_cannot_be_deleted_for_another_reason_is_a_failure(
    hive: Hive, store: Store
) -> None:
    main, history = raising(TooLarge("too large")), raising(TooLarge("too large"))
    healing, _ = rejected(hive, store, main, history)
    assert healing.failures == ["a document was not removed: too large"] * 2


def test_nothing_is_removed_while_another_region_is_behind(hive: Hive, store: Store) -> None:
    def fail(_part: Part) -> None:
        raise StoreUnavailable("east is behind")

    unreached(hive, store)
    dead = hive.spawn(Pose())
    hive.command(dead.id, CommandRequest.death(time.time() - 1000))
    healing = Healer(store, TAIL, pause=lambda _: None, exchange=fail)
    with pytest.raises(StoreUnavailable):
        healing.remove_dead(time.time() - 500)
    with pytest.raises(StoreUnavailable):
        healing.remove_unreachable()
    assert leaves(store, dead.id)
    assert len(chunk_ids(store)) == 1


def test_nothing_is_purged_while_another_region_is_behind(couch: Backend) -> None:
    def fail(_part: Part) -> None:
        raise PeerBehind("east is behind")

    with closing(couch.open()) as store:
        hive = Hive(store, tail=TAIL)
        zergling = moved(hive, hive.spawn(Pose()), 1)
        moved(hive, zergling, 1)
        plant(couch, zergling.apply(CommandRequest("rival", ("M",))), after=zergling.revision or "")
        healing = Healer(store, TAIL, exchange=fail)
        assert healing.merge() == 1
        before = all_leaves(couch, zergling.id)
        with pytest.raises(PeerBehind):
            healing.purge()
        assert all_leaves(couch, zergling.id) == before
        assert len(before) == 2, "one of them is deleted"


def all_leaves(couch: Backend, zergling_id: str) -> list[Document]:
    path = couch.environment["COUCHDB_DATABASE"], zergling_id
    rows = couch.server.ask("GET", *path, open_revs="all")
    return sorted((row["ok"] for row in rows), key=lambda leaf: str(leaf["_rev"]))


def test_a_chunk_that_is_stored_again_concurrently_is_kept(hive: Hive, store: Store) -> None:
    """The chunk was left by a failed write, and a second attempt needs it."""
    zergling, shorter = unreached(hive, store)
    _, chunks = shorten(zergling.apply(CommandRequest("x", ("M",))), TAIL)

    def keep_again() -> None:
        Archive(store.history).store_chunks(chunks, timeout=5)

    assert healer(store, meanwhile=keep_again).remove_unreachable() == 0
    write(store, encode(shorter))
    assert sum(len(part) for part in hive.history(zergling.id).parts) == 2 * TAIL + 1


def test_storing_a_chunk_fails_if_it_is_removed_concurrently(hive: Hive, store: Store) -> None:
    zergling, _ = unreached(hive, store)
    _, chunks = shorten(zergling.apply(CommandRequest("x", ("M",))), TAIL)
    faulty = FaultyStore(store.history)

    def remove_first(document: Document) -> None:
        if "_rev" in document:
            faulty.before_put = lambda document: None
            write(store.history, {**document, "_deleted": True})

    faulty.before_put = remove_first
    with pytest.raises(StoreError):
        Archive(faulty).store_chunks(chunks, timeout=5)


def test_heartbeats_of_regions_are_kept(hive: Hive, store: Store) -> None:
    unreached(hive, store)
    heartbeat = Heartbeat("east", 1.0).encode()
    write(store.history, heartbeat)
    healing = healer(store)
    assert healing.remove_unreachable() == 1
    assert healing.failures == []
    assert leaves(store.history, heartbeat["_id"])


def test_chunks_of_an_unreadable_document_are_kept(hive: Hive, store: Store) -> None:
    zergling = moved(hive, hive.spawn(Pose()), 45)
    whole = read(store, zergling.id)
    revision = write(store, whole | {"facing": "X"})
    healing = healer(store)
    assert healing.remove_unreachable() == 0
    assert zergling.id in healing.failures[0]
    write(store, whole | {"_rev": revision})
    assert sum(len(part) for part in hive.history(zergling.id).parts) == 45


@pytest.mark.parametrize("count", [35, 48])
@pytest.mark.parametrize("letters", ["M", "MLMR", "LRRM", "LR"])
def test_chunks_of_a_document_rewritten_by_the_original_are_kept(
    hive: Hive, store: Store, letters: str, count: int
) -> None:
    zergling = hive.spawn(Pose(5, 5, "E"))
    for number in range(count):
        hive.command(zergling.id, CommandRequest.command(letters[number % len(letters)]))
    kept = ("_id", "_rev", "id", "location", "facing", "commandHistory")
    document = read(store, zergling.id)
    write(store, {key: document[key] for key in kept})
    assert healer(store).remove_unreachable() == 0
    found = Hive(store, tail=TAIL).get(zergling.id)
    assert (found.command_count, found.spawn) == (count, Pose(5, 5, "E"))
    hive.command(zergling.id, CommandRequest.command("M"))
    assert healer(store).remove_unreachable() == 0
    assert sum(len(part) for part in hive.history(zergling.id).parts) == count + 1


def test_a_rival_that_arrives_after_the_merge_is_no_failure(couch: Backend) -> None:
    store = couch.open()
    zergling = moved(Hive(store, tail=TAIL), Hive(store, tail=TAIL).spawn(Pose()), 2)
    revision = zergling.revision or ""
    moved(Hive(store, tail=TAIL), zergling, 1)

    def arrive(name: str) -> None:
        plant(couch, zergling.apply(CommandRequest(name, ("M",))), after=revision)

    arrive("first")
    faulty = FaultyStore(store)
    faulty.after_put = lambda document: arrive("second")  # once the merge is stored
    healing = healer(faulty)
    assert healing.merge() == 1
    assert healing.failures == []
    assert len(leaves(store, zergling.id) or []) > 1
    faulty.after_put = lambda document: None
    assert healing.merge() == 1
    assert len(leaves(store, zergling.id) or []) == 1
    store.close()


def test_a_dead_zergling_with_a_living_rival_is_not_removed(couch: Backend) -> None:
    store = couch.open()
    hive = Hive(store, tail=TAIL)
    zergling = moved(hive, hive.spawn(Pose()), 1)
    moved(hive, zergling, 1)  # so that the dead one is the current revision
    dead = hive.command(zergling.id, CommandRequest.death(7))
    plant(couch, zergling.apply(CommandRequest("rival", ("M",))), after=zergling.revision or "")
    assert dead.is_dead
    healing = healer(store)
    assert healing.remove_dead(time.time()) == 0
    assert "rival" in healing.failures[0]
    assert len(leaves(store, zergling.id) or []) == 2
    assert (healing.merge(), healing.remove_dead(time.time())) == (1, 1)
    assert leaves(store, zergling.id) == []
    store.close()


def test_failed_merges_are_not_counted(couch: Backend) -> None:
    store = couch.open()
    faulty = FaultyStore(store)
    hive = Hive(store, tail=TAIL)
    zergling = moved(hive, hive.spawn(Pose()), 1)
    moved(hive, zergling, 1)
    plant(couch, zergling.apply(CommandRequest("rival", ("M",))), after=zergling.revision or "")
    faulty.before_put = raising(StoreUnavailable("full"), times=100)
    healing = healer(faulty)
    assert healing.merge() == 0
    assert zergling.id in healing.failures[0]
    store.close()


def test_a_broken_history_does_not_stop_the_healing_of_others(hive: Hive, store: Store) -> None:
    broken, _ = moved(hive, hive.spawn(Pose()), 45), unreached(hive, store)
    first = min(id_ for id_ in chunk_ids(store) if id_.startswith(broken.id))
    write(store.history, read(store.history, first) | {"_deleted": True})
    healing = healer(store)
    assert healing.remove_unreachable() == 1
    assert broken.id in healing.failures[0]
