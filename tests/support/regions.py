"""Regions on one server, each with databases of its own, that replicate when a test says so."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import quote

from tests.support.backends import Backend, couchdb_backend
from tests.support.documents import leaves
from tests.support.site import CouchDBServer
from zerglings.documents import Document
from zerglings.hive.hive import Hive
from zerglings.regions.monitor import RegionMonitor
from zerglings.storage.base import Store
from zerglings.storage.couchdb.database import Database
from zerglings.storage.couchdb.store import database_names
from zerglings.storage.regions.heartbeats import document_id

START = 1_000_000_000.0

MAIN, HISTORY = 0, 1
"""The databases of a region, to replicate one of them only."""


class Clock:
    """A clock that stands still until a test moves it."""

    def __init__(self, now: float = START) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


class Region:
    """A region with its store and its monitor."""

    def __init__(self, name: str, backend: Backend, clock: Clock) -> None:
        self.name = name
        self.backend = backend
        self.databases = database_names(backend.environment["COUCHDB_DATABASE"])
        self.store = backend.open()
        self.hive = Hive(self.store)
        self._processes: list[RegionMonitor] = []
        self.monitor = self.another_process(clock)

    def another_process(self, clock: Clock, store: Store | None = None) -> RegionMonitor:
        """Return the monitor of another process, which knows nothing yet."""
        database = Database(self.backend.server.client(1), self.databases[MAIN])
        process = RegionMonitor(self.name, store or self.store, database, clock)
        self._processes.append(process)
        return process

    def put(self, document: Document, part: int = MAIN) -> None:
        """Store a revision as replication does."""
        body = {"docs": [document], "new_edits": False}
        self.backend.server.ask("POST", self.databases[part], "_bulk_docs", body=body)

    def pull(self, source: Region, *parts: int) -> None:
        """Copy what another region has, by default of both databases, and wait until it is here."""
        server = self.backend.server
        for part in parts or (MAIN, HISTORY):
            ends = {"source": source.databases[part], "target": self.databases[part]}
            body = {end: _with_account(server, name) for end, name in ends.items()}
            assert server.ask("POST", "_replicate", body=body)["ok"]

    def heartbeats(self, of: str = "") -> list[Document]:
        """Return the leaves of a region's heartbeat, by default of this region's own."""
        return leaves(self.store.history, document_id(of or self.name)) or []

    def seconds_behind(self, other: Region) -> tuple[float, float] | None:
        """Look, and return by how much it is behind, for the main and the history database."""
        self.monitor.step()
        lag = (self.monitor.lags() or {}).get(other.name)
        return None if lag is None else (lag.zerglings, lag.history)

    def close(self) -> None:
        for process in self._processes:
            process.close()
        self.store.close()


@contextmanager
def new_region(server: CouchDBServer, name: str, clock: Clock) -> Iterator[Region]:
    with couchdb_backend(server, shards=1) as backend:  # so that there is one latest change
        region = Region(name, backend, clock)
        yield region
        region.close()


def _with_account(server: CouchDBServer, database: str) -> str:
    account = f"{quote(server.username, safe='')}:{quote(server.password, safe='')}"
    return f"http://{account}@{server.host}:{server.port}/{quote(database, safe='')}"
