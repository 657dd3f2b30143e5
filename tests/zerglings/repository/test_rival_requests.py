"""Tests of different requests that regions carried out with one key while they were apart."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pytest

from tests.support.backends import Backend
from tests.support.documents import SOON
from tests.support.regions import Region, every_pair, hand_over, meet, regions
from tests.support.site import CouchDBServer
from tests.zerglings.transfer.transfers import exported, imported
from zerglings.domain.pose import Pose, replay
from zerglings.domain.zergling import CommandRequest, Zergling
from zerglings.hive.healing import Healer
from zerglings.hive.hive import Hive
from zerglings.hive.mutation_group import Outcome
from zerglings.hive.mutations import KeyReused, NoSuchZergling
from zerglings.repository.archive import Archive

TAIL, WORDS = 10, 5
MANY = 5
"""Requests after which a part of the history is in a chunk."""

KEY = "a key"
POSES = (Pose(2, 3, "S"), Pose(-7, 1, "E"))
"""Where the first and the second region spawn."""


@pytest.fixture
def two(couchdb: CouchDBServer) -> Iterator[Sequence[Region]]:
    with regions(couchdb, 2) as found:
        yield found


def hive_of(region: Region) -> Hive:
    return Hive(region.store, tail=TAIL)


def move(region: Region, zergling_id: str, name: str, count: int) -> list[str]:
    """Give a zergling some requests of ``WORDS`` commands; return the ids of the requests."""
    ids = [f"{name}{number}" for number in range(count)]
    for id_ in ids:
        hive_of(region).command(zergling_id, CommandRequest(id_, ("M",) * WORDS))
    return ids


def whole(region: Region, zergling: Zergling) -> tuple[list[str], list[str]]:
    """Return all words of a zergling, and the ids of its requests."""
    hive = hive_of(region)
    words = [word for part in hive.history(zergling.id).parts for word in part]
    return words, list(
        filter(None, Archive(hive._store.history).ids_since(zergling, 0, timeout=SOON))
    )


@pytest.mark.parametrize("moves", [(0, 0), (2, 1), (1, MANY), (MANY + 1, MANY)])
def test_two_spawns_with_one_key_become_one_zergling_with_the_commands_of_both(
    two: Sequence[Region], moves: tuple[int, int]
) -> None:
    given: list[str] = []
    for region, pose, name, count in zip(two, POSES, "ab", moves, strict=True):
        spawn = hive_of(region).spawn(pose, KEY)
        given += move(region, spawn.id, name, count)
    meet(two, spawn.id)
    assert two[0].contents() == two[1].contents()
    found = hive_of(two[0]).get(spawn.id)
    assert found.spawn in POSES
    if moves[0] != moves[1]:
        assert found.spawn == POSES[moves[1] > moves[0]], "the winner has more updates"
    words, ids = whole(two[0], found)
    assert sorted(ids) == sorted(given)
    assert replay(found.spawn, words) == found.pose


def test_the_spawn_that_counts_may_be_repeated_and_the_other_is_refused(
    two: Sequence[Region],
) -> None:
    for region, pose in zip(two, POSES, strict=True):
        spawn = hive_of(region).spawn(pose, KEY)
        assert hive_of(region).spawn(pose, KEY) == spawn
    move(two[1], spawn.id, "b", 1)
    meet(two, spawn.id)
    for region in two:
        assert hive_of(region).spawn(POSES[1], KEY).command_count == WORDS
        with pytest.raises(KeyReused):
            hive_of(region).spawn(POSES[0], KEY)
    hive_of(two[0]).kill(spawn.id)
    for pose in POSES:
        with pytest.raises(NoSuchZergling):
            hive_of(two[0]).spawn(pose, KEY)


def ids_of(outcomes: Sequence[Outcome]) -> list[str]:
    return [outcome.id for outcome in outcomes if isinstance(outcome, Zergling)]


def brood(region: Region, count: int, pose: Pose) -> list[Outcome]:
    parts = hive_of(region).bulk.spawn(count, pose, KEY)
    return [outcome for part in parts for outcome in part]


def test_bulk_spawns_with_one_key_become_as_many_zerglings_as_the_larger_call(
    two: Sequence[Region],
) -> None:
    calls = list(zip(two, (2, 4), POSES, strict=True))
    smaller, larger = (ids_of(brood(*call)) for call in calls)
    assert smaller == larger[:2]
    move(two[0], smaller[0], "a", 1)
    move(two[1], smaller[1], "b", 1)
    meet(two, *larger)
    for region in two:
        assert len(hive_of(region).list().zerglings) == len(larger)
        spawns = [hive_of(region).get(id_).spawn for id_ in larger]
        assert spawns == [POSES[0], *[POSES[1]] * 3]
        for _, count, pose in calls:
            for spawn, outcome in zip(spawns, brood(region, count, pose), strict=False):
                assert isinstance(outcome, Zergling if spawn == pose else KeyReused)


@pytest.mark.parametrize("more", [0, MANY])
def test_two_commands_with_one_key_both_count_and_either_may_be_repeated(
    two: Sequence[Region], more: int
) -> None:
    spawn = hive_of(two[0]).spawn(Pose())
    hand_over(every_pair(two))
    bodies = ("M", "RR")
    for region, words in zip(two, bodies, strict=True):
        hive_of(region).command(spawn.id, CommandRequest.command(words, KEY))
        move(region, spawn.id, words, more)
    meet(two, spawn.id)
    for region in two:
        for words in bodies:
            repeated = hive_of(region).command(spawn.id, CommandRequest.command(words, KEY))
            assert repeated.command_count == 3 + 2 * more * WORDS
        with pytest.raises(KeyReused):
            hive_of(region).command(spawn.id, CommandRequest.command("L", KEY))


@pytest.fixture
def called(two: Sequence[Region]) -> list[str]:
    """Ids from two different calls with one key, one in each region; both regions know both."""
    smaller, larger = (
        ids_of(brood(region, count, Pose())) for region, count in zip(two, (2, 3), strict=True)
    )
    assert smaller == larger[:2]
    hand_over(every_pair(two))
    return larger


def assert_known(hive: Hive, ids: Sequence[str]) -> None:
    """Check that both calls may be repeated, and that another call is refused."""
    for count in (2, 3):
        (again,) = hive.bulk.spawn(count, Pose(), KEY)
        assert ids_of(again) == ids[:count]
    with pytest.raises(KeyReused):
        list(hive.bulk.spawn(4, Pose(), KEY))


def heal(region: Region) -> int:
    return Healer(region.store, TAIL).merge_keys()


@pytest.mark.parametrize("first_meet", [False, True])
def test_heal_leaves_one_record_of_a_key_that_knows_the_requests_of_both_regions(
    two: Sequence[Region], called: Sequence[str], *, first_meet: bool
) -> None:
    assert heal(two[0]) == 1
    if first_meet:
        hand_over(every_pair(two))
    assert heal(two[1]) == (not first_meet)
    hand_over(every_pair(two))
    assert two[0].contents() == two[1].contents()
    assert "_conflicts" not in str(two[0].contents())
    for region in two:
        assert heal(region) == 0
        assert_known(hive_of(region), called)


def test_an_export_after_heal_knows_the_requests_of_both_regions(
    two: Sequence[Region], called: Sequence[str], sqlite: Backend
) -> None:
    heal(two[0])
    store = sqlite.open()
    imported(store, exported(two[0].store))
    assert_known(Hive(store), called)
    store.close()


def test_records_of_three_regions_are_merged_one_after_the_other(
    two: Sequence[Region], called: Sequence[str], couchdb: CouchDBServer
) -> None:
    heal(two[0])
    with regions(couchdb, 1) as (third,):
        brood(third, 4, Pose())
        two[0].take(third, history=True)
        assert heal(two[0]) == 1
        third.take(two[0], history=True)
        for count in (2, 3, 4):
            assert len(brood(third, count, Pose())) == count
        with pytest.raises(KeyReused):
            brood(third, 5, Pose())
