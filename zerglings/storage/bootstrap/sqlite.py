"""Bootstrap steps of the embedded store."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from pathlib import Path

from zerglings.storage.bootstrap.runner import BootstrapError, Misconfigured, NotYet, Step
from zerglings.storage.sqlite.file import (
    APPLICATION_ID,
    SCHEMA,
    SCHEMA_VERSION,
    TABLES,
    check_writable,
)

LOCK_TIMEOUT = 10.0
"""Seconds to wait for the lock of another process that prepares the file."""


class FileStep(Step):
    """A step for the SQLite file at ``path``."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.path = path

    def connect(self, mode: str) -> sqlite3.Connection:
        """Open the file with SQLite's ``mode``: ro, rw or rwc."""
        uri = f"{self.path.absolute().as_uri()}?mode={mode}"
        return sqlite3.connect(uri, uri=True, timeout=LOCK_TIMEOUT, isolation_level=None)

    def translate(self, error: sqlite3.DatabaseError) -> Exception:
        """Translate an error of SQLite to one of the runner's errors."""
        name = getattr(error, "sqlite_errorname", "")
        if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
            return NotYet(f"{self.path} is locked")
        if name == "SQLITE_NOTADB":
            return Misconfigured(f"OVERMIND_SQLITE_PATH: {self.path} is not a SQLite file")
        return BootstrapError(f"{self.path} cannot be used: {error}")


class File(FileStep):
    """The file exists, belongs to this service and has the schema."""

    name = "database"
    required_state = "the embedded store's file exists and has the schema"

    def drift(self) -> str | None:
        """Check the application id, the schema version and the tables."""
        try:
            self.path.stat()
        except FileNotFoundError:
            return f"{self.path} is missing"
        except OSError as error:
            raise BootstrapError(f"cannot read {self.path}: {error.strerror}") from error
        try:
            with closing(self.connect("ro")) as connection:
                return self._drift_of(connection)
        except sqlite3.DatabaseError as error:
            if getattr(error, "sqlite_errorname", "") == "SQLITE_READONLY_ROLLBACK":
                # Opening the file for writing, as act() does, rolls the transaction back.
                return f"{self.path} has an unfinished transaction"
            raise self.translate(error) from error

    def act(self) -> str:
        """Create the schema in one transaction, unless another process has done so meanwhile."""
        try:
            _create_durably(self.path.parent)
            with closing(self.connect("rwc")) as connection:
                connection.execute("PRAGMA journal_mode = WAL")
                connection.execute("BEGIN IMMEDIATE")
                if self._drift_of(connection) is not None:
                    for statement in SCHEMA:
                        connection.execute(statement)
                connection.execute("COMMIT")
        except sqlite3.DatabaseError as error:
            raise self.translate(error) from error
        except OSError as error:
            raise BootstrapError(f"cannot create {self.path.parent}: {error.strerror}") from error
        return f"prepared {self.path}"

    def _drift_of(self, connection: sqlite3.Connection) -> str | None:
        application = connection.execute("PRAGMA application_id").fetchone()[0]
        version = connection.execute("PRAGMA user_version").fetchone()[0]
        tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master")}
        if (application, version) == (APPLICATION_ID, SCHEMA_VERSION):
            missing = [table for table in TABLES if table not in tables]
            return f"{self.path} lacks {', '.join(missing)}" if missing else None
        if application == APPLICATION_ID:
            raise BootstrapError(
                f"{self.path} has schema version {version}, this service knows {SCHEMA_VERSION}"
            )
        if tables:
            raise Misconfigured(f"OVERMIND_SQLITE_PATH: {self.path} belongs to another program")
        return f"{self.path} is empty"


class Usable(FileStep):
    """The file is writable. Only a write can verify that."""

    name = "verify"
    required_state = "the file can be written"
    requires_previous = True

    def drift(self) -> str | None:
        """Insert a document and roll back."""
        try:
            with closing(self.connect("rw")) as connection:
                check_writable(connection)
        except sqlite3.DatabaseError as error:
            raise self.translate(error) from error
        return None

    def act(self) -> str:
        """Never called, because ``drift`` raises an error instead of reporting drift."""
        raise BootstrapError("verify: there is nothing to do")


def _create_durably(folder: Path) -> None:
    """Create a folder and its missing parents, and sync each to disk.

    SQLite syncs the folder of its file, but not the entry of that folder in its parent.
    """
    missing = [path for path in (folder, *folder.parents) if not path.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    for created in missing:
        parent = os.open(created.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(parent)
        finally:
            os.close(parent)
