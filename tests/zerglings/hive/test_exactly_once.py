"""Tests for exactly-once commands: keys, lost responses and minority writes, on both stores."""

from __future__ import annotations

import uuid
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.support.documents import leaves, read, write
from tests.support.faulty_store import FaultyStore, raising
from zerglings.documents import Document
from zerglings.domain.pose import Pose
from zerglings.domain.zergling import CommandRequest, Zergling
from zerglings.hive.hive import Hive
from zerglings.hive.mutations import KeyReused, NoSuchZergling, PreconditionFailed
from zerglings.repository import retry_budget
from zerglings.storage.base import OutcomeUnknown, Store, StoreUnavailable

TAIL = 10


@pytest.fixture
def short(store: Store) -> Hive:
    """A hive with a short tail, so that few commands make chunks."""
    return Hive(store, tail=TAIL)


def keyed(hive: Hive, zergling: Zergling, commands: str, key: str) -> Zergling:
    return hive.command(zergling.id, CommandRequest.command(commands, key))


def moved(hive: Hive, zergling: Zergling, times: int) -> Zergling:
    for _ in range(times):
        zergling = hive.command(zergling.id, CommandRequest.command("R"))
    return zergling


def test_a_repeated_key_moves_once(hive: Hive) -> None:
    zergling = hive.spawn(Pose())
    first = keyed(hive, zergling, "MM", "k")
    assert keyed(hive, zergling, "MM", "k") == first
    assert hive.get(zergling.id) == first
    later = moved(hive, zergling, 1)
    assert keyed(hive, zergling, "MM", "k") == later, "it answers with the zergling as it is"


def test_a_key_is_known_to_other_replicas(hive: Hive, store: Store) -> None:
    zergling = hive.spawn(Pose())
    first = keyed(hive, zergling, "M", "k")
    assert keyed(Hive(store), zergling, "M", "k") == first


def test_a_known_key_with_another_body_is_refused(hive: Hive) -> None:
    zergling = hive.spawn(Pose())
    first = keyed(hive, zergling, "M", "k")
    with pytest.raises(KeyReused):
        keyed(hive, zergling, "L", "k")
    assert hive.get(zergling.id) == first


def test_a_key_belongs_to_one_zergling(hive: Hive) -> None:
    one, other = hive.spawn(Pose()), hive.spawn(Pose())
    assert keyed(hive, one, "M", "k").history == ("M",)
    assert keyed(hive, other, "L", "k").history == ("L",)


def test_a_key_is_checked_before_the_precondition(hive: Hive) -> None:
    zergling = hive.spawn(Pose())
    first = keyed(hive, zergling, "M", "k")
    again = hive.command(zergling.id, CommandRequest.command("M", "k"), lambda current: False)
    assert again == first
    with pytest.raises(PreconditionFailed):
        hive.command(zergling.id, CommandRequest.command("M", "other"), lambda current: False)


def test_a_repeated_key_of_a_dead_zergling_is_not_found(hive: Hive) -> None:
    zergling = hive.spawn(Pose())
    keyed(hive, zergling, "M", "k")
    hive.kill(zergling.id)
    with pytest.raises(NoSuchZergling):
        keyed(hive, zergling, "M", "k")


def test_concurrent_repeats_move_once(store: Store) -> None:
    hives = [Hive(store), Hive(store)]
    zergling = hives[0].spawn(Pose())
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda n: keyed(hives[n % 2], zergling, "M", f"k{n % 3}"), range(24)))
    assert hives[0].get(zergling.id).history == ("M",) * 3


def test_a_key_is_remembered_for_a_thousand_commands(short: Hive, store: Store) -> None:
    zergling = short.spawn(Pose())
    keyed(short, zergling, "M", "k")
    for _ in range(9):
        short.command(zergling.id, CommandRequest.command("R" * 111))
    end = moved(short, zergling, 0) and short.get(zergling.id)
    assert end.command_count == 1000
    assert end.base.count > 1, "the key has moved to a chunk"
    for hive in (short, Hive(store, tail=TAIL), short):
        assert keyed(hive, zergling, "M", "k") == end
        with pytest.raises(KeyReused):
            keyed(hive, zergling, "L", "k")


