"""Warnings about settings of CouchDB that make replication unsafe or slow.

See https://docs.couchdb.org/en/stable/config/replicator.html.
"""

from __future__ import annotations

from collections.abc import Iterator

from zerglings.storage.bootstrap.nodes import Nodes

SECTION = "replicator"

SLOW_INTERVAL = 10_000
"""Milliseconds above which ``interval`` is reported. CouchDB looks for replications that it may
start again once in this time."""

LONG_HISTORY = 6
"""Events above which ``max_history`` is reported. CouchDB waits 30 seconds after the first failure
of a replication and doubles that with each further one that is among its last events. Each failure
is two events: with 6 it waits for up to 2 minutes, with 20 for up to 4 hours."""

DEFAULTS = {"interval": 60_000, "max_history": 20}


def unsuitable_settings(nodes: Nodes, *, uses_tls: bool) -> Iterator[str]:
    """Yield a sentence for each setting that is unsuitable on some connected nodes.

    Args:
        nodes: the nodes of the server.
        uses_tls: whether a replication uses https.
    """
    if not nodes.are_separate():
        return
    connected = sorted(nodes.connected())
    verify = "verify_ssl_certificates"
    if uses_tls and (
        found := [n for n in connected if nodes.setting(n, SECTION, verify) != "true"]
    ):
        yield (
            f"CouchDB accepts any certificate of its peers: [{SECTION}] {verify} is not true on "
            f"{', '.join(found)}"
        )
    for name, limit, consequence in (
        ("interval", SLOW_INTERVAL, "after an interruption replication may pause for minutes"),
        ("max_history", LONG_HISTORY, "after a long interruption replication may pause for hours"),
    ):
        if found := [node for node in connected if _number(nodes, node, name) > limit]:
            yield f"{consequence}: [{SECTION}] {name} is above {limit} on {', '.join(found)}"


def _number(nodes: Nodes, node: str, name: str) -> float:
    """Return a setting, the default if it is not set, infinity if it is no number."""
    value = str(nodes.setting(node, SECTION, name) or DEFAULTS[name])
    return int(value) if value.isdecimal() else float("inf")
