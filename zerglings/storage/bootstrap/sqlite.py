"""What must be so before the embedded store can work."""

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
    try_to_write,
)

LOCK_TIMEOUT = 10.0
"""Seconds to wait for others who prepare the same file."""


class FileStep(Step):
    """A step that looks at a file."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.path = path

    def connect(self, mode: str) -> sqlite3.Connection:
        """Open the file; ``mode`` is ro, rw or rwc."""
        uri = f"{self.path.absolute().as_uri()}?mode={mode}"
        return sqlite3.connect(uri, uri=True, timeout=LOCK_TIMEOUT, isolation_level=None)

    def meaning(self, error: sqlite3.DatabaseError) -> Exception:
        """Say what an error of SQLite means for the operator."""
        name = getattr(error, "sqlite_errorname", "")
        if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
            return NotYet(f"{self.path} is locked")
        if name == "SQLITE_NOTADB":
            return Misconfigured(f"OVERMIND_SQLITE_PATH: {self.path} is not a SQLite file")
        return BootstrapError(f"{self.path} cannot be used: {error}")


class File(FileStep):
    """The file is there, is ours and has the schema."""

    name = "database"
    wants = "the embedded store's file exists and has the schema"

    def drift(self) -> str | None:
        """Look at the marks that SQLite keeps in a file's head."""
        try:
            self.path.stat()
        except FileNotFoundError:
            return f"{self.path} is missing"
        except OSError as error:
            raise BootstrapError(f"cannot look at {self.path}: {error.strerror}") from error
        try:
            with closing(self.connect("ro")) as connection:
                return self._drift_of(connection)
        except sqlite3.DatabaseError as error:
            if getattr(error, "sqlite_errorname", "") == "SQLITE_READONLY_ROLLBACK":
                return f"{self.path} was left in the midst of a change"  # which is undone by acting
            raise self.meaning(error) from error

    def act(self) -> str:
        """Create the schema in one transaction, unless another process just did."""
        try:
            _make_lastingly(self.path.parent)
            with closing(self.connect("rwc")) as connection:
                connection.execute("PRAGMA journal_mode = WAL")
                connection.execute("BEGIN IMMEDIATE")
                if self._drift_of(connection) is not None:
                    for statement in SCHEMA:
                        connection.execute(statement)
                connection.execute("COMMIT")
        except sqlite3.DatabaseError as error:
            raise self.meaning(error) from error
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
            raise Misconfigured(f"OVERMIND_SQLITE_PATH: {self.path} is another program's")
        return f"{self.path} is empty"


class Usable(FileStep):
    """Documents can be written, which SQLite finds out only by trying."""

    name = "verify"
    wants = "the file can be written"
    needs_all = True

    def drift(self) -> str | None:
        """Write a document and take it back."""
        try:
            with closing(self.connect("rw")) as connection:
                try_to_write(connection)
        except sqlite3.DatabaseError as error:
            raise self.meaning(error) from error
        return None

    def act(self) -> str:
        """Never called: a file that cannot be written is not mended by trying harder."""
        raise BootstrapError("verify: there is nothing to do")


def _make_lastingly(folder: Path) -> None:
    """Make a folder and those above it that are missing, each on the disk before it is used.

    SQLite syncs the folder that its file is in, but not where that folder itself is noted.
    """
    missing = [place for place in (folder, *folder.parents) if not place.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    for made in missing:
        above = os.open(made.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(above)
        finally:
            os.close(above)
