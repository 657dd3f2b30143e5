"""Tests for CouchDB's replication that docs/regions.md and docs/design.md rely on."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Iterator
from contextlib import suppress

import pytest
import trustme

from tests.support.apache import PASSWORD, Server
from tests.support.documents import leaves, write
from tests.support.fault_proxy import FaultProxy
from tests.support.faults import Answer, Fault, ResetBefore
from tests.support.regions import Region, regions
from tests.support.site import CouchDBServer
from zerglings.documents import Document
from zerglings.domain.pose import Pose
from zerglings.domain.zergling import CommandRequest, Zergling
from zerglings.hive.hive import Hive
from zerglings.repository.reading import MissingMerge
from zerglings.storage.couchdb.responses import ErrorResponse, NoResponse

BATCH = 4 * 1024 * 1024
"""Bytes of documents after which the replicator writes a batch."""

VERIFYING = {
    "verify_ssl_certificates": "true",
    "ssl_trusted_certificates_file": "/etc/ssl/certs/ca-certificates.crt",
}
"""Settings of CouchDB's replicator that docs/regions.md recommends."""

DESIGN = {
    "_id": "_design/refuse",
    "validate_doc_update": "function (doc) { if (doc.bad) { throw {forbidden: 'bad'}; } }",
}


@pytest.fixture
def two(server: Server, couchdb: CouchDBServer) -> Iterator[list[Region]]:
    with regions(couchdb, 2) as found:
        yield found


def leaf(generation: int, mark: str, **content: object) -> Document:
    """Return a revision whose only known ancestor is the common one."""
    ids = [mark * 32, *(f"{mark}{number}".ljust(32, "0") for number in range(generation - 2))]
    revisions = {"start": generation, "ids": [*ids, "a" * 32]}
    return {"_id": "d", "_rev": f"{generation}-{mark * 32}", "_revisions": revisions} | content


def test_the_leaves_of_one_document_may_arrive_in_two_requests(
    server: Server, two: list[Region], proxy: FaultProxy
) -> None:
    """If the second request fails, only deleted leaves are there."""
    if server.version < (3, 5):
        pytest.skip("older releases write smaller batches")
    first, second = two
    large, small, living = leaf(2, "b", _deleted=True), leaf(3, "c", _deleted=True), leaf(5, "d")
    first.receive([large | {"pad": ""}, small, living])
    path = f"{first.databases[0]}/d?rev={large['_rev']}&revs=true"
    room = BATCH - len(server.ask("GET", path).text.strip()) - 20
    first.ask("DELETE", first.databases[0])
    first.ask("PUT", first.databases[0])
    first.receive([large | {"pad": "x" * room}, small, living])

    def is_second(_: str, path: str) -> bool:
        return "_bulk_docs" in path and any("_bulk_docs" in seen.path for seen in proxy.requests)

    proxy.fault = Fault(ResetBefore(), is_second)
    with suppress(ErrorResponse, NoResponse):
        second.pull_over(
            first.address(history=False),
            second.address(history=False, port=proxy.port),
            retries_per_request=1,
        )
    arrived = second.revisions("d")
    assert {revision["_rev"] for revision in arrived} == {large["_rev"], small["_rev"]}
    assert all(revision["_deleted"] for revision in arrived)
    second.pull(first)
    assert len(second.revisions("d")) == 3


def test_a_refused_document_is_counted_once_and_never_sent_again(
    server: Server, two: list[Region]
) -> None:
    first, second = two
    design = f"{second.databases[0]}/{DESIGN['_id']}"
    revision = server.ask("PUT", design, json=DESIGN).json()["rev"]
    for id_, is_bad in (("good", False), ("bad", True)):
        write(first.store, {"_id": id_, "bad": is_bad})
    report = second.pull(first)
    counts = report["history"][0]
    assert report["ok"]
    assert (counts["docs_written"], counts["doc_write_failures"]) == (1, 1)
    server.ask("DELETE", design, params={"rev": revision}).raise_for_status()
    second.pull(first)
    assert second.revisions("bad") == []
    assert len(second.revisions("good")) == 1


