"""Tests that the lag between regions is what has really arrived, whatever replication claims."""

from __future__ import annotations

import uuid

import pytest

from tests.support.documents import read, write
from tests.support.monitored_regions import HISTORY, MAIN, START, Clock, MonitoredRegion
from tests.support.rivals import plant_document
from zerglings.domain.zergling import CommandRequest, Pose
from zerglings.storage.regions import lag
from zerglings.storage.regions.heartbeats import PERIOD
from zerglings.storage.regions.lag import KEPT_FOR


def test_a_region_is_behind_by_the_age_of_the_newest_heartbeat(
    east: MonitoredRegion, west: MonitoredRegion, clock: Clock
) -> None:
    east.hive.spawn(Pose())
    east.monitor.step()
    west.copy(east)
    assert west.seconds_behind(east) == (0, 0)
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


def test_empty_regions_are_not_behind(east: MonitoredRegion, west: MonitoredRegion) -> None:
    east.monitor.step()
    west.copy(east, HISTORY)
    assert west.seconds_behind(east) == (0, 0)


def test_only_the_main_database_is_behind_if_only_its_replication_stops(
    east: MonitoredRegion, west: MonitoredRegion, clock: Clock
) -> None:
    zergling = east.hive.spawn(Pose())
    east.monitor.step()
    west.copy(east)
    assert west.seconds_behind(east) == (0, 0)
    for _ in range(3):
        clock.now += PERIOD
        east.hive.command(zergling.id, CommandRequest.command("M"))
        east.monitor.step()
        west.copy(east, HISTORY)
        west.monitor.step()
    assert west.seconds_behind(east) == (3 * PERIOD, 0)
    west.copy(east, MAIN)
    assert west.seconds_behind(east) == (0, 0)


def test_both_are_behind_if_no_heartbeats_arrive(
    east: MonitoredRegion, west: MonitoredRegion, clock: Clock
) -> None:
    east.hive.spawn(Pose())
    east.monitor.step()
    west.copy(east)
    west.monitor.step()
    clock.now += PERIOD
    east.hive.spawn(Pose())
    east.monitor.step()
    west.copy(east, MAIN)
    assert west.seconds_behind(east) == (PERIOD, PERIOD)


def test_a_process_that_starts_during_an_outage_counts_from_what_it_sees(
    east: MonitoredRegion, west: MonitoredRegion, clock: Clock
) -> None:
    east.hive.spawn(Pose())
    east.monitor.step()
    west.copy(east, HISTORY)
    assert west.seconds_behind(east) == (0, 0)
    clock.now += 500
    assert west.seconds_behind(east) == (500, 500)
    east.monitor.step()
    west.copy(east, HISTORY)
    assert west.seconds_behind(east) == (500, 0)


def test_a_change_that_arrived_over_a_third_region_counts(
    east: MonitoredRegion, west: MonitoredRegion, clock: Clock
) -> None:
    """What counts is that it is here, not the way it took."""
    zergling = east.hive.spawn(Pose())
    east.monitor.step()
    west.copy(east, HISTORY)
    west.receive([read(east.store, zergling.id)])
    assert west.seconds_behind(east) == (0, 0)


def test_a_known_change_does_not_hide_an_earlier_one_that_is_missing(
    east: MonitoredRegion, west: MonitoredRegion, clock: Clock
) -> None:
    """With several shards, or several sources, changes can arrive in another order."""
    zergling = west.hive.spawn(Pose())
    east.copy(west)
    east.hive.spawn(Pose())
    east.monitor.step()
    west.copy(east, HISTORY)
    west.monitor.step()
    clock.now += 50
    west.hive.command(zergling.id, CommandRequest.command("M"))
    east.copy(west, MAIN)
    east.monitor.step()
    west.copy(east, HISTORY)
    assert west.seconds_behind(east) == (50, 0)
    west.copy(east, MAIN)
    assert west.seconds_behind(east) == (0, 0)


def test_a_zergling_commanded_in_both_regions_does_not_hide_that_they_are_apart(
    east: MonitoredRegion, west: MonitoredRegion, clock: Clock
) -> None:
    zergling = east.hive.spawn(Pose())
    east.monitor.step()
    west.copy(east)
    assert west.seconds_behind(east) == (0, 0)
    east.hive.command(zergling.id, CommandRequest.command("M"))
    for _ in range(3):
        west.hive.command(zergling.id, CommandRequest.command("R"))
    clock.now += 50
    east.monitor.step()
    west.copy(east, HISTORY)
    assert west.seconds_behind(east) == (50, 0)


