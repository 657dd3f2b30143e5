"""Simulates the document counts of shard copies in a CouchDB cluster of three nodes."""

from __future__ import annotations

from urllib.parse import quote

from tests.support.cluster import NODES, says
from tests.support.fault_proxy import FaultProxy
from tests.support.faults import Answer, Fault
from zerglings.storage.couchdb.copies import beginning_of

RESTING = -1
"""Stands for the count of a node in maintenance, which CouchDB does not query."""

AWAY = -2
"""The count of a node that is disconnected: CouchDB asks another one."""

RANGES = ("00000000-7fffffff", "80000000-ffffffff")


def hold(proxy: FaultProxy, **held: tuple[int | None, ...]) -> None:
    """Set the document counts of each node's copies, one per comparison. The last one repeats.

    The keyword arguments are the last letters of the nodes' names.
    """
    nodes = [node for node in NODES if node[-1] in held]
    shards = dict.fromkeys(RANGES, nodes)
    proxy.faults = [
        Fault(says({"couchdb": "Welcome", "version": "3.5.2"}), lambda m, p: p == "/"),
        Fault(
            says({"all_nodes": nodes, "cluster_nodes": nodes}),
            lambda m, p: p == "/_membership",
        ),
        Fault(says({"shards": shards}), lambda m, p: p.endswith("/_shards")),
        *(fault for node in nodes for fault in _counts(node, held[node[-1]])),
    ]


def _counts(node: str, counts: tuple[int | None, ...]) -> list[Fault]:
    since = quote(beginning_of([(range_, node) for range_ in RANGES]))

    def is_look(method: str, path: str) -> bool:
        return "/_changes?" in path and f"since={since}&" in path

    return [
        *(Fault(_told(node, count), is_look, times=1) for count in counts[:-1]),
        Fault(_told(node, counts[-1]), is_look),
    ]


def _told(node: str, count: int | None) -> Answer:
    if count == RESTING:
        return says({"error": "nodedown", "reason": "progress not possible"}, 412)
    answering = "another@node" if count == AWAY else node
    count = 30 if count == AWAY else count
    rows: list[object] = [{"id": "x", "seq": None, "changes": []}] if count else []
    pending = count - len(rows) if count is not None else None
    position = beginning_of([(range_, answering) for range_ in RANGES])
    return says({"results": rows, "last_seq": position, "pending": pending})


def looks(proxy: FaultProxy) -> int:
    """Return how often the copies of a database were compared."""
    return len([seen for seen in proxy.requests if seen.path.endswith("/_shards")])
