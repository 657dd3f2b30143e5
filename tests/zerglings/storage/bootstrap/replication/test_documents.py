"""Tests that bootstrap has CouchDB replicate from the other regions, and from no others."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.support.cluster import NODES, Cluster, says
from tests.support.fault_proxy import FaultProxy
from tests.support.faults import Fault
from tests.support.manage import python
from tests.support.ready import assert_ready
from tests.support.site import Site, missing_is_fine
from zerglings.management.commands.bootstrap_couch import DRIFTED, READY
from zerglings.storage.base import StoreUnavailable
from zerglings.storage.bootstrap.accounts import user_id
from zerglings.storage.bootstrap.runner import Misconfigured, Refused, Run, Status, find_drift
from zerglings.storage.couchdb.store import ROLE
from zerglings.storage.regions.heartbeats import PREFIX, Heartbeat
from zerglings.storage.regions.replications import Peers

NOWHERE = "http://127.0.0.1:1"
ELSEWHERE = "http://127.0.0.1:2"
PASSWORD = "migrate"


class Region:
    """A site with peers, and what its bootstrap writes for them."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self.username = f"{site.username}-peer"

    def peers(self, password: str = PASSWORD, **urls: str) -> Peers | None:
        account = self.site.account(self.username, password, "COUCHDB_PEERS_PASSWORD")
        return Peers(urls, account) if urls else None

    def through(self, url: str) -> Region:
        return Region(self.site.through(url))

    def bootstrap(self, *, password: str = PASSWORD, **urls: str) -> list[str]:
        """Bootstrap the site with these peers, and return the lines about replication."""
        peers = self.peers(password, **urls)
        return about_replication(self.site.bootstrap(peers=peers))

    def check(self, start_limit: float = 0, /, **urls: str) -> list[str]:
        lines: list[str] = []

        def report(step: str, status: Status, message: str) -> None:
            lines.append(f"{step} {status} {message}")

        plan = self.site.plan(peers=self.peers(**urls), start_limit=start_limit)
        find_drift(plan.steps(Run()), report)
        return about_replication(lines)

    def id(self, peer: str, database: str | None = None) -> str:
        return f"overmind:{database or self.site.database}:{peer}"

    @property
    def documents(self) -> dict[str, Any]:
        rows = self.site.server.ask("GET", "_replicator", "_all_docs", include_docs="true")["rows"]
        return {row["id"]: row["doc"] for row in rows if self.site.database in row["id"]}

    def document(self, peer: str) -> dict[str, Any]:
        found: dict[str, Any] = self.site.server.ask("GET", "_replicator", self.id(peer))
        return found

    def write(self, document: dict[str, Any]) -> None:
        self.site.server.ask("PUT", "_replicator", document["_id"], body=document)

    def remove(self) -> None:
        for id_, document in self.documents.items():
            with missing_is_fine():
                self.site.server.ask("DELETE", "_replicator", id_, rev=document["_rev"])
        with missing_is_fine():
            user = self.site.server.ask("GET", "_users", user_id(self.username))
            self.site.server.ask("DELETE", "_users", user["_id"], rev=user["_rev"])


@pytest.fixture
def region(site: Site) -> Iterator[Region]:
    region = Region(site)
    yield region
    region.remove()


def about_replication(lines: list[str]) -> list[str]:
    """Leave out the other steps, and warnings that depend on the server's settings."""
    mine = [line.removeprefix("replicate ") for line in lines if line.startswith("replicate ")]
    return [line for line in mine if "[replicator]" not in line]


def test_both_databases_are_pulled_from_each_peer(region: Region) -> None:
    region.bootstrap(east=NOWHERE, west=f"{ELSEWHERE}/couch")
    assert set(region.documents) == {
        region.id(peer, database) for peer in ("east", "west") for database in region.site.databases
    }
    east = region.document("east")
    auth = {"basic": {"username": region.username, "password": PASSWORD}}
    assert east["source"] == {"url": f"{NOWHERE}/{region.site.database}", "auth": auth}
    own = f"{region.site.server.url}/{region.site.database}"
    assert east["target"] == {"url": own, "auth": auth}
    assert east["continuous"] is True
    user = region.site.server.ask("GET", "_users", user_id(region.username))
    assert user["roles"] == [ROLE], "the least that may read and write the databases"


