"""Tests that bootstrap waits for the nodes of a cluster and finishes its setup."""

from __future__ import annotations

import json

import pytest

from tests.support.fault_proxy import FaultProxy
from tests.support.faults import Answer, Fault, Kind
from tests.support.ready import assert_ready
from tests.support.site import Site
from tests.zerglings.storage.bootstrap.states import JSON
from zerglings.storage.bootstrap.runner import Misconfigured, TimedOut


@pytest.mark.parametrize("status", ["maintenance_mode", "nolb"])
def test_a_node_in_maintenance_is_waited_for(site: Site, proxy: FaultProxy, status: str) -> None:
    body = json.dumps({"status": status}).encode()
    proxy.fault = Fault(Answer(404, body, JSON), lambda m, p: p == "/_up")
    with pytest.raises(TimedOut, match=rf"404 \(node {status}\)"):
        site.through(proxy.url).bootstrap(timeout=0.2)


def test_a_finished_cluster_ignores_the_configured_number_of_nodes(site: Site) -> None:
    assert "cluster ok ok" in site.bootstrap(nodes=3)


def cluster_of(nodes: int, connected: int | None = None) -> Answer:
    names = [f"couchdb@{n}" for n in range(nodes)]
    membership = {"all_nodes": names[:connected], "cluster_nodes": names}
    return Answer(200, json.dumps(membership).encode(), JSON)


NO_DATABASE = Answer(404, b'{"error":"not_found","reason":"Database does not exist."}', JSON)


def without_system_databases(proxy: FaultProxy, membership: Kind) -> list[Fault]:
    """Show an unfinished cluster of these nodes until the first write."""

    def is_unfinished() -> bool:
        return {request.method for request in proxy.requests} <= {"GET"}

    def is_system_database(method: str, path: str) -> bool:
        return method == "GET" and path in ("/_users", "/_replicator") and is_unfinished()

    return [
        Fault(NO_DATABASE, is_system_database),
        Fault(membership, lambda _, path: path == "/_membership" and is_unfinished()),
    ]


@pytest.mark.parametrize("membership", [cluster_of(2), cluster_of(3, connected=2)])
def test_missing_nodes_are_waited_for_before_any_write(
    site: Site, proxy: FaultProxy, membership: Answer
) -> None:
    proxy.faults = without_system_databases(proxy, membership)
    with pytest.raises(TimedOut, match="2 of 3 nodes have joined"):
        site.through(proxy.url).bootstrap(nodes=3, timeout=0.5)
    assert {request.method for request in proxy.requests} == {"GET"}


def test_a_cluster_with_all_nodes_is_finished(site: Site, proxy: FaultProxy) -> None:
    finished = Answer(201, b'{"ok":true}', JSON)
    proxy.faults = [
        *without_system_databases(proxy, cluster_of(3)),
        Fault(finished, lambda m, p: p == "/_cluster_setup"),
    ]
    lines = site.through(proxy.url).bootstrap(nodes=3)
    assert "cluster changed finished the cluster of 3 nodes" in lines
    assert [r.method for r in proxy.requests if r.path == "/_cluster_setup"] == ["POST"]


def test_the_root_url_is_requested_before_the_cluster_is_finished(
    site: Site, proxy: FaultProxy
) -> None:
    """CouchDB 3.0 to 3.1.0 refuse the setup before that."""
    refusal = Answer(500, b'{"error":"error","reason":"no uuid"}', JSON)

    asked: list[str] = []

    def is_early(_: str, path: str) -> bool:
        asked.append(path)
        return path == "/_cluster_setup" and "/" not in asked

    proxy.faults = [
        Fault(refusal, is_early),
        *without_system_databases(proxy, cluster_of(3)),
        Fault(Answer(201, b'{"ok":true}', JSON), lambda m, p: p == "/_cluster_setup"),
    ]
    lines = site.through(proxy.url).bootstrap(nodes=3)
    assert not [line for line in lines if line.startswith("cluster waiting")]
    assert "cluster changed finished the cluster of 3 nodes" in lines


def test_a_cluster_configured_as_a_single_node_is_misconfigured(
    site: Site, proxy: FaultProxy
) -> None:
    proxy.faults = without_system_databases(proxy, cluster_of(3))
    with pytest.raises(Misconfigured, match=r"^COUCHDB_CLUSTER_NODES: is 1, but"):
        site.through(proxy.url).bootstrap()
    assert {request.method for request in proxy.requests} == {"GET"}


def test_a_single_node_gets_its_system_databases(site: Site, proxy: FaultProxy) -> None:
    proxy.faults = without_system_databases(proxy, cluster_of(1))
    lines = site.through(proxy.url).bootstrap()
    assert "cluster changed created the system databases" in lines
    assert_ready(site)
