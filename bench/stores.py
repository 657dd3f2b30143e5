"""The stores under the benchmarks: a CouchDB server, or files of the embedded store.

Creates, fills and drops databases directly, without the service.
"""

from __future__ import annotations

import base64
import shutil
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import unquote, urlsplit

import orjson
import requests

from bench import process
from bench.documents import Document
from bench.errors import BenchError
from zerglings.storage.base import StoreError
from zerglings.storage.sqlite.store import SQLiteStore

BATCH = 1000
STORE_TIMEOUT = 120.0
"""Seconds; long enough for a batch of large documents on a busy machine."""

HISTORY = "-history"
LOOPBACK = ("127.", "localhost", "::1")
DEFAULT_PORTS = {"http": 80, "https": 443}


class Benched(Protocol):
    """A store as the benchmarks use it."""

    @property
    def name(self) -> str:
        """The kind of store and its version."""

    @property
    def pid(self) -> int | None:
        """The pid of its process on this machine, None if there is none or it is not visible."""

    def environment(self, database: str) -> dict[str, str]:
        """Return the variables with which the service uses a database."""

    def fill(self, database: str, documents: Iterable[Document]) -> None:
        """Write new documents."""

    def drop(self, database: str) -> None:
        """Remove a database and its history database, if they exist."""


class CouchDB:
    """A CouchDB server, with an account that may create databases."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        if parts.scheme not in DEFAULT_PORTS or not parts.hostname or not parts.username:
            raise BenchError("STORE_URL: not of the form http(s)://admin:password@host:port")
        host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
        port = parts.port or DEFAULT_PORTS[parts.scheme]
        self.url = f"{parts.scheme}://{host}:{port}{parts.path}"
        self.account = (unquote(parts.username), unquote(parts.password or ""))
        self._session = requests.Session()
        self._session.trust_env = False
        self._session.auth = self.account
        self.version = str(self.ask("GET", "").get("version", "of unknown version"))
        is_here = parts.hostname.startswith(LOOPBACK)
        self._pid = process.listener(port, "beam.smp") if is_here else None

    @property
    def name(self) -> str:
        """The kind of store and its version."""
        return f"CouchDB {self.version}"

    @property
    def pid(self) -> int | None:
        """The server's pid, None if it runs elsewhere or is not visible."""
        return self._pid

    @property
    def headers(self) -> dict[str, str]:
        """The headers that authenticate a request to the raw store."""
        account = base64.b64encode(":".join(self.account).encode()).decode()
        return {"Authorization": f"Basic {account}"}

    def environment(self, database: str) -> dict[str, str]:
        """Return the variables with which the service uses a database."""
        username, password = self.account
        return {
            "COUCHDB_URL": self.url,
            "COUCHDB_USERNAME": username,
            "COUCHDB_PASSWORD": password,
            "COUCHDB_DATABASE": database,
        }

    def create_like(self, database: str, model: str) -> None:
        """Create an empty database with the settings of another."""
        self.ask("PUT", database)
        self.ask("PUT", f"{database}/_revs_limit", self.ask("GET", f"{model}/_revs_limit"))

    def fill(self, database: str, documents: Iterable[Document]) -> None:
        """Write new documents."""
        for batch in _batches(documents):
            self.write(database, batch)

    def write(self, database: str, documents: list[Document], *, new_edits: bool = True) -> None:
        """Write documents in one request; without ``new_edits``, keep their revisions.

        Raises:
            BenchError: a document was refused.
        """
        body = {"docs": documents, "new_edits": new_edits}
        results = self.ask("POST", f"{database}/_bulk_docs", body)
        if refused := [result for result in results if "error" in result]:
            raise BenchError(f"the store refused a document: {refused[0]['error']}")

    def drop(self, database: str) -> None:
        """Remove a database and its history database, if they exist."""
        for name in (database, database + HISTORY):
            self.ask("DELETE", name, missing_is_fine=True)

    def drop_account(self, username: str) -> None:
        """Remove an account."""
        path = f"_users/org.couchdb.user:{username}"
        account = self.ask("GET", path, missing_is_fine=True)
        if revision := account.get("_rev"):
            self.ask("DELETE", f"{path}?rev={revision}")

    def ask(
        self, method: str, path: str, body: object = None, *, missing_is_fine: bool = False
    ) -> Any:  # noqa: ANN401 - any JSON
        """Send a request and return the decoded JSON of its answer.

        Raises:
            BenchError: the server cannot be reached, or answers with an error.
        """
        data = None if body is None else orjson.dumps(body)
        try:
            answer = self._session.request(
                method,
                f"{self.url}/{path}",
                data=data,
                headers={"Content-Type": "application/json"},
                timeout=STORE_TIMEOUT,
            )
        except requests.RequestException as error:
            raise BenchError(f"{self.url} does not answer ({type(error).__name__})") from error
        if not answer.ok and not (
            missing_is_fine and answer.status_code == requests.codes.NOT_FOUND
        ):
            raise BenchError(f"the store answers {answer.status_code} to {method} /{path}")
        return orjson.loads(answer.content)


class Embedded:
    """The embedded store, with one file per database, each in its own subdirectory."""

    name = "the embedded store"
    pid = None

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def environment(self, database: str) -> dict[str, str]:
        """Return the variables with which the service uses a file."""
        return {"OVERMIND_STORE": "sqlite", "OVERMIND_SQLITE_PATH": str(self._file(database))}

    def fill(self, database: str, documents: Iterable[Document]) -> None:
        """Write new documents."""
        store = SQLiteStore(self._file(database))
        try:
            for batch in _batches(documents):
                for result in store.put_many(batch, timeout=STORE_TIMEOUT):
                    if isinstance(result, StoreError):
                        raise BenchError("the embedded store refused a document") from result
        finally:
            store.close()

    def drop(self, database: str) -> None:
        """Remove a database's file and its directory."""
        shutil.rmtree(self._file(database).parent, ignore_errors=True)

    def _file(self, database: str) -> Path:
        return self._directory / database / "overmind.sqlite3"


def _batches(documents: Iterable[Document]) -> Iterator[list[Document]]:
    rest = iter(documents)
    while batch := list(islice(rest, BATCH)):
        yield batch
