"""Tests that bootstrap configures every node's copies, and reports nodes it cannot check."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.cluster import NODES, Cluster
from tests.support.fault_proxy import FaultProxy
from tests.support.site import Site
from zerglings.storage.bootstrap import nodes as nodes_module
from zerglings.storage.bootstrap.database import REVS_LIMIT, REVS_LIMIT_ALONE
from zerglings.storage.bootstrap.nodes import Copy, copies_of
from zerglings.storage.bootstrap.runner import NotYet
from zerglings.storage.couchdb.store import ROLE

CLOSED = {"admins": {"roles": ["_admin"]}, "members": {"names": ["ann"], "roles": [ROLE]}}
OTHER = {"members": {"roles": [ROLE, "guests"]}}
FRESH = {"admins": {"roles": ["_admin"]}, "members": {"roles": ["_admin"]}}


def test_a_revs_limit_is_corrected_only_on_the_node_that_differs(
    site: Site, proxy: FaultProxy
) -> None:
    cluster = Cluster(site, proxy)
    for node in NODES:
        cluster.keep(node, "_security", CLOSED)
    cluster.keep("couchdb@a", "_revs_limit", REVS_LIMIT)
    cluster.keep("couchdb@b", "_revs_limit", REVS_LIMIT)
    cluster.keep("couchdb@c", "_revs_limit", 1000, REVS_LIMIT)
    lines = cluster.bootstrap()
    assert any(line.startswith("database changed set the _revs_limit") for line in lines)
    assert "database ok ok" in lines
    assert cluster.changed("_revs_limit") == {"couchdb@c"}


@pytest.mark.parametrize(
    ("others", "wanted"),
    [((FRESH, CLOSED), CLOSED), ((FRESH, FRESH), CLOSED), ((OTHER, OTHER), OTHER)],
)
def test_copies_with_different_members_get_those_of_most_closed_copies(
    site: Site, proxy: FaultProxy, others: tuple[Any, Any], wanted: Any
) -> None:
    for name in site.databases:
        site.server.ask("PUT", name)
        site.server.ask("PUT", name, "_security", body=CLOSED)
    cluster = Cluster(site, proxy)
    for node in NODES:
        cluster.keep(node, "_revs_limit", REVS_LIMIT)
    for node, held in zip(NODES, (CLOSED, *others), strict=True):
        cluster.keep(node, "_security", held, wanted)
    assert "security ok ok" in cluster.bootstrap()
    unlike = {n for n, h in zip(NODES, (CLOSED, *others), strict=True) if h != wanted}
    assert cluster.changed("_security") == unlike


def test_an_unreachable_node_is_a_warning_and_drift_in_a_check(
    site: Site, proxy: FaultProxy
) -> None:
    cluster = Cluster(site, proxy, away=("couchdb@c",))
    for node in NODES[:2]:
        cluster.keep(node, "_revs_limit", REVS_LIMIT)
        cluster.keep(node, "_security", CLOSED)
    lines = cluster.bootstrap()
    for step in ("database", "security"):
        assert f"{step} warning the node couchdb@c is away" in lines
        assert f"{step} ok ok" in lines
        assert f"{step} drift the node couchdb@c is away" in cluster.check()


def test_a_node_without_a_copy_yet_is_a_warning(site: Site, proxy: FaultProxy) -> None:
    cluster = Cluster(site, proxy)
    missing = {"error": "not_found", "reason": "no_db_file"}
    for part, value in (("_revs_limit", REVS_LIMIT), ("_security", CLOSED)):
        for node in NODES[:2]:
            cluster.keep(node, part, value)
        cluster.keep("couchdb@c", part, missing, status=404)
    assert any(
        " warning the node couchdb@c has no copy of " in line for line in cluster.bootstrap()
    )


@pytest.mark.parametrize("status", [500, 409])  # 409 is what a node that starts has answered
def test_a_node_that_fails_for_too_long_is_a_warning(
    site: Site, proxy: FaultProxy, monkeypatch: pytest.MonkeyPatch, status: int
) -> None:
    monkeypatch.setattr(nodes_module, "SILENCE_LIMIT", 0.3)
    cluster = Cluster(site, proxy)
    for part, value in (("_revs_limit", REVS_LIMIT), ("_security", CLOSED)):
        for node in NODES[:2]:
            cluster.keep(node, part, value)
        cluster.keep("couchdb@c", part, {"error": "nodedown", "reason": "x"}, status=status)
    lines = cluster.bootstrap()
    assert any(line.startswith("database waiting the node couchdb@c") for line in lines)
    assert any(line.startswith("database warning the node couchdb@c") for line in lines)


def test_databases_with_a_single_copy_get_a_lower_revs_limit(site: Site, proxy: FaultProxy) -> None:
    cluster = Cluster(site, proxy, holders=NODES[:1])
    cluster.keep("couchdb@a", "_security", CLOSED)
    cluster.keep("couchdb@a", "_revs_limit", 1000, REVS_LIMIT_ALONE)
    lines = cluster.bootstrap()
    assert any(line.endswith(f"to {REVS_LIMIT_ALONE}") for line in lines), lines
    assert "database ok ok" in lines


def test_a_default_does_not_lower_the_other_default(site: Site, proxy: FaultProxy) -> None:
    cluster = Cluster(site, proxy, holders=NODES[:1])
    cluster.keep("couchdb@a", "_security", CLOSED)
    cluster.keep("couchdb@a", "_revs_limit", REVS_LIMIT)
    assert "database ok ok" in cluster.bootstrap()
    assert cluster.changed("_revs_limit") == set()


def test_a_configured_revs_limit_is_kept(site: Site, proxy: FaultProxy) -> None:
    cluster = Cluster(site, proxy, holders=NODES[:1])
    cluster.keep("couchdb@a", "_security", CLOSED)
    cluster.keep("couchdb@a", "_revs_limit", 1000, 30)
    assert any(line.endswith("to 30") for line in cluster.bootstrap(revs_limit=30))


def test_a_single_copy_of_a_real_server_is_corrected(site: Site) -> None:
    """CouchDB returns the value of one copy, which may be a different copy."""
    site.bootstrap()
    if site.server.ask("GET").get("couchdb") != "Welcome" or "vendor" not in site.server.ask("GET"):
        pytest.skip("needs CouchDB: COUCHDB_TEST_URL")
    layout = site.server.ask("GET", "_node", "_local", "_dbs", site.database)
    copies = list(copies_of(site.database, layout))
    copy = copies[-1]
    is_alone = len({each.node for each in copies}) == 1
    site.server.ask("PUT", *copy.path, "_revs_limit", body=1000)
    site.server.ask("PUT", *copy.path, "_security", body={})
    changed = [line for line in site.bootstrap() if " changed " in line]
    assert [line.split()[0] for line in changed] == ["database", "security", "verify"]
    limit = REVS_LIMIT_ALONE if is_alone else REVS_LIMIT
    assert site.server.ask("GET", *copy.path, "_revs_limit") == limit
    assert site.server.ask("GET", *copy.path, "_security")["members"]["roles"][-1] == ROLE


def test_copies_are_named_as_couchdb_names_their_files() -> None:
    layout = {"shard_suffix": list(b".17"), "by_node": {"b": ["0-7"], "a": ["8-f", "0-7"]}}
    assert list(copies_of("x", layout)) == [
        Copy("a", "shards/8-f/x.17"),
        Copy("a", "shards/0-7/x.17"),
        Copy("b", "shards/0-7/x.17"),
    ]


@pytest.mark.parametrize(
    "layout", [{}, {"shard_suffix": "x", "by_node": {}}, {"shard_suffix": [1], "by_node": []}]
)
def test_a_malformed_shard_layout_is_rejected(layout: dict[str, Any]) -> None:
    with pytest.raises(NotYet):
        list(copies_of("x", layout))