def test_a_key_in_a_chunk_is_looked_up_once(store: Store) -> None:
    zergling = moved(Hive(store, tail=TAIL), Hive(store).spawn(Pose()), 0)
    hive = Hive(store, tail=TAIL)
    keyed(hive, zergling, "M", "k")
    moved(hive, zergling, 30)
    faulty = FaultyStore(store)
    fresh = Hive(faulty, tail=TAIL)
    assert keyed(fresh, zergling, "M", "k").command_count == 31
    faulty.history.before_get = raising(AssertionError("asked again"))
    assert keyed(fresh, zergling, "M", "k").command_count == 31


def test_a_spawn_with_a_key_spawns_once(hive: Hive, store: Store) -> None:
    first = hive.spawn(Pose(1, 2, "E"), "k")
    assert uuid.UUID(first.id).version == 4
    assert uuid.UUID(first.id).variant == uuid.RFC_4122
    assert hive.spawn(Pose(1, 2, "E"), "k").id == first.id
    assert Hive(store).spawn(Pose(1, 2, "E"), "k").id == first.id
    assert len(hive.list().zerglings) == 1
    assert hive.spawn(Pose(1, 2, "E"), "other").id != first.id


def test_a_repeated_spawn_returns_the_zergling_in_its_current_state(hive: Hive) -> None:
    first = hive.spawn(Pose(), "k")
    end = moved(hive, first, 3)
    assert hive.spawn(Pose(), "k") == end


def test_a_spawns_key_with_another_body_is_refused(hive: Hive) -> None:
    hive.spawn(Pose(), "k")
    for pose in (Pose(1, 0), Pose(facing="E")):
        with pytest.raises(KeyReused):
            hive.spawn(pose, "k")


def test_a_repeated_spawn_never_revives_a_dead_zergling(hive: Hive, store: Store) -> None:
    zergling = hive.spawn(Pose(), "k")
    hive.kill(zergling.id)
    with pytest.raises(NoSuchZergling):
        hive.spawn(Pose(), "k")
    removed = {"_id": zergling.id, "_rev": read(store, zergling.id)["_rev"], "_deleted": True}
    write(store, removed)
    assert leaves(store, zergling.id) == []
    with pytest.raises(NoSuchZergling):
        hive.spawn(Pose(), "k")
    assert leaves(store, zergling.id) == []


def test_concurrent_spawns_with_one_key_spawn_one(store: Store) -> None:
    hives = [Hive(store), Hive(store)]
    with ThreadPoolExecutor(8) as pool:
        ids = set(pool.map(lambda n: hives[n % 2].spawn(Pose(), "k").id, range(16)))
    assert len(ids) == 1


def test_a_write_is_looked_up_in_all_copies_after_a_lost_response(faulty: FaultyStore) -> None:
    hive = Hive(faulty)
    zergling = hive.spawn(Pose())
    faulty.after_put = raising(OutcomeUnknown("lost"))
    faulty.gets.clear()
    assert moved(hive, zergling, 1).history == ("R",)
    assert faulty.gets[-1] == ({zergling.id}, True)


def test_a_minority_write_is_acknowledged_after_all_copies_were_read(faulty: FaultyStore) -> None:
    hive = Hive(faulty)
    zergling = hive.spawn(Pose())
    faulty.is_minority = lambda document: True
    faulty.gets.clear()
    faulty.puts.clear()
    assert moved(hive, zergling, 1).history == ("R",)
    assert faulty.gets[-1] == ({zergling.id}, True)
    assert len(faulty.puts) == 1
    spawned = hive.spawn(Pose(7, 7))
    assert hive.get(spawned.id) == spawned
    assert faulty.gets[-2] == ({spawned.id}, True)


def test_a_minority_write_is_not_acknowledged_if_all_copies_cannot_be_read(
    faulty: FaultyStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retry_budget, "LOOKUP_LIMIT", 0.2)
    hive = Hive(faulty)
    zergling = hive.spawn(Pose())
    faulty.is_minority = lambda document: True

    def all_copies_are_silent(_: object) -> None:
        if faulty.gets[-1][1]:
            raise StoreUnavailable("silent")

    faulty.before_get = all_copies_are_silent
    with pytest.raises(OutcomeUnknown):
        moved(hive, zergling, 1)


