"""Simulates a CouchDB cluster of three nodes with a fault proxy before a single server."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any
from urllib.parse import quote

from tests.support.fault_proxy import FaultProxy
from tests.support.faults import Answer, Fault
from tests.support.site import Site

JSON = {"Content-Type": "application/json"}
RANGE = "00000000-ffffffff"
NODES = ("couchdb@a", "couchdb@b", "couchdb@c")


def says(content: object, status: int = 200) -> Answer:
    return Answer(status, json.dumps(content).encode(), JSON)


def held(count: int) -> dict[str, int]:
    """Return CouchDB's information about a copy of ``count`` documents, one of them deleted."""
    return {"doc_count": max(0, count - 1), "doc_del_count": min(1, count)}


def is_look_at_copy(method: str, path: str) -> bool:
    return method == "GET" and path.startswith("/_node/") and path.endswith(".1700000000")


class Cluster:
    """Makes a fault proxy answer as a cluster of three nodes with copies of a site's databases.

    The server behind the proxy is a single node, which cannot give these responses itself.
    """

    def __init__(
        self,
        site: Site,
        proxy: FaultProxy,
        *,
        away: tuple[str, ...] = (),
        holders: Sequence[str] = NODES,
    ) -> None:
        self.site, self.proxy = site, proxy
        site.bootstrap()
        present = [node for node in NODES if node not in away]
        self._faults: list[Fault] = []
        layout = {
            "shard_suffix": list(b".1700000000"),
            "by_node": {node: [RANGE] for node in holders},
        }
        databases = {"rows": [{"id": name} for name in (*site.databases, "_users")]}
        missing = {"error": "not_found", "reason": "unknown_config_value"}
        self._defaults = [
            Fault(says({"couchdb": "Welcome", "version": "3.5.2"}), lambda m, p: p == "/"),
            Fault(
                says({"all_nodes": present, "cluster_nodes": NODES}),
                lambda m, p: p == "/_membership",
            ),
            Fault(says(databases), lambda m, p: p == "/_node/_local/_dbs/_all_docs"),
            Fault(says(layout), lambda m, p: p.startswith("/_node/_local/_dbs/")),
            Fault(says(missing, 404), lambda m, p: p.endswith("/maintenance_mode") and m == "GET"),
            Fault(says(held(0)), is_look_at_copy),
            Fault(says({"ok": True}), lambda m, p: p.endswith("/_sync_shards")),
        ]
        proxy.faults = self._defaults

    def keep(self, node: str, part: str, *contents: Any, status: int = 200) -> None:
        """Set the responses of a node's copies, one per check. The last one repeats."""
        end = f"/{part}"
        start = f"/_node/{quote(node, safe='')}/"

        def is_look(method: str, path: str) -> bool:
            return method == "GET" and path.startswith(start) and path.endswith(end)

        # Two databases, each read twice: to find the drift and to fix it.
        earlier = [Fault(says(content, status), is_look, times=4) for content in contents[:-1]]
        self._faults += [
            *earlier,
            Fault(says(contents[-1], status), is_look),
            Fault(says({"ok": True}), lambda m, p: m == "PUT" and p.startswith(start)),
        ]
        self.proxy.faults = [*self._faults, *self._defaults]

    def hold(self, node: str, *counts: int) -> None:
        """Set the document counts of a node's copies, one per check. The last one repeats."""
        start = f"/_node/{quote(node, safe='')}/"

        def is_look(method: str, path: str) -> bool:
            return path.startswith(start) and is_look_at_copy(method, path)

        # Two databases; _users too while a node is in maintenance.
        self._faults += [Fault(says(held(count)), is_look, times=2) for count in counts[:-1]]
        self._faults.append(Fault(says(held(counts[-1])), is_look))
        self.proxy.faults = [*self._faults, *self._defaults]

    def check(self) -> list[str]:
        return self.site.through(self.proxy.url).check()

    def bootstrap(self, **changes: Any) -> list[str]:
        return self.site.through(self.proxy.url).bootstrap(**changes)

    def changed(self, part: str) -> set[str]:
        """Return the nodes to which a new value of ``part`` was written."""
        puts = [r.path for r in self.proxy.requests if r.method == "PUT" and r.path.endswith(part)]
        return {path.split("/")[2].replace("%40", "@") for path in puts}
