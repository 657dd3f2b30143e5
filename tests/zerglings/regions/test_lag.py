"""Tests that the lag between regions is what has really arrived, whatever replication claims."""

from __future__ import annotations

import os

import pytest

from tests.support.documents import write
from tests.support.monitored_regions import HISTORY, MAIN, START, Clock, MonitoredRegion
from zerglings.domain.pose import Pose
from zerglings.domain.zergling import CommandRequest, Zergling
from zerglings.storage.regions.heartbeats import PERIOD, Heartbeat
from zerglings.storage.regions.lag import KEPT_FOR
from zerglings.storage.regions.markers import Markers

HALVES = [(0, 0x7FFFFFFF), (0x80000000, 0xFFFFFFFF)]

REVISIONS = 10


@pytest.fixture
def zergling(east: MonitoredRegion, west: MonitoredRegion) -> Zergling:
    """A zergling in both regions, which are not behind."""
    zergling = east.hive.spawn(Pose())
    assert west.behind_after_heartbeat(east) == (0, 0)
    return zergling


def command(region: MonitoredRegion, zergling: Zergling, times: int = 1) -> None:
    for _ in range(times):
        region.hive.command(zergling.id, CommandRequest.command("M"))


def test_a_region_is_behind_by_the_age_of_the_newest_heartbeat(
    east: MonitoredRegion, west: MonitoredRegion, clock: Clock
) -> None:
    assert west.behind_after_heartbeat(east) == (0, 0)
    clock.now += 95
    assert west.seconds_behind(east) == (95, 95)
    east.monitor.step()
    assert west.seconds_behind(east) == (95, 95), "nothing has been replicated"
    west.copy(east)
    assert west.seconds_behind(east) == (0, 0)


def test_a_region_has_no_lag_until_its_first_heartbeat_arrives(
    east: MonitoredRegion, west: MonitoredRegion
) -> None:
    assert west.monitor.lags() is None
    east.monitor.step()
    assert west.seconds_behind(east) is None
    assert west.monitor.lags() == {}
    assert west.seconds_behind(west) is None, "it is not behind itself"


@pytest.mark.parametrize(("part", "seconds"), [(HISTORY, (3 * PERIOD, 0)), (MAIN, (0, 3 * PERIOD))])
def test_only_the_database_whose_replication_stops_is_behind(
    *,
    east: MonitoredRegion,
    west: MonitoredRegion,
    clock: Clock,
    zergling: Zergling,
    part: int,
    seconds: tuple[float, float],
) -> None:
    for _ in range(3):
        clock.now += PERIOD
        command(east, zergling)
        found = west.behind_after_heartbeat(east, part)
    assert found == seconds
    west.copy(east)
    assert west.seconds_behind(east) == (0, 0)


def test_changes_without_a_heartbeat_do_not_count(
    east: MonitoredRegion, west: MonitoredRegion, clock: Clock, zergling: Zergling
) -> None:
    """They say nothing about the changes that have not arrived."""
    clock.now += 50
    command(east, zergling)
    west.copy(east)
    assert west.seconds_behind(east) == (50, 50)


def test_a_process_that_starts_during_an_outage_knows_the_lag(
    east: MonitoredRegion, west: MonitoredRegion, clock: Clock, zergling: Zergling
) -> None:
    clock.now += 50
    east.monitor.step()
    west.copy(east, HISTORY)
    west.monitor = west.another_process(clock)
    assert west.seconds_behind(east) == (50, 0)


def test_a_database_from_which_nothing_has_arrived_is_behind_since_the_start(
    east: MonitoredRegion, west: MonitoredRegion, clock: Clock
) -> None:
    assert west.behind_after_heartbeat(east, HISTORY) == (0, 0)
    clock.now += 500
    assert west.behind_after_heartbeat(east, HISTORY) == (500, 0)


def test_changes_that_arrive_over_a_third_region_count(
    east: MonitoredRegion, west: MonitoredRegion, north: MonitoredRegion
) -> None:
    """What counts is that they are here, not the way they took."""
    east.hive.spawn(Pose())
    east.monitor.step()
    north.copy(east)
    west.copy(north)
    assert west.seconds_behind(east) == (0, 0)


