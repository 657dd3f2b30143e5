"""Tests that the processes of a region write its heartbeat, and show how far it is behind."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.support.backends import Backend, couchdb_backend
from tests.support.fault_proxy import FaultProxy
from tests.support.faults import Fault, Hang
from tests.support.manage import python
from tests.support.monitored_regions import Clock, MonitoredRegion
from tests.support.prometheus import Metrics
from tests.support.service import Service
from tests.support.site import CouchDBServer
from tests.support.waiting import wait_until

LAG, SEEN = "overmind_region_lag_seconds", "overmind_regions_seen"


@pytest.fixture
def backends(couchdb: CouchDBServer) -> Iterator[dict[str, Backend]]:
    """Regions by name, on one server."""
    with ExitStack() as stack:
        yield {
            name: Backend(
                stack.enter_context(couchdb_backend(couchdb)).environment
                | {"OVERMIND_REGION": name}
            )
            for name in ("east", "west")
        }


@pytest.fixture
def regions(backends: dict[str, Backend]) -> Iterator[dict[str, MonitoredRegion]]:
    """The same regions, to look into their stores and to replicate."""
    regions = {name: MonitoredRegion(name, backend, Clock()) for name, backend in backends.items()}
    yield regions
    for region in regions.values():
        region.close()


def test_a_service_shows_how_far_its_region_is_behind(
    backends: dict[str, Backend], regions: dict[str, MonitoredRegion], tmp_path: Path
) -> None:
    east, west = regions["east"], regions["west"]
    with Service(backends["east"].environment | {"WEB_CONCURRENCY": "2"}, tmp_path) as there:
        there.spawn()
        wait_until(east.heartbeats, "a process has written the heartbeat of the east")
        west.copy(east)
    with Service(backends["west"].environment, tmp_path) as here:
        wait_until(lambda: Metrics.of(here).total(SEEN) == 1, "it has seen the heartbeat")
        found = here.call("GET", "/regions").json
        assert found["region"] == "west"
        (other,) = found["others"]
        assert other["region"] == "east"
        assert other["secondsBehind"].keys() == {"zerglings", "history"}
        behind = {labels["part"]: value for labels, value in Metrics.of(here).samples(LAG)}
        assert behind.keys() == {"zerglings", "history"}
        assert all(0 <= seconds < 60 for seconds in behind.values())
        assert Metrics.of(here).labels(LAG, "region") == {"east"}


def test_a_service_without_a_region_writes_and_reads_no_heartbeat(
    couch: Backend,
    backends: dict[str, Backend],
    regions: dict[str, MonitoredRegion],
    proxy: FaultProxy,
    tmp_path: Path,
) -> None:
    (tmp_path / "plain").mkdir()
    with (
        Service(couch.through(proxy.url).environment, tmp_path / "plain") as plain,
        Service(backends["west"].environment, tmp_path),
    ):
        assert plain.call("GET", "/regions").json == {"region": None, "others": []}
        assert not list(Metrics.of(plain).samples(SEEN))
        wait_until(regions["west"].heartbeats, "a region that started later has a heartbeat")
    history = f"{couch.environment['COUCHDB_DATABASE']}-history"
    assert not [seen for seen in proxy.requests if f"/{history}/_bulk" in seen.path]
    assert not [seen for seen in proxy.requests if "/region" in seen.path]
    assert couch.server.ask("GET", history)["doc_count"] == 0


def test_commands_of_manage_py_write_no_heartbeat(
    backends: dict[str, Backend], regions: dict[str, MonitoredRegion]
) -> None:
    done = python("manage.py", "export_zerglings", "-", **backends["west"].environment)
    assert done.returncode == 0, done.stderr
    assert regions["west"].heartbeats() == []


def test_a_hanging_history_database_delays_neither_requests_nor_the_end(
    backends: dict[str, Backend], proxy: FaultProxy, tmp_path: Path
) -> None:
    proxy.faults = [Fault(Hang(threading.Event()), lambda _, path: "-history" in path)]
    service = Service(backends["west"].through(proxy.url).environment, tmp_path)
    with service:
        wait_until(lambda: any("-history" in seen.path for seen in proxy.requests), "a call hangs")
        zergling_id = service.spawn()
        assert service.call("POST", f"/zerglings/{zergling_id}", '"M"').status == 200
        assert service.call("GET", "/regions").json == {"region": "west", "others": None}
        assert list(Metrics.of(service).samples(SEEN)) == [({}, 0)]
        began = time.monotonic()
    assert time.monotonic() - began < 5