def test_a_write_with_unknown_outcome_is_found_in_a_chunk(
    faulty: FaultyStore, store: Store
) -> None:
    hive, others = Hive(faulty, tail=TAIL), Hive(store, tail=TAIL)
    zergling = hive.spawn(Pose())
    moved(others, zergling, 15)

    def lost_and_buried(document: Document) -> None:
        faulty.after_put = lambda document: None
        moved(others, zergling, 4 * TAIL)
        raise OutcomeUnknown("lost")

    faulty.after_put = lost_and_buried
    after = hive.command(zergling.id, CommandRequest.command("M"))
    assert "M" not in after.history
    words = [word for part in hive.history(zergling.id).parts for word in part]
    assert words.count("M") == 1


def test_a_history_is_complete_across_chunks_and_document(short: Hive, store: Store) -> None:
    zergling = short.spawn(Pose())
    letters = "".join("LRM"[number * number % 3] for number in range(157))
    for letter in letters:
        short.command(zergling.id, CommandRequest.command(letter))
    end = short.get(zergling.id)
    assert TAIL <= len(end.history) <= 2 * TAIL
    assert end.command_count == 157
    for offset, limit in [(0, None), (0, 1), (9, 12), (140, 5), (150, None), (157, None), (999, 3)]:
        history = short.history(zergling.id, offset, limit)
        words = "".join(word for part in history.parts for word in part)
        stop = 157 if limit is None else offset + limit
        assert words == letters[offset:stop]
        assert history.after == (stop if stop < 157 else None)


def test_lost_races_leave_no_extra_commands_in_the_history(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retry_budget, "TIME_LIMIT", 60.0)  # a busy machine loses many races
    hives = [Hive(store, tail=TAIL) for _ in range(3)]
    zergling = hives[0].spawn(Pose())
    with ThreadPoolExecutor(12) as pool:
        list(pool.map(lambda n: moved(hives[n % 3], zergling, 20), range(12)))
    end = hives[0].get(zergling.id)
    assert end.command_count == 240
    assert sum(len(part) for part in hives[0].history(zergling.id).parts) == 240


def test_older_history_stays_in_the_document_when_chunks_cannot_be_stored(
    faulty: FaultyStore,
) -> None:
    hive = Hive(faulty, tail=TAIL)
    zergling = hive.spawn(Pose())
    moved(hive, zergling, 2 * TAIL)
    faulty.history.before_put = raising(StoreUnavailable("full"), times=4)
    assert len(moved(hive, zergling, 4).history) == 2 * TAIL + 4
    end = moved(hive, zergling, 1)
    assert (len(end.history), end.command_count) == (TAIL + 4, 2 * TAIL + 5)


def test_older_history_stays_in_the_document_when_a_minority_stored_the_chunk(
    faulty: FaultyStore,
) -> None:
    hive = Hive(faulty, tail=TAIL)
    zergling = hive.spawn(Pose())
    faulty.history.is_minority = lambda document: True
    assert len(moved(hive, zergling, 2 * TAIL + 1).history) == 2 * TAIL + 1


def of_the_original(document: Document) -> Document:
    kept = ("_id", "_rev", "id", "location", "facing", "commandHistory")
    return {key: document[key] for key in kept}


def test_a_document_rewritten_by_the_original_continues_from_the_newest_chunk(
    short: Hive, store: Store
) -> None:
    zergling = short.spawn(Pose(5, 5, "E"))
    for letter in "MMRM" * 7:
        short.command(zergling.id, CommandRequest.command(letter))
    document = of_the_original(read(store, zergling.id))
    assert len(document["commandHistory"]) < 28
    document["commandHistory"] = [*document["commandHistory"], "what?"]
    write(store, document)
    after = short.command(zergling.id, CommandRequest.command("L"))
    words = "".join(word for part in short.history(zergling.id).parts for word in part)
    assert words == "MMRM" * 7 + "what?" + "L"
    assert (after.spawn, after.command_count) == (Pose(5, 5, "E"), 30)


def test_a_chunk_is_not_counted_after_the_original_restored_the_document(
    short: Hive, store: Store
) -> None:
    zergling = short.spawn(Pose())
    moved(short, zergling, 2 * TAIL)
    before = of_the_original(read(store, zergling.id))
    moved(short, zergling, 1)
    write(store, before | {"_rev": read(store, zergling.id)["_rev"]})
    assert short.get(zergling.id).command_count == 2 * TAIL
