"""Tests that CouchDB's own replication, in any shape, ends with equal regions and no loss."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress

import pytest
from hypothesis import HealthCheck, given, settings

from tests.proof.regions.histories import (
    TAIL,
    assert_once,
    converge,
    hive_of,
    ids_in,
    is_apache,
    move,
)
from tests.support.fault_proxy import FaultProxy
from tests.support.faults import Fault, ResetAfter, ResetBefore
from tests.support.orders import COUNT, Step, live, steps
from tests.support.regions import Region, every_pair, regions, replicate
from tests.support.site import CouchDBServer
from zerglings.domain.pose import Pose
from zerglings.domain.zergling import CommandRequest, Zergling
from zerglings.hive.bulk import item_key
from zerglings.hive.healing import Healer
from zerglings.hive.mutations import NoSuchZergling, PreconditionFailed
from zerglings.storage.couchdb.responses import ErrorResponse, NoResponse


def spawn_in_both(first: Region, second: Region, limit: int) -> Zergling:
    """Spawn a zergling in regions whose databases remember ``limit`` revisions."""
    for region in (first, second):
        if not is_apache(region):
            pytest.skip("needs CouchDB: COUCHDB_TEST_URL; the peer has no _revs_limit")
        for database in region.databases:
            region.ask("PUT", database, "_revs_limit", body=limit)
    spawn = hive_of(first).spawn(Pose())
    second.pull_all(first)
    return spawn


@pytest.mark.parametrize("limit", [10, 50])
def test_more_updates_than_the_revs_limit_on_both_sides_lose_nothing(
    three: list[Region], limit: int
) -> None:
    first, second, _ = three
    spawn = spawn_in_both(first, second, limit)
    given = move(first, spawn, "a", limit + 20) + move(second, spawn, "b", limit + 30)
    converge(three[:2], every_pair(three[:2]), [spawn])
    for region in (first, second):
        assert_once(region, spawn, given)


@pytest.mark.parametrize("limit", [10, 50])
def test_a_region_that_missed_more_updates_than_the_limit_shows_a_rival_that_adds_nothing(
    three: list[Region], limit: int
) -> None:
    first, second, _ = three
    spawn = spawn_in_both(first, second, limit)
    given = move(first, spawn, "a", limit + 10)
    second.pull_all(first)
    assert len([r for r in second.revisions(spawn.id) if not r.get("_deleted")]) == 2
    assert_once(second, spawn, given)
    converge(three[:2], every_pair(three[:2]), [spawn])
    assert_once(first, spawn, given)


def test_replication_in_one_direction_loses_nothing(three: list[Region]) -> None:
    first, second, _ = three
    spawn = hive_of(first).spawn(Pose())
    second.pull_all(first)
    given = []
    for number in range(3):
        given += move(first, spawn, f"a{number}-", 2 * TAIL)
        own = move(second, spawn, f"b{number}-", 2 * TAIL)
        given += own
        second.pull_all(first)
        assert_once(second, spawn, given)
    assert set(ids_in(first, spawn)) == {id_ for id_ in given if id_[0] == "a"}
    converge(three[:2], [(second, first)], [spawn])
    assert_once(first, spawn, given)


def test_a_ring_of_three_becomes_equal(three: list[Region]) -> None:
    first, second, third = three
    ring = [(first, second), (second, third), (third, first)]
    swarm = [hive_of(region).spawn(Pose()) for region in three]
    replicate(ring * 2)
    given: dict[str, list[str]] = {spawn.id: [] for spawn in swarm}
    for number, region in enumerate(three):
        for spawn in swarm:
            given[spawn.id] += move(region, spawn, f"r{number}-", 2 * TAIL + number)
        replicate(ring[number : number + 1])
    converge(three, ring, swarm)
    for region in three:
        for spawn in swarm:
            assert_once(region, spawn, given[spawn.id])


def test_purges_and_compaction_in_between_bring_nothing_back(three: list[Region]) -> None:
    first, second, third = three
    if not is_apache(first):
        pytest.skip("needs CouchDB: COUCHDB_TEST_URL; the peer cannot purge")
    spawn = hive_of(first).spawn(Pose())
    for region in (second, third):
        region.pull_all(first)
    given = []
    for number in range(3):
        for name, region in zip("abc", three, strict=True):
            given += move(region, spawn, f"{name}{number}-", TAIL)
        second.pull_all(first)
        hive_of(second).get(spawn.id)
        assert Healer(second.store, TAIL).purge() > 0
        for region in (first, second):
            for database in region.databases:
                region.ask("POST", database, "_compact", body={})
        third.pull_all(second)
        hive_of(third).get(spawn.id)
    converge(three, every_pair(three), [spawn])
    for region in three:
        assert_once(region, spawn, given)


@pytest.mark.parametrize("fault", [ResetBefore(), ResetAfter()])
@pytest.mark.parametrize("writes", range(2))
def test_a_replication_that_breaks_at_any_write_loses_nothing(
    three: list[Region], couchdb: CouchDBServer, fault: ResetBefore | ResetAfter, writes: int
) -> None:
    first, second, _ = three
    if not is_apache(first):
        pytest.skip("needs CouchDB: COUCHDB_TEST_URL; the peer may end when a connection breaks")
    spawn = hive_of(first).spawn(Pose())
    second.pull_all(first)
    given = move(first, spawn, "a", 3 * TAIL) + move(second, spawn, "b", 3 * TAIL)
    first.pull_all(second)
    hive_of(first).get(spawn.id)
    with FaultProxy(couchdb.host, couchdb.port) as proxy:

        def breaks(_: str, path: str) -> bool:
            before = [seen for seen in proxy.requests if "_bulk_docs" in seen.path]
            return "_bulk_docs" in path and len(before) >= writes

        proxy.fault = Fault(fault, breaks)
        for history in (False, True):
            with suppress(ErrorResponse, NoResponse):
                target = second.address(history, proxy.port)
                second.pull_over(first.address(history), target, retries_per_request=1)
        assert len([seen for seen in proxy.requests if "_bulk_docs" in seen.path]) >= writes
    given += move(second, spawn, "later", 2)
    converge(three[:2], every_pair(three[:2]), [spawn])
    for region in (first, second):
        assert_once(region, spawn, given)


def test_a_call_for_many_zerglings_with_one_key_counts_once(three: list[Region]) -> None:
    first, second, _ = three
    swarm = [hive_of(first).spawn(Pose()) for _ in range(3)]
    second.pull_all(first)
    items = [
        (spawn.id, CommandRequest.command("MRM", item_key("a key", number)))
        for number, spawn in enumerate(swarm)
    ]
    broods = []
    for region in (first, second):
        results = [
            result for part in hive_of(region).bulk.command(items, "a key") for result in part
        ]
        assert all(isinstance(result, Zergling) for result in results)
        brood = [
            result.id
            for part in hive_of(region).bulk.spawn(3, Pose(1, 1, "S"), "a brood")
            for result in part
            if isinstance(result, Zergling)
        ]
        broods.append(brood)
    assert broods[0] == broods[1]
    converge(three[:2], every_pair(three[:2]), swarm)
    for region in (first, second):
        for spawn in swarm:
            assert hive_of(region).get(spawn.id).history == ("M", "R", "M")
        assert len(hive_of(region).list().zerglings) == 3 + 3


def test_different_requests_with_one_key_both_count(three: list[Region]) -> None:
    first, second, _ = three
    spawn = hive_of(first).spawn(Pose())
    second.pull_all(first)
    for region, words in ((first, "M"), (second, "RR")):
        hive_of(region).command(spawn.id, CommandRequest.command(words, "a key"))
    converge(three[:2], every_pair(three[:2]), [spawn])
    for region in (first, second):
        assert sorted(hive_of(region).get(spawn.id).history) == ["M", "R", "R"]


def test_a_spawn_with_one_key_in_two_regions_is_one_zergling(three: list[Region]) -> None:
    first, second, _ = three
    spawned = [hive_of(region).spawn(Pose(2, 3, "S"), "a key") for region in (first, second)]
    assert spawned[0].id == spawned[1].id
    given = move(first, spawned[0], "a", 2) + move(second, spawned[0], "b", 2)
    converge(three[:2], every_pair(three[:2]), spawned[:1])
    for region in (first, second):
        assert_once(region, spawned[0], given)
        assert len(hive_of(region).list().zerglings) == 1


def test_a_death_in_one_region_wins_over_moves_in_another(three: list[Region]) -> None:
    first, second, _ = three
    spawn = hive_of(first).spawn(Pose())
    second.pull_all(first)
    hive_of(first).kill(spawn.id)
    move(second, spawn, "b", 3 * TAIL)
    converge(three[:2], every_pair(three[:2]), [spawn])
    for region in (first, second):
        with pytest.raises(NoSuchZergling):
            hive_of(region).get(spawn.id)
        assert hive_of(region).list().zerglings == []


def test_a_revision_is_a_condition_in_one_region_only(three: list[Region]) -> None:
    first, second, _ = three
    spawn = hive_of(first).spawn(Pose())
    second.pull_all(first)

    def is_spawn(zergling: Zergling) -> bool:
        return zergling.revision == spawn.revision

    given = []
    for name, region in (("a", first), ("b", second)):
        hive_of(region).command(spawn.id, CommandRequest(name, ("M",)), is_spawn)
        given.append(name)
    converge(three[:2], every_pair(three[:2]), [spawn])
    for region in (first, second):
        assert_once(region, spawn, given)
        with pytest.raises(PreconditionFailed):
            hive_of(region).command(spawn.id, CommandRequest("c", ("M",)), is_spawn)


def test_each_region_reports_a_change_when_it_arrives_and_a_merge_as_one_event(
    three: list[Region],
) -> None:
    first, second, _ = three
    spawn = hive_of(first).spawn(Pose())
    position = hive_of(second).changes_after(None).position
    assert hive_of(second).changes_after(position).events == []
    second.pull_all(first)
    batch = hive_of(second).changes_after(position)
    assert [(event.kind, event.id) for event in batch.events] == [("spawned", spawn.id)]
    move(first, spawn, "a", 2)
    move(second, spawn, "b", 2)
    position = hive_of(second).changes_after(None).position
    second.pull_all(first)
    batch = hive_of(second).changes_after(position)
    (event,) = batch.events
    assert (event.kind, event.id) == ("moved", spawn.id)
    assert event.zergling is not None
    assert event.zergling.command_count == 4


def test_a_list_shows_one_side_until_the_zergling_is_read(three: list[Region]) -> None:
    first, second, _ = three
    spawn = hive_of(first).spawn(Pose())
    second.pull_all(first)
    move(first, spawn, "a", 1)
    move(second, spawn, "b", 4)
    first.pull_all(second)
    (shown,) = hive_of(first).list().zerglings
    alone = hive_of(second).get(spawn.id).pose
    assert shown.pose == alone
    merged = hive_of(first).get(spawn.id)
    assert merged.pose != alone
    assert hive_of(first).list().zerglings[0].pose == merged.pose


def test_the_merged_history_has_the_same_order_everywhere(three: list[Region]) -> None:
    first, second, _ = three
    spawn = hive_of(first).spawn(Pose())
    common = move(first, spawn, "common", 2)
    second.pull_all(first)
    more, less = move(first, spawn, "a", 4), move(second, spawn, "b", 3)
    converge(three[:2], every_pair(three[:2]), [spawn])
    for region in (first, second):
        assert ids_in(region, spawn) == common + more + less, "the winner has more updates"


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(steps)
def test_no_order_of_arrival_loses_or_repeats_a_request(
    couchdb: CouchDBServer, taken: Sequence[Step]
) -> None:
    with regions(couchdb, COUNT) as found:
        live(found, taken, replicate)