def test_a_second_run_writes_nothing(region: Region, proxy: FaultProxy) -> None:
    behind = region.through(proxy.url)
    behind.bootstrap(east=NOWHERE)
    proxy.clear()
    assert behind.bootstrap(east=NOWHERE)[-1] == "ok ok"
    assert writes(proxy) == []


def writes(proxy: FaultProxy) -> list[str]:
    """Return the writes of a bootstrap; CouchDB's own replications write elsewhere."""
    written = [r for r in proxy.requests if r.method != "GET"]
    return [r.path for r in written if r.path.startswith(("/_replicator/", "/_users/"))]


def test_without_peers_there_is_nothing_to_do(region: Region) -> None:
    assert region.bootstrap() == ["ok ok"]
    assert region.documents == {}
    assert_ready(region.site)


EDITS: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
    "another source": lambda d: d | {"source": f"{ELSEWHERE}/x"},
    "another path": lambda d: d | {"source": d["source"] | {"url": f"{NOWHERE}/other"}},
    "another target": lambda d: d | {"target": d["target"] | {"url": f"{NOWHERE}/other"}},
    "no account": lambda d: d | {"source": {"url": d["source"]["url"]}},
    "another password": lambda d: (
        d
        | {
            "target": d["target"]
            | {"auth": {"basic": d["target"]["auth"]["basic"] | {"password": "x"}}}
        }
    ),
    "only once": lambda d: d | {"continuous": False},
    "few retries": lambda d: d | {"retries_per_request": 1},
    "a selection": lambda d: d | {"selector": {"facing": "N"}},
    "named documents": lambda d: d | {"doc_ids": ["x"]},
    "winners only": lambda d: d | {"winning_revs_only": True},
    "new documents only": lambda d: d | {"since_seq": "now"},
}


@pytest.mark.parametrize("edit", EDITS)
def test_an_edited_document_is_repaired(region: Region, edit: str) -> None:
    region.bootstrap(east=NOWHERE)
    right = region.document("east")
    region.write(EDITS[edit](right))
    assert any(
        line.startswith(f"drift {region.id('east')} has ") for line in region.check(east=NOWHERE)
    )
    assert f"changed repaired {region.id('east')}" in region.bootstrap(east=NOWHERE)
    assert settled(region.document("east")) == settled(right)


def settled(document: dict[str, Any]) -> dict[str, Any]:
    """Leave out what CouchDB itself changes."""
    return {name: value for name, value in document.items() if not name.startswith("_")}


def test_a_new_password_and_a_new_url_reach_the_documents(region: Region) -> None:
    region.bootstrap(east=NOWHERE)
    lines = region.bootstrap(east=ELSEWHERE, password="another")
    assert "updated the account" in lines[0]
    for document in region.documents.values():
        assert document["source"]["url"].startswith(ELSEWHERE)
        assert document["source"]["auth"]["basic"]["password"] == "another"
        assert document["target"]["auth"]["basic"]["password"] == "another"


def test_harmless_options_of_operators_are_kept(region: Region) -> None:
    region.bootstrap(east=NOWHERE)
    added = {"connection_timeout": 9000, "since_seq": "0", "note": "by ann"}
    document = region.document("east") | added
    document["source"]["headers"] = {"X-Region": "north"}
    region.write(document)
    assert "ok ok" in region.bootstrap(east=NOWHERE)
    assert settled(region.document("east")) == settled(document)
    region.bootstrap(east=ELSEWHERE)
    found = region.document("east")
    assert {name: found[name] for name in added} == added
    assert found["source"]["headers"] == {"X-Region": "north"}