SHORT = {
    "_id": "_design/short",
    "validate_doc_update": """function (doc) {
        if (doc.commandHistory && doc.commandHistory.length > 3) { throw {forbidden: 'long'}; }
    }""",
}
"""Refuses zerglings with more than three commands."""


def send_all_again(region: Region) -> None:
    """Delete a database's checkpoints, as docs/regions.md tells."""
    database = region.databases[0]
    for row in region.ask("GET", database, "_local_docs")["rows"]:
        region.ask("DELETE", database, *row["id"].split("/"), rev=row["value"]["rev"])


def moved(region: Region, zergling: Zergling, *ids: str) -> None:
    for id_ in ids:
        Hive(region.store).command(zergling.id, CommandRequest(id_, ("M",)))


@pytest.mark.parametrize("here", ["ab", "abc"])
@pytest.mark.parametrize("knows_rival", [False, True])
def test_a_region_that_refuses_a_merge_takes_its_deletions_until_the_merge_is_sent_again(
    server: Server, two: list[Region], here: str, *, knows_rival: bool
) -> None:
    """Its own commands may be missing or the zergling unavailable meanwhile; none is lost."""
    first, second = two
    spawn = Hive(first.store).spawn(Pose())
    second.pull(first)
    there = "xyz" if here == "ab" else "xy"  # the region's own revision loses or wins
    moved(first, spawn, *there)
    moved(second, spawn, *here)
    first.pull(second)
    if knows_rival:
        second.pull(first)
    assert Hive(first.store).get(spawn.id).command_count == 5
    design = f"{second.databases[0]}/{SHORT['_id']}"
    revision = server.ask("PUT", design, json=SHORT).json()["rev"]
    assert second.pull(first)["history"][0]["doc_write_failures"] == 1
    hive = Hive(second.store)
    if here == "abc":
        assert hive.get(spawn.id).request_ids == tuple("abc")
    elif knows_rival:
        assert hive.get(spawn.id).request_ids == tuple("xyz")
    else:
        assert hive.get(spawn.id).request_ids == tuple("ab")
        with pytest.raises(MissingMerge):
            moved(second, spawn, "later")
    server.ask("DELETE", design, params={"rev": revision}).raise_for_status()
    second.pull(first)
    assert len(leaves(second.store, spawn.id) or []) == (here == "abc" or knows_rival)
    send_all_again(second)
    second.pull(first)
    assert sorted(Hive(second.store).get(spawn.id).request_ids) == sorted(here + there)


def test_a_database_that_was_created_again_is_filled_again(two: list[Region]) -> None:
    first, second = two
    write(first.store, {"_id": "d"})
    second.pull(first)
    second.ask("DELETE", second.databases[0])
    second.ask("PUT", second.databases[0])
    assert second.revisions("d") == []
    second.pull(first)
    assert len(second.revisions("d")) == 1


def test_a_purge_is_not_replicated_and_a_purged_document_returns_when_it_is_edited(
    two: list[Region],
) -> None:
    first, second = two
    revision = write(first.store, {"_id": "d"})
    second.pull(first)
    first.pull(second)
    first.ask("POST", first.databases[0], "_purge", body={"d": [revision]})
    second.pull(first)
    assert len(second.revisions("d")) == 1
    first.pull(second)
    assert first.revisions("d") == []
    write(second.store, {"_id": "d", "_rev": revision})
    first.pull(second)
    assert len(first.revisions("d")) == 1