@pytest.mark.parametrize("part", [MAIN, HISTORY])
def test_a_single_shard_that_does_not_arrive_counts(
    east: MonitoredRegion,
    west: MonitoredRegion,
    clock: Clock,
    part: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Markers, "_shards", lambda _: HALVES)
    assert west.behind_after_heartbeat(east) == (0, 0)
    clock.now += PERIOD
    east.monitor.step()
    west.copy(east, MAIN if part == HISTORY else HISTORY)
    first, second = (leaf["_id"] for (leaf,) in east.markers(history=part == HISTORY))
    west.take(east, first, history=part == HISTORY)
    assert west.seconds_behind(east) == ((PERIOD, 0) if part == MAIN else (0, PERIOD))
    west.take(east, second, history=part == HISTORY)
    assert west.seconds_behind(east) == (0, 0)


@pytest.mark.skipif("COUCHDB_TEST_URL" not in os.environ, reason="the peer keeps all revisions")
def test_more_commands_than_couchdb_keeps_revisions_of_are_no_lag(
    east: MonitoredRegion, west: MonitoredRegion, clock: Clock, zergling: Zergling
) -> None:
    """West then never learns of the revisions that were current at the heartbeats."""
    for region in (east, west):
        for name in region.databases:
            region.ask("PUT", name, "_revs_limit", body=REVISIONS)
    for _ in range(3):
        clock.now += PERIOD
        command(east, zergling, 3 * REVISIONS)
        east.monitor.step()
        command(east, zergling, 3 * REVISIONS)
        west.copy(east)
        assert west.seconds_behind(east) == (0, 0)
    clock.now += PERIOD
    command(east, zergling, 3 * REVISIONS)
    assert west.behind_after_heartbeat(east, HISTORY) == (PERIOD, 0)


def test_a_zergling_commanded_in_both_regions_does_not_hide_that_they_are_apart(
    east: MonitoredRegion, west: MonitoredRegion, clock: Clock, zergling: Zergling
) -> None:
    command(east, zergling)
    command(west, zergling, 3)
    clock.now += 50
    assert west.behind_after_heartbeat(east, HISTORY) == (50, 0)


def test_a_region_that_is_removed_disappears(east: MonitoredRegion, west: MonitoredRegion) -> None:
    assert west.behind_after_heartbeat(east) == (0, 0)
    (heartbeat,) = west.heartbeats("east")
    write(west.store.history, heartbeat | {"_deleted": True})
    assert west.seconds_behind(east) is None


EAST = Heartbeat("east", START, ["region:east:0"], ["region:east:0"]).encode()
NORTH = Heartbeat("north", START, ["region:north:0"], ["region:north:0"]).encode()


@pytest.mark.parametrize(
    "changed",
    [
        {"_id": "region:East"},
        {"_id": "region:"},
        {"time": "soon"},
        {"time": None},
        {"markers": None},
        {"markers": {}},
        {"markers": EAST["markers"] | {"history": []}},
        {"markers": EAST["markers"] | {"history": NORTH["markers"]["history"]}},
        {"markers": EAST["markers"] | {"history": ["region:east:0", 7]}},
    ],
)
def test_documents_that_are_no_heartbeats_are_ignored(
    west: MonitoredRegion, changed: dict[str, object]
) -> None:
    write(west.store.history, dict(NORTH))
    write(west.store.history, EAST | changed)
    west.monitor.step()
    assert (west.monitor.lags() or {}).keys() == {"north"}


def test_lags_are_unknown_some_time_after_the_store_has_failed(
    east: MonitoredRegion, west: MonitoredRegion, clock: Clock
) -> None:
    assert west.behind_after_heartbeat(east) == (0, 0)
    west.backend.server.drop(west.databases[MAIN])
    clock.now += KEPT_FOR
    assert west.seconds_behind(east) == (KEPT_FOR, KEPT_FOR)
    clock.now += 1
    west.monitor.step()
    assert west.monitor.lags() is None
