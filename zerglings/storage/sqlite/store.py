"""The store contract, implemented over a SQLite file: the default store, for one machine.

Several processes may share the file (WAL). Every commit is synced to disk before it is
acknowledged. A deleted document leaves a tombstone, a row with an empty body, which distinguishes
its id from one that was never stored.
"""

from __future__ import annotations

import hashlib
import re
import sqlite3
from collections.abc import Collection, Sequence
from pathlib import Path

import orjson

from zerglings.documents import Document
from zerglings.storage.base import (
    Changes,
    Conflict,
    NotBootstrapped,
    Page,
    Store,
    StoreError,
    UnknownPosition,
    Written,
)
from zerglings.storage.polling import wait_for_changes
from zerglings.storage.sqlite.file import (
    CHANGES,
    DOCUMENTS,
    HISTORY,
    SCHEMA_VERSION,
    SQLiteFile,
    check_writable,
)

Row = tuple[str, str, bytes]

_TOMBSTONE = b""

_POSITION = re.compile(r"[0-9]{1,18}")


class SQLiteStore(Store):
    """Stores documents in the file ``path``, which ``bootstrap_couch`` has prepared.

    Its ``history`` uses another table of the same file. The ``history`` of that store is itself.
    """

    def __init__(self, path: Path, *, history_in: SQLiteFile | None = None) -> None:
        self._file = history_in or SQLiteFile(path)
        self._table = HISTORY if history_in else DOCUMENTS
        self._history = self if history_in else SQLiteStore(path, history_in=self._file)

    @property
    def history(self) -> Store:
        return self._history

    def get_many(
        self, document_ids: Collection[str], *, timeout: float, all_copies: bool = False
    ) -> dict[str, list[Document]]:
        query = f"SELECT id, revision, body FROM {self._table} WHERE id = ?"  # nosec B608 # noqa: S608 - a constant name

        def read(connection: sqlite3.Connection) -> list[Row | None]:
            return [connection.execute(query, (key,)).fetchone() for key in document_ids]

        rows = filter(None, self._file.read(read, timeout))
        return {row[0]: [_document(*row)] if row[2] != _TOMBSTONE else [] for row in rows}

    def put_many(
        self, documents: Sequence[Document], *, timeout: float
    ) -> list[Written | StoreError]:
        writes = [
            (document["_id"], document.get("_rev"), _body(document)) for document in documents
        ]

        def write(connection: sqlite3.Connection) -> list[Written | StoreError]:
            return [_write(connection, self._table, *values) for values in writes]

        return self._file.write(write, timeout) if writes else []

    def page(
        self,
        after: str | None,
        limit: int,
        *,
        timeout: float,
        until: str | None = None,
        descending: bool = False,
    ) -> Page:
        lower, upper = (until, after) if descending else (after, until)
        query = (
            f"SELECT id, revision, body FROM {self._table} "  # nosec B608 # noqa: S608 - a constant name
            "WHERE id > :lower AND (:upper IS NULL OR id < :upper) AND body != :tombstone "
            f"ORDER BY id {'DESC' if descending else 'ASC'} LIMIT :limit"
        )
        values = {"upper": upper, "tombstone": _TOMBSTONE, "limit": limit, "lower": lower or ""}

        def read(connection: sqlite3.Connection) -> list[Row]:
            return connection.execute(query, values).fetchall()

        rows = self._file.read(read, timeout)
        documents = [_document(*row) for row in rows if not row[0].startswith("_")]
        return Page(documents, rows[-1][0] if len(rows) == limit else None)

    def changes(
        self, since: str | None, limit: int, *, timeout: float, wait: float = 0.0
    ) -> Changes:
        if self._history is self:
            raise UnknownPosition("the history store does not record the order of changes")

        def read() -> Changes:
            return self._file.read(lambda connection: _changes(connection, since, limit), timeout)

        return read() if since is None else wait_for_changes(read, wait)

    def forget_deleted_leaves(self, document_ids: Collection[str], *, timeout: float) -> int:
        return 0  # SQLite has no conflicting revisions

    def all_nodes_connected(self, *, timeout: float) -> bool:
        return True

    def ping(self, *, timeout: float) -> None:
        self._file.read(self._select_one, timeout)

    def check_ready(self, *, timeout: float) -> None:
        def read(connection: sqlite3.Connection) -> int:
            check_writable(connection)
            version: int = connection.execute("PRAGMA user_version").fetchone()[0]
            return version

        version = self._file.read(read, timeout)
        if version != SCHEMA_VERSION:
            raise NotBootstrapped(
                f"the embedded store's schema is version {version}, not {SCHEMA_VERSION}"
            )

    def close(self) -> None:
        self._file.close()

    def _select_one(self, connection: sqlite3.Connection) -> None:
        connection.execute(f"SELECT 1 FROM {self._table} LIMIT 1").fetchone()  # nosec B608 # noqa: S608 - a constant name


def _body(document: Document) -> bytes:
    if document.get("_deleted"):
        return _TOMBSTONE
    return orjson.dumps({k: v for k, v in document.items() if k not in ("_id", "_rev")})


def _write(
    connection: sqlite3.Connection, table: str, document_id: str, expected: str | None, body: bytes
) -> Written | Conflict:
    """Store a document if ``expected`` is its current revision, None for a new document."""
    query = f"SELECT revision, body != ? FROM {table} WHERE id = ?"  # nosec B608 # noqa: S608 - a constant name
    row = connection.execute(query, (_TOMBSTONE, document_id)).fetchone()
    current, is_living = row or (None, False)
    if expected != (current if is_living else None):
        return Conflict(document_id)
    revision = _next_revision(current, body)
    connection.execute(
        f"INSERT INTO {table} (id, revision, body) VALUES (?, ?, ?) ON CONFLICT (id) "  # nosec B608 # noqa: S608 - a constant name
        "DO UPDATE SET revision = excluded.revision, body = excluded.body",
        (document_id, revision, body),
    )
    return Written(revision)


def _changes(connection: sqlite3.Connection, since: str | None, limit: int) -> Changes:
    """Read the changes as ``Store.changes`` does, without waiting."""
    query = "SELECT seq FROM sqlite_sequence WHERE name = ?"
    row = connection.execute(query, (CHANGES,)).fetchone()
    newest: int = row[0] if row else 0
    if since is None:
        return Changes([], str(newest))
    if not _POSITION.fullmatch(since) or int(since) > newest:
        raise UnknownPosition("the embedded store does not know this position")
    query = f"SELECT sequence, id FROM {CHANGES} WHERE sequence > ? ORDER BY sequence LIMIT ?"  # nosec B608 # noqa: S608 - a constant name
    rows = connection.execute(query, (int(since), limit)).fetchall()
    ids = [id_ for _, id_ in rows if not id_.startswith("_")]
    return Changes(ids, str(rows[-1][0]) if rows else since)


def _document(document_id: str, revision: str, body: bytes) -> Document:
    try:
        content = orjson.loads(body)
    except orjson.JSONDecodeError:  # damaged: return the document without content
        content = {}
    return {"_id": document_id, "_rev": revision, **content}


def _next_revision(current: str | None, body: bytes) -> str:
    """Return a revision in CouchDB's form: generation, dash, hash of old revision and body."""
    generation = int(current.partition("-")[0]) + 1 if current else 1
    digest = hashlib.md5((current or "").encode() + body, usedforsecurity=False).hexdigest()
    return f"{generation}-{digest}"
