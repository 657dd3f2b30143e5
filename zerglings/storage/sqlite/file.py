"""A SQLite file: its schema, its connection pool, and the translation of its errors."""

from __future__ import annotations

import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TypeVar

from zerglings.storage.base import NotBootstrapped, OutcomeUnknown, StoreUnavailable
from zerglings.storage.blocking import run_blocking

SCHEMA_VERSION = 1
APPLICATION_ID = 0x4F564D44
"""SQLite's application id of our files ("OVMD"). Files of other programs are never changed."""

DOCUMENTS, HISTORY = ("documents", "history")
CHANGES = "changes"
"""Table with the ids of all documents, in the order of their last change."""

TABLES = (DOCUMENTS, HISTORY, CHANGES)

# AUTOINCREMENT never reuses a number, so a changed document moves to the end.
_RECORD_CHANGE = (
    f"DELETE FROM {CHANGES} WHERE id = new.id; INSERT INTO {CHANGES} (id) VALUES (new.id)"  # nosec B608 # noqa: S608 - a constant name
)

SCHEMA = (
    *(
        f"CREATE TABLE IF NOT EXISTS {table} "
        "(id TEXT PRIMARY KEY, revision TEXT NOT NULL, body BLOB NOT NULL)"
        for table in (DOCUMENTS, HISTORY)
    ),
    f"CREATE TABLE IF NOT EXISTS {CHANGES} "
    "(sequence INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE)",
    *(
        f"CREATE TRIGGER IF NOT EXISTS documents_{event.lower()} AFTER {event} ON {DOCUMENTS} "
        f"BEGIN {_RECORD_CHANGE}; END"
        for event in ("INSERT", "UPDATE")
    ),
    f"PRAGMA application_id = {APPLICATION_ID}",
    f"PRAGMA user_version = {SCHEMA_VERSION}",
)
"""Idempotent statements. In an existing file they create the tables and triggers that are missing.
"""

CACHE_KIB = 512
"""Page cache of a connection in KiB. SQLite's default of 2,000 is no faster here, because the
operating system caches the file. With the default, memory grows for hours while connections fill
their caches."""

_NOT_BOOTSTRAPPED = "the embedded store is not prepared; run manage.py bootstrap_couch"

T = TypeVar("T")
Work = Callable[[sqlite3.Connection], T]
Identity = tuple[int, int]


class SQLiteFile:
    """Pools connections to one file. May be used from many threads and greenlets at once."""

    def __init__(self, path: Path) -> None:
        self._path = path
        # list.append and list.pop are atomic. A connection may be used by any thread.
        self._idle: list[tuple[Identity, sqlite3.Connection]] = []
        self._is_closed = False
        # Waiting writers poll in SQLite; within one process this lock queues them instead.
        self._writing = threading.Lock()

    def read(self, work: Work[T], timeout: float) -> T:
        """Return the result of ``work``; wait up to ``timeout`` seconds for a lock."""
        return run_blocking(lambda: self._run(work, timeout, writing=False))

    def write(self, work: Work[T], timeout: float) -> T:
        """Run ``work`` in a transaction, sync it to disk, and return its result.

        ``timeout`` limits the wait for locks, in seconds.
        """
        deadline = time.monotonic() + timeout
        if not self._writing.acquire(timeout=timeout):
            raise StoreUnavailable("the embedded store has too many writers")
        try:
            remaining = max(0.0, deadline - time.monotonic())
            return run_blocking(lambda: self._run(_in_transaction(work), remaining, writing=True))
        finally:
            self._writing.release()

    def close(self) -> None:
        """Close all connections. Those in use are closed when they are returned."""
        self._is_closed = True
        with suppress(IndexError):
            while True:
                self._idle.pop()[1].close()

    def _run(self, work: Work[T], timeout: float, *, writing: bool) -> T:
        try:
            with self._connection() as connection:
                connection.execute(f"PRAGMA busy_timeout = {int(timeout * 1000)}")
                return work(connection)
        except sqlite3.Error as error:
            raise _translate(error, writing=writing) from error

    @contextmanager
    def _connection(self) -> Iterator[sqlite3.Connection]:
        identity = self._identity()
        connection = self._take_idle(identity) or self._open()
        try:
            yield connection
        finally:
            self._idle.append((identity, connection))
            if self._is_closed:  # checked after the append, so that close() misses none
                self.close()

    def _take_idle(self, identity: Identity) -> sqlite3.Connection | None:
        # A connection to a removed or replaced file still works, on the old file. Close it.
        with suppress(IndexError):
            while True:
                opened_as, connection = self._idle.pop()
                if opened_as == identity:
                    return connection
                connection.close()
        return None

    def _open(self) -> sqlite3.Connection:
        connection = sqlite3.connect(
            f"{self._path.absolute().as_uri()}?mode=rw",
            uri=True,
            isolation_level=None,
            check_same_thread=False,
        )
        try:
            connection.execute("PRAGMA synchronous = FULL")
            connection.execute(f"PRAGMA cache_size = -{CACHE_KIB}")
        except sqlite3.Error:
            connection.close()
            raise
        return connection

    def _identity(self) -> Identity:
        try:
            status = os.stat(self._path)
        except FileNotFoundError as error:
            raise NotBootstrapped(_NOT_BOOTSTRAPPED) from error
        except OSError as error:
            raise StoreUnavailable("the embedded store's file cannot be read") from error
        return status.st_dev, status.st_ino


def check_writable(connection: sqlite3.Connection) -> None:
    """Insert a document and roll back, to find a file that is readable but not writable.

    Raises:
        sqlite3.Error: the file cannot be written.
    """
    connection.execute("BEGIN IMMEDIATE")
    try:
        for table in (DOCUMENTS, HISTORY):
            connection.execute(f"INSERT INTO {table} VALUES ('_local/bootstrap', '', '')")  # nosec B608 # noqa: S608 - a constant name
    finally:
        connection.execute("ROLLBACK")


def _in_transaction(work: Work[T]) -> Work[T]:
    def transaction(connection: sqlite3.Connection) -> T:
        connection.execute("BEGIN IMMEDIATE")
        try:
            result = work(connection)
            connection.execute("COMMIT")
        except BaseException:
            with suppress(sqlite3.Error):  # some errors have rolled back already
                connection.execute("ROLLBACK")
            raise
        return result

    return transaction


def _translate(error: sqlite3.Error, *, writing: bool) -> Exception:
    name = getattr(error, "sqlite_errorname", "")
    if "no such table" in str(error) or name == "SQLITE_NOTADB":
        return NotBootstrapped(_NOT_BOOTSTRAPPED)
    if writing and name.startswith("SQLITE_IOERR"):
        return OutcomeUnknown(f"the embedded store failed while writing ({name})")
    return StoreUnavailable(f"the embedded store failed ({name or error})")
