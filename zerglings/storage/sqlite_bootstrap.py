"""What must be so before the embedded store can work, as a bootstrap step."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from zerglings.storage.bootstrap import BootstrapError, NotYet, Step
from zerglings.storage.sqlite import APPLICATION_ID, SCHEMA, SCHEMA_VERSION

LOCK_TIMEOUT = 10.0
"""Seconds to wait for others who prepare the same file."""


class File(Step):
    """The file is there, is ours and has the schema."""

    name = "database"

    def __init__(self, path: Path) -> None:
        self._path = path

    def drift(self) -> str | None:
        """Look at the marks that SQLite keeps in a file's head."""
        if not self._path.exists():
            return f"{self._path} is missing"
        try:
            with closing(self._connect("ro")) as connection:
                return self._drift_of(connection)
        except sqlite3.DatabaseError as error:
            raise self._meaning(error) from error

    def act(self) -> str:
        """Create the schema in one transaction, unless another process just did."""
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with closing(self._connect("rwc")) as connection:
                connection.execute("PRAGMA journal_mode = WAL")
                connection.execute("BEGIN IMMEDIATE")
                if self._drift_of(connection) is not None:
                    for statement in SCHEMA:
                        connection.execute(statement)
                connection.execute("COMMIT")
        except sqlite3.DatabaseError as error:
            raise self._meaning(error) from error
        except OSError as error:
            raise BootstrapError(f"cannot create {self._path.parent}: {error.strerror}") from error
        return f"prepared {self._path}"

    def _connect(self, mode: str) -> sqlite3.Connection:
        uri = f"{self._path.absolute().as_uri()}?mode={mode}"
        return sqlite3.connect(uri, uri=True, timeout=LOCK_TIMEOUT, isolation_level=None)

    def _drift_of(self, connection: sqlite3.Connection) -> str | None:
        application = connection.execute("PRAGMA application_id").fetchone()[0]
        version = connection.execute("PRAGMA user_version").fetchone()[0]
        if (application, version) == (APPLICATION_ID, SCHEMA_VERSION):
            return None
        if application == APPLICATION_ID:
            raise BootstrapError(
                f"{self._path} has schema version {version}, this service knows {SCHEMA_VERSION}"
            )
        if connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
            raise BootstrapError(f"{self._path} is another program's; look at OVERMIND_SQLITE_PATH")
        return f"{self._path} is empty"

    def _meaning(self, error: sqlite3.DatabaseError) -> Exception:
        name = getattr(error, "sqlite_errorname", "")
        if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
            return NotYet(f"{self._path} is locked")
        if name == "SQLITE_NOTADB":
            return BootstrapError(
                f"{self._path} is not a SQLite file; look at OVERMIND_SQLITE_PATH"
            )
        return BootstrapError(f"{self._path} cannot be prepared: {error}")
