"""One SQLite file: its schema, its connections, and its errors in the terms of the contract."""

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
"""SQLite's mark of what a file is for ("OVMD"): somebody else's file is never taken over."""

DOCUMENTS, HISTORY = ("documents", "history")
CHANGES = "changes"
"""The ids of all documents in the order of their last change, which is the table's own key."""

TABLES = (DOCUMENTS, HISTORY, CHANGES)

# AUTOINCREMENT never gives a number twice, so a changed id moves to the end.
_NOTE_CHANGE = (
    f"DELETE FROM {CHANGES} WHERE id = new.id; INSERT INTO {CHANGES} (id) VALUES (new.id)"  # nosec B608 # noqa: S608 - a name of ours
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
        f"BEGIN {_NOTE_CHANGE}; END"
        for event in ("INSERT", "UPDATE")
    ),
    f"PRAGMA application_id = {APPLICATION_ID}",
    f"PRAGMA user_version = {SCHEMA_VERSION}",
)
"""Statements that may be repeated: what later versions added is added to an older file."""

CACHE_KIB = 512
"""What a connection keeps of the file. SQLite's default of 2,000 makes nothing faster that is done
here, as the system has the file in memory; but as many connections fill it, memory rises for hours.
"""

_NOT_BOOTSTRAPPED = "the embedded store is not prepared; run manage.py bootstrap_couch"

T = TypeVar("T")
Work = Callable[[sqlite3.Connection], T]
Identity = tuple[int, int]


class SQLiteFile:
    """Lends connections to one file. Safe to use from many threads and greenlets at once."""

    def __init__(self, path: Path) -> None:
        self._path = path
        # A list's append and pop are atomic, and work may be done in any thread.
        self._idle: list[tuple[Identity, sqlite3.Connection]] = []
        self._is_closed = False
        # SQLite makes waiting writers poll; within one process a lock lets them queue instead.
        self._writing = threading.Lock()

    def read(self, work: Work[T], timeout: float) -> T:
        """Return what ``work`` reads; it waits up to ``timeout`` seconds for a lock."""
        return run_blocking(lambda: self._work(work, timeout, writing=False))

    def write(self, work: Work[T], timeout: float) -> T:
        """Return what ``work`` returns, done in one transaction that is on disk by then."""
        deadline = time.monotonic() + timeout
        if not self._writing.acquire(timeout=timeout):
            raise StoreUnavailable("the embedded store has too many writers")
        try:
            left = max(0.0, deadline - time.monotonic())
            return run_blocking(lambda: self._work(_in_transaction(work), left, writing=True))
        finally:
            self._writing.release()

    def close(self) -> None:
        """Close the connections; one that is still lent is closed when it comes back."""
        self._is_closed = True
        with suppress(IndexError):
            while True:
                self._idle.pop()[1].close()

    def _work(self, work: Work[T], timeout: float, *, writing: bool) -> T:
        try:
            with self._connection() as connection:
                connection.execute(f"PRAGMA busy_timeout = {int(timeout * 1000)}")
                return work(connection)
        except sqlite3.Error as error:
            raise _translated(error, writing=writing) from error

    @contextmanager
    def _connection(self) -> Iterator[sqlite3.Connection]:
        identity = self._identity()
        connection = self._take(identity) or self._open()
        try:
            yield connection
        finally:
            self._idle.append((identity, connection))
            if self._is_closed:  # looked at after the append, so that none slips through
                self.close()

    def _take(self, identity: Identity) -> sqlite3.Connection | None:
        # A file that was removed or replaced lives on, unseen, for those who still hold it open.
        with suppress(IndexError):
            while True:
                held, connection = self._idle.pop()
                if held == identity:
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


def try_to_write(connection: sqlite3.Connection) -> None:
    """Write a document and take it back; raises ``sqlite3.Error`` where that cannot be done.

    Only an actual write finds a file that this process may read but not write.
    """
    connection.execute("BEGIN IMMEDIATE")
    try:
        for table in (DOCUMENTS, HISTORY):
            connection.execute(f"INSERT INTO {table} VALUES ('_local/bootstrap', '', '')")  # nosec B608 # noqa: S608 - a name of ours
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


def _translated(error: sqlite3.Error, *, writing: bool) -> Exception:
    name = getattr(error, "sqlite_errorname", "")
    if "no such table" in str(error) or name == "SQLITE_NOTADB":
        return NotBootstrapped(_NOT_BOOTSTRAPPED)
    if writing and name.startswith("SQLITE_IOERR"):
        return OutcomeUnknown(f"the embedded store failed while writing ({name})")
    return StoreUnavailable(f"the embedded store failed ({name or error})")
