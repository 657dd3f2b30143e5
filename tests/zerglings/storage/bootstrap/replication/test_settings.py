"""Tests for the warnings about settings of CouchDB's replicator."""

from __future__ import annotations

from tests.support.cluster import NODES, Cluster, says
from tests.support.fault_proxy import FaultProxy
from tests.support.faults import Fault
from tests.zerglings.storage.bootstrap.replication.region import NOWHERE, Region


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
