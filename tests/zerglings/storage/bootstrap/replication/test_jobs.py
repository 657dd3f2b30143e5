"""Tests that bootstrap reports replications that do not work, and restarts those that ended."""

from __future__ import annotations

from tests.support.fault_proxy import FaultProxy
from tests.zerglings.storage.bootstrap.replication.region import NOWHERE, Region
from tests.zerglings.storage.bootstrap.replication.reports import jobs, tasks


def test_a_stopped_replication_is_a_warning_and_drift_in_a_check(
    region: Region, proxy: FaultProxy
) -> None:
    behind = region.through(proxy.url)
    behind.bootstrap(east=NOWHERE)
    proxy.fault = jobs(
        (region.id("east"), "crashing", {"error": "db_not_found: could not open"}),
        ("somebody's", "crashing", {"error": "x"}),
        (region.id("gone"), "crashing", None),
    )
    said = f"{region.id('east')} is crashing: db_not_found: could not open"
    assert behind.bootstrap(east=NOWHERE) == [f"warning {said}", "ok ok"]
    assert behind.check(east=NOWHERE) == [f"drift {said}"]


def test_a_failed_replication_is_started_again_once(region: Region, proxy: FaultProxy) -> None:
    behind = region.through(proxy.url)
    behind.bootstrap(east=NOWHERE)
    before = region.document("east")["_rev"]
    proxy.fault = jobs((region.id("east"), "failed", {"error": "already started"}))
    said = f"{region.id('east')} is failed: already started"
    assert behind.check(east=NOWHERE) == [f"drift {said}"]
    assert region.document("east")["_rev"] == before
    repaired = f"changed repaired {region.id('east')}"
    assert behind.bootstrap(east=NOWHERE) == [repaired, f"warning {said}", "ok ok"]
    assert region.document("east")["_rev"] != before


def test_documents_that_couchdb_refused_are_a_warning_and_drift_in_a_check(
    region: Region, proxy: FaultProxy
) -> None:
    behind = region.through(proxy.url)
    behind.bootstrap(east=NOWHERE)
    both = [region.id("east", database) for database in region.site.databases]
    proxy.faults = [
        jobs(*((id_, "running", None) for id_ in both), ("somebody's", "running", None)),
        tasks((both[0], 0), (both[1], 3), ("somebody's", 5)),
    ]
    for lines in (behind.bootstrap(east=NOWHERE), behind.check(east=NOWHERE)):
        assert "doc_write_failures: 3" in lines[0]
        assert both[1] in lines[0]
        assert "somebody's" not in lines[0]
    assert behind.bootstrap(east=NOWHERE)[-1] == "ok ok"
    assert behind.check(east=NOWHERE)[0].startswith("drift ")
    proxy.faults = [proxy.faults[0], tasks(*((id_, 0) for id_ in both))]
    assert behind.check(east=NOWHERE) == ["ok ok"]


def test_a_check_reports_replications_that_couchdb_does_not_start(
    region: Region, proxy: FaultProxy
) -> None:
    behind = region.through(proxy.url)
    behind.bootstrap(east=NOWHERE)
    both = [region.id("east", database) for database in region.site.databases]
    proxy.faults = [jobs((both[0], "running", None)), tasks()]
    (line,) = behind.check(0.1, east=NOWHERE)
    assert line.startswith(f"drift {both[1]} is not started")
    assert both[0] not in line.split()
    assert behind.bootstrap(east=NOWHERE) == ["ok ok"], "the start of a pod does not wait"


def test_a_check_waits_until_replications_have_started(region: Region, proxy: FaultProxy) -> None:
    """CouchDB does not list them in the first seconds after its own start."""
    behind = region.through(proxy.url)
    behind.bootstrap(east=NOWHERE)
    started = [(region.id("east", each), "running", None) for each in region.site.databases]
    proxy.faults = [jobs(times=2), jobs(*started), tasks()]
    assert behind.check(60, east=NOWHERE) == ["ok ok"]


def test_a_missing_document_is_not_also_reported_as_not_started(
    region: Region, proxy: FaultProxy
) -> None:
    region.site.bootstrap()
    proxy.faults = [jobs(), tasks()]
    (line,) = region.through(proxy.url).check(60, east=NOWHERE)
    assert f"{region.id('east')} is missing" in line
    assert "not started" not in line
