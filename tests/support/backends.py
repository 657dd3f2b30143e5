"""Bootstrapped stores of either kind, each empty and gone after its test."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import unquote, urlsplit

from zerglings.storage.account import Account
from zerglings.storage.base import Store
from zerglings.storage.bootstrap.plan import CouchDBPlan, sqlite_steps
from zerglings.storage.bootstrap.runner import Run, Status, bring_about
from zerglings.storage.couchdb import CouchDBStore, databases
from zerglings.storage.couchdb_client import CouchDBClient
from zerglings.storage.sqlite import SQLiteStore


@dataclass(frozen=True)
class CouchDBServer:
    """A server and its admin's account."""

    url: str
    username: str
    password: str

    @classmethod
    def at(cls, url: str) -> CouchDBServer:
        """Take a server from a URL that holds the account."""
        parts = urlsplit(url)
        place = f"{parts.scheme}://{parts.hostname}:{parts.port or 5984}"
        return cls(place, unquote(parts.username or ""), unquote(parts.password or ""))

    @property
    def host(self) -> str:
        return urlsplit(self.url).hostname or ""

    @property
    def port(self) -> int:
        return urlsplit(self.url).port or 5984

    def through(self, url: str) -> CouchDBServer:
        """Return the same server behind another URL, that of a proxy."""
        return replace(self, url=url)

    def client(self, connections: int = 8) -> CouchDBClient:
        account = Account(self.username, lambda: self.password)
        return CouchDBClient(self.url, account, connections=connections)


@dataclass(frozen=True)
class Backend:
    """A bootstrapped store, as a process finds it: by its environment."""

    environment: dict[str, str]

    def open(self) -> Store:
        environment = self.environment
        if environment["OVERMIND_STORE"] == "sqlite":
            return SQLiteStore(Path(environment["OVERMIND_SQLITE_PATH"]))
        account = Account(environment["COUCHDB_USERNAME"], lambda: environment["COUCHDB_PASSWORD"])
        client = CouchDBClient(environment["COUCHDB_URL"], account, connections=8)
        return CouchDBStore(client, environment["COUCHDB_DATABASE"])

    def through(self, url: str) -> Backend:
        """Return the same CouchDB behind another URL, that of a proxy."""
        return Backend(self.environment | {"COUCHDB_URL": url})


def silent(_step: str, _status: Status, _line: str) -> None:
    """Take a bootstrap's report and say nothing."""


def sqlite_backend(directory: Path) -> Backend:
    path = directory / "overmind.sqlite3"
    bring_about(sqlite_steps(path), Run(timeout=10), silent)
    return Backend({"OVERMIND_STORE": "sqlite", "OVERMIND_SQLITE_PATH": str(path)})


@contextmanager
def couchdb_backend(server: CouchDBServer) -> Iterator[Backend]:
    database = f"overmind-test-{uuid.uuid4().hex[:12]}"
    account = Account(server.username, lambda: server.password)
    run = Run(timeout=30)
    plan = CouchDBPlan(server.url, account, account, database)
    bring_about(plan.steps(run), run, silent)
    yield Backend(
        {
            "OVERMIND_STORE": "couchdb",
            "COUCHDB_URL": server.url,
            "COUCHDB_USERNAME": server.username,
            "COUCHDB_PASSWORD": server.password,
            "COUCHDB_DATABASE": database,
        }
    )
    _drop(server, database)


def erased(backend: Backend) -> None:
    """Remove all that a bootstrap has made of a backend."""
    environment = backend.environment
    if environment["OVERMIND_STORE"] == "sqlite":
        for ending in ("", "-wal", "-shm"):
            Path(environment["OVERMIND_SQLITE_PATH"] + ending).unlink(missing_ok=True)
        return
    account = environment["COUCHDB_USERNAME"], environment["COUCHDB_PASSWORD"]
    _drop(CouchDBServer(environment["COUCHDB_URL"], *account), environment["COUCHDB_DATABASE"])


def _drop(server: CouchDBServer, database: str) -> None:
    client = server.client()
    for name in databases(database):
        client.request("DELETE", [name], timeout=10)
    client.close()
