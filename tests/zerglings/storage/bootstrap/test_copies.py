"""Tests that a node that starts empty is out of service until its copies are complete."""

from __future__ import annotations

import pytest

from tests.support.cluster import NODES, Cluster
from tests.support.fault_proxy import FaultProxy
from tests.support.site import Site
from zerglings.storage.bootstrap import copies as copies_module
from zerglings.storage.bootstrap.copies import Copies
from zerglings.storage.bootstrap.database import REVS_LIMIT
from zerglings.storage.bootstrap.plan import chosen
from zerglings.storage.bootstrap.runner import Run, TimedOut, bring_about
from zerglings.storage.couchdb.store import ROLE

BEHIND = "the copies of the node couchdb@c lack 54 documents"  # 27 of each database
BEHIND_WITH_USERS = "the copies of the node couchdb@c lack 81 documents"
ENDED = "copies changed ended the maintenance of couchdb@c"


@pytest.fixture
def cluster(site: Site, proxy: FaultProxy, monkeypatch: pytest.MonkeyPatch) -> Cluster:
    """Three nodes with equal settings; tests set the documents of the third."""
    monkeypatch.setattr(copies_module, "BOOTSTRAP_SETTLING_TIME", 0.3)
    return with_all_else(Cluster(site, proxy))


def with_all_else(cluster: Cluster) -> Cluster:
    for node in NODES:
        cluster.keep(node, "_revs_limit", REVS_LIMIT)
        cluster.keep(node, "_security", {"members": {"roles": [ROLE]}})
    cluster.hold("couchdb@a", 30)
    cluster.hold("couchdb@b", 30)
    return cluster


def test_an_incomplete_copy_is_a_warning_and_drift_in_a_check(cluster: Cluster) -> None:
    cluster.hold("couchdb@c", 3)
    lines = cluster.bootstrap()
    assert f"copies warning {BEHIND}" in lines
    assert "copies ok ok" in lines
    assert f"copies drift {BEHIND}" in cluster.check()


def test_a_document_that_is_still_being_replicated_is_not_missing(cluster: Cluster) -> None:
    cluster.hold("couchdb@c", 29, 30)
    assert not [line for line in cluster.check() if line.startswith("copies drift")]


def test_a_node_with_complete_copies_is_put_into_service(cluster: Cluster) -> None:
    cluster.hold("couchdb@c", 30)
    cluster.keep("couchdb@c", "maintenance_mode", "true", "false")
    lines = cluster.bootstrap()
    assert ENDED in lines
    assert "copies ok ok" in lines
    assert cluster.changed("maintenance_mode") == {"couchdb@c"}


def test_a_check_reports_a_complete_node_in_maintenance_as_drift(cluster: Cluster) -> None:
    cluster.hold("couchdb@c", 30)
    cluster.keep("couchdb@c", "maintenance_mode", "true")
    assert "copies drift in maintenance, with complete copies: couchdb@c" in cluster.check()
    assert cluster.changed("maintenance_mode") == set()


def test_a_node_with_incomplete_copies_stays_in_maintenance(cluster: Cluster) -> None:
    cluster.hold("couchdb@c", 3)
    cluster.keep("couchdb@c", "maintenance_mode", "true")
    assert f"copies warning {BEHIND_WITH_USERS}" in cluster.bootstrap()
    assert cluster.changed("maintenance_mode") == set()


def test_the_copies_step_alone_waits_until_copies_are_complete(cluster: Cluster) -> None:
    cluster.hold("couchdb@c", 3)
    cluster.keep("couchdb@c", "maintenance_mode", "true")
    with pytest.raises(TimedOut, match=BEHIND_WITH_USERS):
        cluster.bootstrap(waits=True, timeout=20)
    pushed = [r.path for r in cluster.proxy.requests if r.path.endswith("/_sync_shards")]
    names = [*cluster.site.databases, "_users"]
    assert pushed == [f"/{name}/_sync_shards" for name in names], "each is pushed once"


def test_maintenance_set_by_an_operator_is_kept(cluster: Cluster) -> None:
    cluster.hold("couchdb@c", 30)
    cluster.keep("couchdb@c", "maintenance_mode", "nolb")
    assert "copies ok ok" in cluster.bootstrap()
    assert cluster.changed("maintenance_mode") == set()


def test_empty_nodes_stay_in_maintenance_while_the_complete_node_is_away(
    site: Site, proxy: FaultProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The only complete node is unreachable, and the other two are empty."""
    monkeypatch.setattr(copies_module, "BOOTSTRAP_SETTLING_TIME", 0.3)
    cluster = Cluster(site, proxy, away=("couchdb@a",))
    for node in NODES[1:]:
        cluster.keep(node, "_revs_limit", REVS_LIMIT)
        cluster.keep(node, "_security", {"members": {"roles": [ROLE]}})
        cluster.keep(node, "maintenance_mode", "true")
        cluster.hold(node, 0)
    assert "copies warning the node couchdb@a is away" in cluster.bootstrap()
    assert cluster.changed("maintenance_mode") == set()


def test_security_and_revs_limit_are_set_before_a_node_is_put_into_service(
    site: Site, proxy: FaultProxy
) -> None:
    """A new copy admits only admins, so that node would refuse the service."""
    cluster = Cluster(site, proxy)
    for part, fresh, wanted in (
        ("_revs_limit", 1000, REVS_LIMIT),
        ("_security", {"members": {"roles": ["_admin"]}}, {"members": {"roles": [ROLE]}}),
    ):
        for node in NODES[:2]:
            cluster.keep(node, part, wanted)
        cluster.keep("couchdb@c", part, fresh, wanted)
    cluster.keep("couchdb@c", "maintenance_mode", "true", "false")
    run = Run(timeout=60)
    steps = site.through(proxy.url).plan(waits=True).steps(run)
    bring_about(chosen(steps, [Copies.name]), run, lambda *_: None)
    changed = [r.path.rpartition("/")[2] for r in proxy.requests if r.method == "PUT"]
    assert changed[:5] == [*["_revs_limit"] * 2, *["_security"] * 2, "maintenance_mode"]