@pytest.mark.parametrize("left", [{"west": ELSEWHERE}, {}])
def test_the_documents_of_a_peer_that_is_no_longer_listed_are_removed(
    region: Region, left: dict[str, str]
) -> None:
    region.bootstrap(east=NOWHERE, west=ELSEWHERE)
    assert f"{region.id('east')} has no peer" in region.check(**left)[0]
    assert f"removed {region.id('east')}" in region.bootstrap(**left)[0]
    assert set(region.documents) == {
        region.id(peer, database) for peer in left for database in region.site.databases
    }


def test_the_heartbeat_of_a_peer_that_is_no_longer_listed_is_removed(region: Region) -> None:
    region.bootstrap(east=NOWHERE, west=ELSEWHERE)
    server, history = region.site.server, region.site.databases[1]
    names = ("east", "west", "south")
    for name in names:
        heartbeat = Heartbeat(name, 1.0).encode()
        server.ask("PUT", history, heartbeat["_id"], body=heartbeat)

    def left() -> list[str]:
        rows = server.ask("GET", history, "_all_docs")["rows"]
        return [row["id"] for row in rows if row["id"].startswith(PREFIX)]

    region.bootstrap(east=NOWHERE, west=ELSEWHERE)
    assert left() == sorted(f"{PREFIX}{name}" for name in names)
    region.bootstrap(west=ELSEWHERE)
    assert left() == [f"{PREFIX}south", f"{PREFIX}west"], "the south may be reached over the west"


def test_all_rival_heartbeats_of_a_peer_are_removed(region: Region) -> None:
    region.bootstrap(east=NOWHERE)
    server, history = region.site.server, region.site.databases[1]
    for mark in ("a", "b"):
        rival = Heartbeat("east", 1.0).encode() | {"_rev": f"1-{mark * 32}"}
        server.ask("POST", history, "_bulk_docs", body={"new_edits": False, "docs": [rival]})
    region.bootstrap()
    leaves = server.ask("GET", history, f"{PREFIX}east", open_revs="all")
    assert [leaf["ok"].get("_deleted", False) for leaf in leaves] == [True, True]


@pytest.mark.parametrize(
    "name", ["mine-{}", "overmind:{}-2:east", "overmind:{}:East", "overmind:{}", "overmind:{}:a:b"]
)
def test_other_replications_are_never_touched(region: Region, name: str) -> None:
    id_ = name.format(region.site.database)
    # The peer, not CouchDB, ends when it cannot connect. It ignores addresses in this form.
    ends = {end: {"url": f"{NOWHERE}/{end}"} for end in ("source", "target")}
    region.write({"_id": id_, **ends, "continuous": True})
    before = settled(region.documents[id_])
    for urls in ({}, {"east": NOWHERE}, {}):
        region.bootstrap(**urls)
    assert {id_: settled(d) for id_, d in region.documents.items()} == {id_: before}


def test_concurrent_runs_leave_one_revision_of_each_document(region: Region) -> None:
    region.site.bootstrap()
    with ThreadPoolExecutor(8) as pool:
        done = list(pool.map(lambda _: region.bootstrap(east=NOWHERE, west=ELSEWHERE), range(8)))
    assert all(lines[-1] == "ok ok" for lines in done)
    assert len(region.documents) == 4
    for id_ in region.documents:
        leaves = region.site.server.ask("GET", "_replicator", id_, open_revs="all")
        assert len(leaves) == 1, id_


