"""Tests that each region has one heartbeat, whoever writes it, and that outages do no harm."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest

from tests.support.backends import Backend
from tests.support.documents import write
from tests.support.faulty_store import FaultyStore
from tests.support.monitored_regions import START, Clock, MonitoredRegion
from tests.support.waiting import wait_until
from zerglings.regions import monitor
from zerglings.regions.monitor import RegionMonitor
from zerglings.storage.base import StoreUnavailable
from zerglings.storage.regions.heartbeats import PERIOD, YOUNGEST_REPLACED, Heartbeat


@pytest.mark.parametrize("history", [False, True])
def test_a_heartbeat_and_its_markers_have_the_time(
    west: MonitoredRegion, clock: Clock, shards: int, *, history: bool
) -> None:
    for _ in range(2):
        west.monitor.step()
        (heartbeat,) = west.heartbeats()
        assert heartbeat["time"] == clock.now
        markers = west.markers(history=history)
        assert [[leaf["time"] for leaf in leaves] for leaves in markers] == [[clock.now]] * shards
        clock.now += PERIOD


def test_the_main_database_lists_no_heartbeat(west: MonitoredRegion) -> None:
    west.monitor.step()
    assert west.store.page(None, 10, timeout=5).documents == []


def test_a_heartbeat_causes_no_event(west: MonitoredRegion, clock: Clock) -> None:
    position = west.hive.changes_after(None).position
    for _ in range(2):
        west.monitor.step()
        clock.now += PERIOD
    batch = west.hive.changes_after(position)
    assert batch.events == []
    assert batch.position != position


def test_one_process_writes_per_period(west: MonitoredRegion, clock: Clock) -> None:
    others = [west.another_process(clock) for _ in range(3)]
    for number in range(4):
        for each in [west.monitor, *others]:
            each.step()
        (heartbeat,) = west.heartbeats()
        assert heartbeat["_rev"].startswith(f"{number + 1}-")
        clock.now += YOUNGEST_REPLACED


def test_processes_that_write_at_once_leave_one_heartbeat(
    west: MonitoredRegion, clock: Clock
) -> None:
    others = [west.another_process(clock) for _ in range(8)]
    for _ in range(3):
        with ThreadPoolExecutor(len(others)) as pool:
            list(pool.map(lambda each: each.step(), others))
        assert [each["time"] for each in west.heartbeats()] == [clock.now]
        assert {len(leaves) for leaves in west.markers()} == {1}
        clock.now += PERIOD


def rivals(west: MonitoredRegion, *times: float) -> None:
    for number, time in enumerate(times):
        rival = Heartbeat("west", time, ["region:west:0"], ["region:west:0"]).encode()
        west.receive([rival | {"_rev": f"1-{number:032x}"}], history=True)


@pytest.mark.parametrize("times", [(START, START - 3), (START - 3, START), (START, START)])
def test_the_newest_of_rival_heartbeats_is_kept(
    west: MonitoredRegion, times: tuple[float, ...]
) -> None:
    rivals(west, *times)
    assert len(west.heartbeats()) == 2
    west.monitor.step()
    assert [each["time"] for each in west.heartbeats()] == [START]


def test_rival_heartbeats_that_are_old_are_replaced_by_one(west: MonitoredRegion) -> None:
    rivals(west, START - 500, START - 600, START - 400)
    west.monitor.step()
    (heartbeat,) = west.heartbeats()
    assert heartbeat["time"] == START


@pytest.mark.parametrize("ahead", [PERIOD, 3600.0, 1e18])
def test_a_heartbeat_from_the_future_is_replaced(west: MonitoredRegion, ahead: float) -> None:
    rivals(west, START + ahead)
    west.monitor.step()
    (heartbeat,) = west.heartbeats()
    assert heartbeat["time"] == START


def test_a_deleted_heartbeat_is_written_again(west: MonitoredRegion) -> None:
    west.monitor.step()
    (heartbeat,) = west.heartbeats()
    write(west.store.history, heartbeat | {"_deleted": True})
    assert west.heartbeats() == []
    west.monitor.step()
    assert len(west.heartbeats()) == 1


def test_an_outage_is_logged_once_and_survived(
    west: MonitoredRegion, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    faulty = FaultyStore(west.store)
    process = west.another_process(clock, faulty)

    def fail(*_: object) -> None:
        raise StoreUnavailable("away")

    for _ in range(2):
        faulty.history.before_get = fail
        faulty.history.before_page = fail
        with caplog.at_level(logging.WARNING):
            for _ in range(3):
                process.step()
        assert len(caplog.records) == 1
        faulty.history.before_get = lambda _: None
        faulty.history.before_page = lambda: None
        clock.now += PERIOD
        process.step()
        assert [each["time"] for each in west.heartbeats()] == [clock.now]
        caplog.clear()


def test_a_region_that_cannot_write_still_watches_the_others(
    east: MonitoredRegion, west: MonitoredRegion, clock: Clock
) -> None:
    east.monitor.step()
    west.copy(east)
    faulty = FaultyStore(west.store)
    process = west.another_process(clock, faulty)

    def fail(*_: object) -> None:
        raise StoreUnavailable("read-only")

    faulty.history.before_put = fail
    process.step()
    assert set(process.lags() or {}) == {"east"}


@contextmanager
def running(process: RegionMonitor) -> Iterator[None]:
    """Run a monitor during the block, and check that it ends when it is told to."""
    stopping = threading.Event()
    thread = threading.Thread(target=process.run, args=[stopping])
    thread.start()
    try:
        yield
    finally:
        stopping.set()
        thread.join(PERIOD / 2)
        assert not thread.is_alive()


def test_a_monitor_ends_when_it_is_told_to(
    west: MonitoredRegion, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(monitor, "FIRST_PAUSE", 0.01)
    with running(west.monitor):
        wait_until(west.heartbeats, "the heartbeat is written")


def test_a_crash_is_logged_once_with_its_cause_and_survived(
    west: MonitoredRegion,
    clock: Clock,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    for name in ("FIRST_PAUSE", "PERIOD"):
        monkeypatch.setattr(monitor, name, 0.01)
    faulty = FaultyStore(west.store)
    crashes: list[None] = []

    def crash() -> None:
        crashes.append(None)
        raise ZeroDivisionError

    faulty.history.before_page = crash
    process = west.another_process(clock, faulty)
    with running(process):
        wait_until(lambda: len(crashes) > 2, "it crashes again and again")
        assert process.lags() is None
        faulty.history.before_page = lambda: None
        wait_until(lambda: process.lags() == {}, "it works again")
    (record,) = caplog.records
    assert record.levelno == logging.ERROR
    assert record.exc_info is not None
    assert record.exc_info[0] is ZeroDivisionError


def test_without_a_region_there_is_no_monitor(couch: Backend) -> None:
    assert monitor.configured_monitor() is None
