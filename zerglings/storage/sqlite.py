"""The store contract over one SQLite file: the embedded default, for one machine.

Several processes may share the file (WAL). Every commit is synced to the disk before the answer.
"""

from __future__ import annotations

import hashlib
import os
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import orjson

from zerglings.storage.base import (
    Conflict,
    Document,
    DocumentMissing,
    NotBootstrapped,
    OutcomeUnknown,
    Page,
    Store,
    StoreUnavailable,
)

SCHEMA_VERSION = 1
APPLICATION_ID = 0x4F564D44
"""SQLite's mark of what a file is for ("OVMD"): somebody else's file is never taken over."""

SCHEMA = (
    "CREATE TABLE documents (id TEXT PRIMARY KEY, revision TEXT NOT NULL, body BLOB NOT NULL)",
    f"PRAGMA application_id = {APPLICATION_ID}",
    f"PRAGMA user_version = {SCHEMA_VERSION}",
)

_NOT_BOOTSTRAPPED = "the embedded store is not prepared; run manage.py bootstrap_couch"


class SQLiteStore(Store):
    """Documents in the table of one file, which ``bootstrap_couch`` has prepared."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._local = threading.local()
        self._open_connections: list[sqlite3.Connection] = []
        self._connections_lock = threading.Lock()
        # SQLite makes waiting writers poll; within one process a lock lets them queue instead.
        self._writing = threading.Lock()

    def get(self, document_id: str, *, timeout: float) -> Document:
        with self._connection(timeout) as connection:
            row = connection.execute(
                "SELECT revision, body FROM documents WHERE id = ?", (document_id,)
            ).fetchone()
        if row is None:
            raise DocumentMissing(document_id)
        return _document(document_id, *row)

    def put(self, document: Document, *, timeout: float) -> str:
        content = {key: value for key, value in document.items() if key not in ("_id", "_rev")}
        body = orjson.dumps(content)
        current: str | None = document.get("_rev")
        revision = _next_revision(current, body)
        deadline = time.monotonic() + timeout
        if not self._writing.acquire(timeout=timeout):
            raise StoreUnavailable("the embedded store has too many writers")
        try:
            with self._connection(
                max(0.0, deadline - time.monotonic()), writing=True
            ) as connection:
                written = _write(connection, document["_id"], current, revision, body)
        finally:
            self._writing.release()
        if not written:
            raise Conflict(document["_id"])
        return revision

    def page(self, after: str | None, limit: int, *, timeout: float) -> Page:
        with self._connection(timeout) as connection:
            rows = connection.execute(
                "SELECT id, revision, body FROM documents WHERE id > ? ORDER BY id LIMIT ?",
                (after or "", limit),
            ).fetchall()
        documents = [_document(*row) for row in rows if not row[0].startswith("_")]
        return Page(documents, rows[-1][0] if len(rows) == limit else None)

    def ping(self, *, timeout: float) -> None:
        with self._connection(timeout) as connection:
            connection.execute("SELECT 1 FROM documents LIMIT 1").fetchone()

    def check_ready(self, *, timeout: float) -> None:
        with self._connection(timeout) as connection:
            try_to_write(connection)
            version = connection.execute("PRAGMA user_version").fetchone()[0]
            connection.execute("SELECT 1 FROM documents LIMIT 1").fetchone()
        if version != SCHEMA_VERSION:
            raise NotBootstrapped(
                f"the embedded store's schema is version {version}, not {SCHEMA_VERSION}"
            )

    def close(self) -> None:
        with self._connections_lock:
            while self._open_connections:
                self._open_connections.pop().close()

    @contextmanager
    def _connection(self, timeout: float, *, writing: bool = False) -> Iterator[sqlite3.Connection]:
        """Lend this thread's connection; turn SQLite's errors into the contract's."""
        try:
            connection = self._connect()
            connection.execute(f"PRAGMA busy_timeout = {int(timeout * 1000)}")
            yield connection
        except sqlite3.Error as error:
            raise _translated(error, writing=writing) from error

    def _connect(self) -> sqlite3.Connection:
        # A file that was removed or replaced lives on, unseen, for those who still hold it open.
        identity = self._identity()
        held: tuple[tuple[int, int], sqlite3.Connection] | None = getattr(self._local, "held", None)
        if held is not None and held[0] == identity:
            return held[1]
        connection = sqlite3.connect(
            f"{self._path.absolute().as_uri()}?mode=rw",
            uri=True,
            isolation_level=None,
            check_same_thread=False,  # used by one thread, closed by another
        )
        try:
            connection.execute("PRAGMA synchronous = FULL")
        except sqlite3.Error:
            connection.close()
            raise
        self._local.held = (identity, connection)
        with self._connections_lock:
            if held is not None and held[1] in self._open_connections:
                self._open_connections.remove(held[1])
                held[1].close()
            self._open_connections.append(connection)
        return connection

    def _identity(self) -> tuple[int, int]:
        try:
            status = os.stat(self._path)
        except FileNotFoundError as error:
            raise NotBootstrapped(_NOT_BOOTSTRAPPED) from error
        except OSError as error:
            raise StoreUnavailable("the embedded store's file cannot be read") from error
        return status.st_dev, status.st_ino


def try_to_write(connection: sqlite3.Connection) -> None:
    """Write a document and take it back; raises ``sqlite3.Error`` where that cannot be done.

    Only an actual write finds a file that this process may read but not write.
    """
    connection.execute("BEGIN IMMEDIATE")
    try:
        connection.execute("INSERT INTO documents VALUES ('_local/bootstrap', '', '')")
    finally:
        connection.execute("ROLLBACK")


def _write(
    connection: sqlite3.Connection,
    document_id: str,
    current: str | None,
    revision: str,
    body: bytes,
) -> bool:
    if current is None:
        cursor = connection.execute(
            "INSERT INTO documents (id, revision, body) VALUES (?, ?, ?) ON CONFLICT DO NOTHING",
            (document_id, revision, body),
        )
    else:
        cursor = connection.execute(
            "UPDATE documents SET revision = ?, body = ? WHERE id = ? AND revision = ?",
            (revision, body, document_id, current),
        )
    return cursor.rowcount == 1


def _document(document_id: str, revision: str, body: bytes) -> Document:
    try:
        content = orjson.loads(body)
    except orjson.JSONDecodeError:  # damaged; what is left of it is shown
        content = {}
    return {"_id": document_id, "_rev": revision, **content}


def _next_revision(current: str | None, body: bytes) -> str:
    """Return a revision in CouchDB's form: generation, dash, hash of old revision and body."""
    generation = int(current.partition("-")[0]) + 1 if current else 1
    digest = hashlib.md5((current or "").encode() + body, usedforsecurity=False).hexdigest()
    return f"{generation}-{digest}"


def _translated(error: sqlite3.Error, *, writing: bool) -> Exception:
    name = getattr(error, "sqlite_errorname", "")
    if "no such table" in str(error) or name == "SQLITE_NOTADB":
        return NotBootstrapped(_NOT_BOOTSTRAPPED)
    if writing and name.startswith("SQLITE_IOERR"):
        return OutcomeUnknown(f"the embedded store failed while writing ({name})")
    return StoreUnavailable(f"the embedded store failed ({name or error})")
