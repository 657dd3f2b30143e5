"""Creates bootstrapped, empty stores of both kinds, described by environment variables."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from tests.support.site import CouchDBServer, Site, missing_is_fine, new_site
from zerglings.storage.base import Store
from zerglings.storage.bootstrap.plan import sqlite_steps
from zerglings.storage.bootstrap.runner import Run, Status, bring_about
from zerglings.storage.couchdb.store import CouchDBStore
from zerglings.storage.sqlite.store import SQLiteStore

SOON = 10.0
"""Seconds that a request to a healthy server may take."""


@dataclass(frozen=True)
class Backend:
    """A store, described by the environment variables of a process that uses it."""

    environment: dict[str, str]

    @property
    def server(self) -> CouchDBServer:
        """The CouchDB server and its admin, whose account the service uses."""
        names = ("COUCHDB_URL", "COUCHDB_USERNAME", "COUCHDB_PASSWORD")
        return CouchDBServer(*(self.environment[name] for name in names))

    def open(self) -> Store:
        if self.environment["OVERMIND_STORE"] == "sqlite":
            return SQLiteStore(Path(self.environment["OVERMIND_SQLITE_PATH"]))
        return CouchDBStore(self.server.client(), self.environment["COUCHDB_DATABASE"])

    def through(self, url: str) -> Backend:
        """Return the same CouchDB with a proxy's URL."""
        return Backend(self.environment | {"COUCHDB_URL": url})


def silent(_step: str, _status: Status, _line: str) -> None:
    """Ignore the reports of a bootstrap."""


def sqlite_backend(directory: Path) -> Backend:
    path = directory / "overmind.sqlite3"
    bring_about(sqlite_steps(path), Run(timeout=10), silent)
    return sqlite_at(path)


def sqlite_at(path: Path) -> Backend:
    """Return the backend for this SQLite file, which need not exist or be bootstrapped."""
    return Backend({"OVERMIND_STORE": "sqlite", "OVERMIND_SQLITE_PATH": str(path)})


@contextmanager
def couchdb_backend(server: CouchDBServer, shards: int | None = None) -> Iterator[Backend]:
    """Yield a bootstrapped backend that uses the admin's account; delete it at the end.

    ``shards`` is the number of shards in CouchDB, by default the server's.
    """
    params = {} if shards is None else {"q": str(shards)}
    database = f"overmind-test-{uuid.uuid4().hex[:12]}"
    site = Site(server, database, server.username, server.password)
    with closing(server.client()) as client:
        try:
            for name in site.databases:
                client.request("PUT", [name], timeout=SOON, params=params)
                for path, value in _made_by_a_bootstrap(server).items():
                    client.request("PUT", [name, path], timeout=SOON, body=value)
            yield Backend({"OVERMIND_STORE": "couchdb"} | site.service_environment)
        finally:
            for name in site.databases:
                with missing_is_fine():
                    client.request("DELETE", [name], timeout=SOON)


@cache
def _made_by_a_bootstrap(server: CouchDBServer) -> dict[str, object]:
    """Return the values that a bootstrap sets in a database, by path; cached, as it is slow."""
    with new_site(server) as site:
        lines = site.bootstrap()
        paths = ["_security"]
        if not any("this server has no _revs_limit" in line for line in lines):
            paths.append("_revs_limit")
        return {path: server.ask("GET", site.database, path) for path in paths}


def erased(backend: Backend) -> None:
    """Delete the database files or the CouchDB databases of a backend."""
    environment = backend.environment
    if environment["OVERMIND_STORE"] == "sqlite":
        for ending in ("", "-wal", "-shm"):
            Path(environment["OVERMIND_SQLITE_PATH"] + ending).unlink(missing_ok=True)
        return
    backend.server.drop(environment["COUCHDB_DATABASE"])