def test_settings_of_a_database_and_local_documents_are_not_replicated(
    server: Server, two: list[Region]
) -> None:
    first, second = two
    first.ask("PUT", first.databases[0], "_revs_limit", body=77)
    security = {"members": {"roles": ["x"], "names": []}, "admins": {"roles": [], "names": []}}
    first.ask("PUT", first.databases[0], "_security", body=security)
    first.ask("PUT", first.databases[0], "_local", "mark", body={"n": 1})
    write(first.store, {"_id": "d"})
    second.pull(first)
    assert len(second.revisions("d")) == 1
    assert second.ask("GET", second.databases[0], "_revs_limit") != 77
    assert second.ask("GET", second.databases[0], "_security") != security
    assert server.ask("GET", f"{second.databases[0]}/_local/mark").status_code == 404


def test_a_member_may_replicate_both_ways(server: Server, two: list[Region], account: str) -> None:
    first, second = two
    for region in two:
        security = {"members": {"names": [account], "roles": []}}
        region.ask("PUT", region.databases[0], "_security", body=security)
    write(first.store, {"_id": "d"})
    basic = {"basic": {"username": account, "password": PASSWORD}}
    ends = {
        end: {"url": f"{region.backend.server.url}/{region.databases[0]}", "auth": basic}
        for end, region in (("source", first), ("target", second))
    }
    answer = server.ask("POST", "_replicate", json=ends, auth=(account, PASSWORD))
    assert answer.json()["history"][0]["docs_written"] == 1


def test_a_source_that_refuses_checkpoints_is_read_from_the_beginning_each_time(
    two: list[Region], proxy: FaultProxy
) -> None:
    first, second = two
    write(first.store, {"_id": "d"})
    refusal = Answer(403, b'{"error":"forbidden"}', {"Content-Type": "application/json"})
    proxy.fault = Fault(refusal, lambda method, path: method == "PUT" and "_local" in path)
    source = first.address(history=False, port=proxy.port)
    for _ in range(2):
        proxy.clear()
        with pytest.raises(ErrorResponse):
            second.pull_over(source, second.address(history=False), retries_per_request=1)
        assert len(second.revisions("d")) == 1
        assert any("since=0" in seen.path for seen in proxy.requests if "_changes" in seen.path)


@pytest.fixture
def verify_certificates(server: Server) -> Iterator[Callable[[], None]]:
    """The function that switches on what docs/regions.md recommends; undone afterwards."""
    path = "_node/_local/_config/replicator"
    before = {name: server.ask("GET", f"{path}/{name}") for name in VERIFYING}
    is_on = before["verify_ssl_certificates"]
    if is_on.ok and is_on.json() != "false":
        pytest.skip("this server is configured to verify certificates")

    def switch_on() -> None:
        for name, value in VERIFYING.items():
            server.ask("PUT", f"{path}/{name}", json=value).raise_for_status()

    yield switch_on
    for name, answer in before.items():
        if answer.ok:
            server.ask("PUT", f"{path}/{name}", json=answer.json()).raise_for_status()
        else:
            server.ask("DELETE", f"{path}/{name}")


def test_certificates_are_not_verified_unless_a_setting_says_so(
    couchdb: CouchDBServer, two: list[Region], verify_certificates: Callable[[], None]
) -> None:
    first, second = two

    def pull() -> None:
        """Pull over a connection whose certificate is from nobody known, for another name."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        trustme.CA().issue_cert("another.example").configure_cert(context)
        with FaultProxy(couchdb.host, couchdb.port, tls=context) as unknown:
            source = first.address(history=False, port=unknown.port).replace("http:", "https:")
            second.pull_over(source, second.address(history=False), retries_per_request=1)

    write(first.store, {"_id": "before"})
    pull()
    assert len(second.revisions("before")) == 1
    verify_certificates()
    write(first.store, {"_id": "after"})
    with pytest.raises(ErrorResponse, match="tls_alert"):
        pull()
    assert second.revisions("after") == []


def test_no_metric_of_couchdb_shows_a_lag(server: Server) -> None:
    answer = server.ask("GET", "_node/_local/_prometheus")
    assert "replicator" in answer.text
    assert "changes_pending" not in answer.text
