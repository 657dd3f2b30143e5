"""Regions that write heartbeats and measure how far they are behind each other."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from tests.support.backends import Backend, couchdb_backend
from tests.support.documents import leaves
from tests.support.regions import Region
from tests.support.site import CouchDBServer
from zerglings.documents import Document
from zerglings.hive.hive import Hive
from zerglings.regions.monitor import RegionMonitor
from zerglings.storage.base import Store
from zerglings.storage.regions.heartbeats import Heartbeats, document_id

START = 1_000_000_000.0

MAIN, HISTORY = 0, 1
"""The databases of a region, to replicate one of them only."""


class Clock:
    """A clock that stands still until a test moves it."""

    def __init__(self, now: float = START) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


class MonitoredRegion(Region):
    """A region with its monitor."""

    def __init__(self, name: str, backend: Backend, clock: Clock) -> None:
        super().__init__(backend)
        self.name = name
        self.hive = Hive(self.store)
        self._processes: list[RegionMonitor] = []
        self.monitor = self.another_process(clock)

    def another_process(self, clock: Clock, store: Store | None = None) -> RegionMonitor:
        """Return the monitor of another process, which knows nothing yet."""
        client = self.backend.server.client(1)
        history = (store or self.store).history
        heartbeats = Heartbeats(self.name, history, client, self.databases[MAIN])
        process = RegionMonitor(heartbeats, clock)
        self._processes.append(process)
        return process

    def copy(self, source: Region, *parts: int) -> None:
        """Copy what another region has, by default of both databases, and wait until it is here."""
        for part in parts or (MAIN, HISTORY):
            assert self.pull(source, history=part == HISTORY)["ok"]

    def heartbeats(self, of: str = "") -> list[Document]:
        """Return the leaves of a region's heartbeat, by default of this region's own."""
        return leaves(self.store.history, document_id(of or self.name)) or []

    def markers(self, *, history: bool = False) -> list[list[Document]]:
        """Return the leaves of each marker of this region."""
        (heartbeat,) = self.heartbeats()
        ids = heartbeat["markers"]["history" if history else "zerglings"]
        return [self.revisions(id_, history=history) for id_ in ids]

    def behind_after_heartbeat(
        self, other: MonitoredRegion, *parts: int
    ) -> tuple[float, float] | None:
        """Have the other region write a heartbeat, copy these parts of it, and look."""
        other.monitor.step()
        self.copy(other, *parts)
        return self.seconds_behind(other)

    def seconds_behind(self, other: MonitoredRegion) -> tuple[float, float] | None:
        """Look, and return by how much it is behind, for the main and the history database."""
        self.monitor.step()
        lag = (self.monitor.lags() or {}).get(other.name)
        return None if lag is None else (lag.zerglings, lag.history)

    def close(self) -> None:
        for process in self._processes:
            process.close()
        self.store.close()


@contextmanager
def new_region(
    server: CouchDBServer, name: str, clock: Clock, shards: int
) -> Iterator[MonitoredRegion]:
    with couchdb_backend(server, shards) as backend:
        region = MonitoredRegion(name, backend, clock)
        yield region
        region.close()
