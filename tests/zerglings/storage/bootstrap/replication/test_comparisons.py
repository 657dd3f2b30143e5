"""Tests that a check compares replications with those of the peers, which the start does not."""

from __future__ import annotations

from tests.support.fault_proxy import FaultProxy
from tests.support.manage import python
from tests.zerglings.storage.bootstrap.replication.region import (
    ELSEWHERE,
    NOWHERE,
    PASSWORD,
    Region,
    about_replication,
)
from tests.zerglings.storage.bootstrap.replication.reports import jobs, tasks
from zerglings.management.commands.bootstrap_couch import DRIFTED, READY
from zerglings.storage.base import StoreUnavailable


class Compared:
    """An exchange that reports what the test gives it."""

    def __init__(
        self, region: Region, found: str | StoreUnavailable, *, peer: str = "east"
    ) -> None:
        self.peer_name = peer
        self.replication = region.id(peer)
        self.comparisons = 0
        self._found = found

    def fault(self) -> str:
        self.comparisons += 1
        if isinstance(self._found, StoreUnavailable):
            raise self._found
        return self._found


def check_against(region: Region, *exchanges: Compared, **urls: str) -> list[str]:
    """Check the replications, and compare them with those of the peers."""
    peers = region.peers(**(urls or {"east": NOWHERE}))
    return about_replication(region.site.check(peers=peers, exchanges=exchanges))


def test_a_fault_that_only_a_comparison_finds_is_drift(region: Region) -> None:
    region.bootstrap(east=NOWHERE)
    (line,) = check_against(region, Compared(region, "it is an old copy"))
    assert line.startswith("drift ")
    assert "it is an old copy" in line


def test_each_peer_that_cannot_be_compared_is_reported_once(region: Region) -> None:
    urls = {"east": NOWHERE, "west": ELSEWHERE}
    region.bootstrap(**urls)
    east = [Compared(region, StoreUnavailable("it does not answer")) for _ in range(2)]
    west = Compared(region, "it is an old copy", peer="west")
    (line,) = check_against(region, *east, west, **urls)
    assert line.startswith("drift ")
    assert line.count("cannot be compared with peer east: it does not answer") == 1
    assert "it is an old copy" in line
    assert [each.comparisons for each in east] == [1, 0], "a silent peer costs one timeout"


def test_a_replication_without_a_job_is_not_compared(region: Region, proxy: FaultProxy) -> None:
    behind = region.through(proxy.url)
    behind.bootstrap(east=NOWHERE)
    proxy.faults = [jobs(), tasks()]
    east = Compared(region, StoreUnavailable("it has no job"))
    assert check_against(behind, east) == ["ok ok"]
    assert east.comparisons == 0


def test_only_a_close_look_connects_to_peers(region: Region) -> None:
    environment = region.site.environment | {
        "COUCHDB_PEERS": f"east={NOWHERE}",
        "COUCHDB_PEERS_USERNAME": region.username,
        "COUCHDB_PEERS_PASSWORD": PASSWORD,
    }
    said = "cannot be compared with peer east: "
    start = python("manage.py", "bootstrap_couch", **environment)
    assert (start.returncode, said in start.stdout) == (READY, False)
    check = python("manage.py", "bootstrap_couch", "--check", **environment)
    assert (check.returncode, check.stdout.count(said)) == (DRIFTED, 1)
    only = python("manage.py", "bootstrap_couch", "--only", "replicate", **environment)
    assert (only.returncode, only.stdout.count(said)) == (READY, 1)