def test_rival_revisions_of_a_document_are_removed(region: Region) -> None:
    """Runs on several nodes of a cluster can create them."""
    if region.site.server.ask("GET").get("couchdb") != "Welcome":
        pytest.skip("needs CouchDB, the peer shows no rivals here: COUCHDB_TEST_URL")
    region.bootstrap(east=NOWHERE)
    rival = region.document("east") | {"_rev": f"1-{uuid.uuid4().hex}", "note": "a rival"}
    body = {"new_edits": False, "docs": [rival]}
    region.site.server.ask("POST", "_replicator", "_bulk_docs", body=body)
    id_ = region.id("east")
    assert f"drift {id_} has rival revisions" in region.check(east=NOWHERE)[0]
    assert f"changed removed rival revisions of {id_}: 1" in region.bootstrap(east=NOWHERE)
    leaves = region.site.server.ask("GET", "_replicator", id_, open_revs="all")
    assert [leaf["ok"].get("_deleted", False) for leaf in leaves].count(False) == 1


def test_an_unreachable_peer_does_not_delay_the_start(region: Region) -> None:
    region.site.bootstrap()
    with FaultProxy("127.0.0.1", 1) as silent:
        silent.swallow()
        began = time.monotonic()
        lines = region.bootstrap(east=silent.url)
        assert time.monotonic() - began < 5
    assert "ok ok" in lines


def test_a_check_finds_a_missing_document(region: Region, proxy: FaultProxy) -> None:
    region.site.bootstrap()
    (line,) = region.through(proxy.url).check(east=NOWHERE)
    assert line.startswith("drift ")
    for what in (region.id("east"), "the account of the peers"):
        assert f"{what} is missing" in line
    assert writes(proxy) == []


def jobs(*found: tuple[str, str, object], times: int | None = None) -> Fault:
    docs = [
        {"doc_id": id_, "id": f"job of {id_}", "state": state, "info": info}
        for id_, state, info in found
    ]
    return Fault(says({"docs": docs}), lambda _, path: path.startswith("/_scheduler/docs"), times)


def tasks(*found: tuple[str, int]) -> Fault:
    """Answer with running replications, each with the number of documents that were refused."""
    running = [
        {"type": "replication", "replication_id": f"job of {id_}", "doc_write_failures": number}
        for id_, number in found
    ]
    other = {"type": "database_compaction", "database": "x"}
    return Fault(says([other, *running]), lambda _, path: path == "/_active_tasks")


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


def test_the_password_of_the_peers_is_in_no_output(region: Region, proxy: FaultProxy) -> None:
    environment = region.through(proxy.url).site.environment | {
        "COUCHDB_PEERS": f"east={NOWHERE}",
        "COUCHDB_PEERS_USERNAME": region.username,
        "COUCHDB_PEERS_PASSWORD": "hunter2",
    }
    refusal = says({"error": "forbidden", "reason": "hunter2 is no password"}, 400)
    outputs = []
    for fault, options in (
        (Fault(refusal, lambda method, path: method == "PUT" and "_replicator" in path), []),
        (None, []),
        (jobs((region.id("east"), "crashing", "hunter2: no")), ["--check", "--format", "json"]),
    ):
        proxy.fault = fault
        done = python("manage.py", "bootstrap_couch", *options, **environment)
        assert region.id("east") in done.stdout + done.stderr
        outputs.append(done.stdout + done.stderr)
    assert "hunter2" not in "".join(outputs)
    assert done.returncode == DRIFTED


@pytest.mark.parametrize("which", ["service", "admin"])
def test_the_account_of_the_peers_is_used_for_nothing_else(site: Site, which: str) -> None:
    name = site.username if which == "service" else site.server.username
    peers = Peers({"east": NOWHERE}, site.account(name, PASSWORD, "COUCHDB_PEERS_PASSWORD"))
    with pytest.raises(Misconfigured, match=r"^COUCHDB_PEERS_USERNAME: "):
        site.bootstrap(peers=peers)


def test_the_account_of_the_peers_is_not_retired_while_there_are_peers(region: Region) -> None:
    with pytest.raises(Misconfigured, match="in use"):
        region.site.bootstrap(peers=region.peers(east=NOWHERE), retired=region.username)
    region.bootstrap(east=NOWHERE)
    lines = region.site.bootstrap(retired=region.username)
    assert f"retire changed removed the account {region.username!r}" in lines


