"""The metrics of connections. A worker imports it late, see `MetricsDirectory.open`."""

from __future__ import annotations

from collections.abc import Mapping

from prometheus_client import Counter, Gauge

_OPEN = Gauge(
    "overmind_connections_open",
    "Open connections by state: idle between requests, reading a request, or answering.",
    ("state",),
    multiprocess_mode="livesum",
)
_DROPPED = Counter(
    "overmind_connections_dropped_total",
    "Connections that the service closed, by reason.",
    ("reason",),
)


def note_open(counts: Mapping[str, int]) -> None:
    """Set the number of open connections in each state."""
    for state, count in counts.items():
        _OPEN.labels(state).set(count)


def note_dropped(reason: str) -> None:
    """Count a dropped connection by its reason."""
    _DROPPED.labels(reason).inc()
