"""A CouchDB server, and an installation of the service on it with unique names."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import unquote, urlsplit

from zerglings.storage.bootstrap.accounts import user_id
from zerglings.storage.bootstrap.plan import CouchDBPlan
from zerglings.storage.bootstrap.runner import Run, Status, bring_about, find_drift
from zerglings.storage.couchdb.account import Account
from zerglings.storage.couchdb.client import CouchDBClient
from zerglings.storage.couchdb.responses import ErrorResponse
from zerglings.storage.couchdb.store import database_names

TIMEOUT = 10.0
NOT_FOUND = 404


@dataclass(frozen=True)
class CouchDBServer:
    """The URL of a server and the account of its admin."""

    url: str
    username: str
    password: str

    @classmethod
    def at(cls, url: str) -> CouchDBServer:
        """Return the server for a URL that contains the admin's name and password."""
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
        """Return the same server with a proxy's URL."""
        return replace(self, url=url)

    def client(self, connections: int = 8) -> CouchDBClient:
        account = Account(self.username, lambda: self.password)
        return CouchDBClient(self.url, account, connections=connections)

    def ask(self, method: str, *path: str, body: object = None, **params: str) -> Any:
        """Send one request as the admin and return the answer's JSON."""
        client = self.client()
        try:
            return client.request(method, list(path), timeout=TIMEOUT, body=body, params=params)
        finally:
            client.close()

    def drop(self, database: str) -> None:
        """Delete the databases of an installation that exist."""
        for name in database_names(database):
            with missing_is_fine():
                self.ask("DELETE", name)


class Lines(list[str]):
    """The lines that a bootstrap reports."""

    def __call__(self, step: str, status: Status, message: str) -> None:
        self.append(f"{step} {status} {message}")


@dataclass(frozen=True)
class Site:
    """An installation on a server: its databases and the service's account."""

    server: CouchDBServer
    database: str
    username: str
    password: str = "swarm"

    @property
    def databases(self) -> tuple[str, str]:
        return database_names(self.database)

    @property
    def environment(self) -> dict[str, str]:
        """The environment of the init container."""
        return self.service_environment | {
            "COUCHDB_ADMIN_USERNAME": self.server.username,
            "COUCHDB_ADMIN_PASSWORD": self.server.password,
        }

    @property
    def service_environment(self) -> dict[str, str]:
        """The environment of the service."""
        return {
            "COUCHDB_URL": self.server.url,
            "COUCHDB_USERNAME": self.username,
            "COUCHDB_PASSWORD": self.password,
            "COUCHDB_DATABASE": self.database,
        }

    def through(self, url: str) -> Site:
        """Return the same site behind a proxy."""
        return replace(self, server=self.server.through(url))

    def plan(self, **changes: Any) -> CouchDBPlan:
        given: dict[str, Any] = {
            "url": self.server.url,
            "admin": self.account(
                self.server.username, self.server.password, "COUCHDB_ADMIN_PASSWORD"
            ),
            "service": self.account(self.username, self.password, "COUCHDB_PASSWORD"),
            "database": self.database,
        }
        return CouchDBPlan(**given | changes)

    @staticmethod
    def account(username: str, password: str, variable: str = "COUCHDB_PASSWORD") -> Account:
        return Account(username, lambda: password, variable=variable)

    def bootstrap(self, *, timeout: float = 30, **changes: Any) -> list[str]:
        """Bootstrap the site and return the reported lines."""
        lines, run = Lines(), Run(timeout=timeout)
        bring_about(self.plan(**changes).steps(run), run, lines)
        return lines

    def check(self, **changes: Any) -> list[str]:
        """Look for drift, as ``--check`` does, and return the reported lines."""
        lines = Lines()
        find_drift(self.plan(**changes).steps(Run()), lines)
        return lines

    def user(self) -> dict[str, Any]:
        user: dict[str, Any] = self.server.ask("GET", "_users", user_id(self.username))
        return user

    def remove(self) -> None:
        """Delete the databases and the account, if they exist."""
        self.server.drop(self.database)
        with missing_is_fine():
            user = self.user()
            self.server.ask("DELETE", "_users", user["_id"], rev=user["_rev"])


@contextmanager
def missing_is_fine() -> Iterator[None]:
    """Ignore a 404 inside the block."""
    try:
        yield
    except ErrorResponse as answer:
        if answer.status != NOT_FOUND:
            raise


@contextmanager
def new_site(server: CouchDBServer) -> Iterator[Site]:
    """Yield a new site that is not bootstrapped, with unique names; remove it at the end."""
    mark = uuid.uuid4().hex[:12]
    site = Site(server, f"overmind-test-{mark}", f"overmind-{mark}")
    try:
        yield site
    finally:
        site.remove()