def test_an_account_of_the_peers_without_a_password_is_misconfigured(region: Region) -> None:
    with pytest.raises(Misconfigured, match=r"^COUCHDB_PEERS_PASSWORD: not given"):
        region.bootstrap(east=NOWHERE, password="")


def test_a_service_that_uses_the_admins_account_replicates_too(region: Region) -> None:
    server = region.site.server
    account = region.site.account(server.username, server.password)
    peers = region.peers(east=NOWHERE)
    for _ in range(2):
        lines = region.site.bootstrap(admin=account, service=account, peers=peers)
    assert "replicate ok ok" in lines
    assert len(region.documents) == 2
    assert server.ask("GET", "_users", user_id(region.username))["roles"] == [ROLE]


def test_rival_revisions_of_a_document_are_drift(region: Region, proxy: FaultProxy) -> None:
    region.bootstrap(east=NOWHERE)
    documents = region.site.server.ask("GET", "_replicator", "_all_docs", include_docs="true")
    for row in documents["rows"]:
        if row["id"] == region.id("east"):
            row["doc"]["_conflicts"] = ["1-abc"]
    proxy.faults = [
        Fault(says(documents), lambda _, path: path.startswith("/_replicator/_all_docs"))
    ]
    (line,) = region.through(proxy.url).check(east=NOWHERE)
    assert f"{region.id('east')} has rival revisions" in line


def test_replication_without_a_server_admin_says_what_is_missing(
    region: Region, proxy: FaultProxy
) -> None:
    region.site.bootstrap()
    account = region.site.account(region.site.username, region.site.password)
    forbidden = {"error": "forbidden", "reason": "You are not allowed to access this db."}
    proxy.faults = [Fault(says(forbidden, 403), lambda _, path: path.startswith("/_replicator"))]
    site = region.through(proxy.url).site
    plan = site.plan(admin=account, service=account, peers=region.peers(east=NOWHERE))
    (step,) = [step for step in plan.steps(Run()) if step.name == "replicate"]
    with pytest.raises(Refused, match="COUCHDB_ADMIN_USERNAME"):
        step.drift()


def test_unsafe_and_slow_settings_of_nodes_are_warnings(region: Region, proxy: FaultProxy) -> None:
    cluster = Cluster(region.site, proxy)
    settings = {
        ("couchdb%40a", "verify_ssl_certificates"): "true",
        ("couchdb%40a", "interval"): "5000",
        ("couchdb%40a", "max_history"): "6",
        ("couchdb%40b", "interval"): "60000",
        ("couchdb%40b", "max_history"): "7",
    }
    missing = {"error": "not_found", "reason": "unknown_config_value"}

    def setting(node: str, name: str, value: str) -> Fault:
        wanted = f"/_node/{node}/_config/replicator/{name}"
        return Fault(says(value), lambda _, path: path == wanted)

    proxy.faults = [
        *(setting(*key, value) for key, value in settings.items()),
        Fault(says(missing, 404), lambda _, path: "/_config/replicator/" in path),
        *proxy.faults,
    ]

    def warnings(url: str) -> list[str]:
        lines = cluster.bootstrap(peers=region.peers(east=url))
        return [line for line in lines if "[replicator]" in line]

    unsafe, *slow = warnings("https://127.0.0.1:1")
    assert "verify_ssl_certificates" in unsafe
    for line, name in zip(slow, ("interval", "max_history"), strict=True):
        assert f" {name} " in line
    for line in (unsafe, *slow):
        assert line.endswith("couchdb@b, couchdb@c")
    assert warnings(NOWHERE) == slow
    assert len(NODES) == 3


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
    plan = region.site.plan(peers=peers, exchanges=exchanges)
    steps = [step for step in plan.steps(Run()) if step.name == "replicate"]
    lines: list[str] = []
    find_drift(steps, lambda _, status, message: lines.append(f"{status} {message}"))
    return [line for line in lines if "[replicator]" not in line]


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
