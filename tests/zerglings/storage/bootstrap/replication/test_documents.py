"""Tests that bootstrap has CouchDB replicate from the other regions, and from no others."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.support.cluster import says
from tests.support.fault_proxy import FaultProxy
from tests.support.faults import Fault
from tests.support.ready import assert_ready
from tests.zerglings.storage.bootstrap.replication.region import (
    ELSEWHERE,
    NOWHERE,
    PASSWORD,
    Region,
)
from zerglings.storage.bootstrap.accounts import user_id
from zerglings.storage.couchdb.store import ROLE


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