def test_a_change_that_couchdb_has_forgotten_does_not_count_as_missing_for_ever(
    east: MonitoredRegion, west: MonitoredRegion, clock: Clock
) -> None:
    """It keeps ``_revs_limit`` revisions, so one that was followed by many may never be seen."""
    zergling = east.hive.spawn(Pose())
    east.monitor.step()
    west.copy(east, HISTORY)
    west.monitor.step()
    successor = read(east.store, zergling.id) | {"note": "after many commands"}
    plant_document(west.backend, successor, after=f"90-{uuid.uuid4().hex}")
    clock.now += 50
    other = east.hive.spawn(Pose())
    write(west.store, {"_id": other.id, "note": "not the change of the east"})
    east.monitor.step()
    west.copy(east, HISTORY)
    assert west.seconds_behind(east) == (50, 0), "neither of the two is known to have arrived"
    west.receive([read(east.store, other.id)])
    assert west.seconds_behind(east) == (0, 0)


@pytest.mark.parametrize("ahead", [5.0, 3600.0, 1e18])
def test_a_clock_that_is_ahead_gives_no_negative_lag_and_hides_no_silence(
    east: MonitoredRegion, west: MonitoredRegion, clock: Clock, ahead: float
) -> None:
    east.hive.spawn(Pose())
    east.another_process(Clock(START + ahead)).step()
    west.copy(east)
    assert west.seconds_behind(east) == (0, 0)
    clock.now += 50
    assert west.seconds_behind(east) == (50, 50)


def test_a_clock_that_is_set_back_is_followed(
    east: MonitoredRegion, west: MonitoredRegion, clock: Clock
) -> None:
    east.another_process(Clock(START + 3600)).step()
    west.copy(east)
    west.monitor.step()
    clock.now += 50
    east.monitor.step()
    west.copy(east)
    assert west.seconds_behind(east) == (0, 0)


def test_a_clock_that_is_behind_is_seen_as_a_lag(
    east: MonitoredRegion, west: MonitoredRegion
) -> None:
    east.another_process(Clock(START - 90)).step()
    west.copy(east)
    assert west.seconds_behind(east) == (90, 90)


def test_the_lag_of_a_long_outage_is_measured_with_bounded_memory(
    east: MonitoredRegion, west: MonitoredRegion, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lag, "MAX_AWAITED", 3)
    east.monitor.step()
    west.copy(east)
    assert west.seconds_behind(east) == (0, 0)
    for number in range(1, 7):
        clock.now += PERIOD
        east.hive.spawn(Pose())
        east.monitor.step()
        west.copy(east, HISTORY)
        assert west.seconds_behind(east) == (number * PERIOD, 0)
    west.copy(east, MAIN)
    assert west.seconds_behind(east) == (0, 0)


def test_a_region_that_is_removed_disappears(east: MonitoredRegion, west: MonitoredRegion) -> None:
    east.monitor.step()
    west.copy(east)
    assert west.seconds_behind(east) is not None
    (heartbeat,) = west.heartbeats("east")
    write(west.store.history, heartbeat | {"_deleted": True})
    assert west.seconds_behind(east) is None


@pytest.mark.parametrize(
    "document",
    [
        {"_id": "region:East", "time": START, "latest": None},
        {"_id": "region:", "time": START, "latest": None},
        {"_id": "region:east"},
        {"_id": "region:east", "time": "soon", "latest": None},
        {"_id": "region:east", "time": START, "latest": "1-a"},
        {"_id": "region:east", "time": START, "latest": {"id": 7, "rev": None}},
    ],
)
def test_documents_that_are_no_heartbeats_are_ignored(
    west: MonitoredRegion, document: dict[str, object]
) -> None:
    write(west.store.history, dict(document))
    west.monitor.step()
    assert west.monitor.lags() == {}


def test_lags_are_unknown_some_time_after_the_store_has_failed(
    east: MonitoredRegion, west: MonitoredRegion, clock: Clock
) -> None:
    east.monitor.step()
    west.copy(east)
    west.monitor.step()
    west.backend.server.drop(west.databases[MAIN])
    clock.now += KEPT_FOR
    assert west.seconds_behind(east) == (KEPT_FOR, KEPT_FOR)
    clock.now += 1
    west.monitor.step()
    assert west.monitor.lags() is None
