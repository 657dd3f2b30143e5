"""Reads the change feed of a CouchDB database (``_changes``)."""

from __future__ import annotations

from zerglings.storage.base import Changes, NotBootstrapped, UnknownPosition
from zerglings.storage.couchdb.database import Database
from zerglings.storage.couchdb.positions import Positions
from zerglings.storage.polling import wait_for_changes


class ChangeReader:
    """Reads the changes of one database. May be used from many threads at once."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._positions = Positions(database)

    def read(self, since: str | None, limit: int, *, timeout: float, wait: float) -> Changes:
        """Implement ``Store.changes``."""
        try:
            if since is None:
                return self._read("now", limit, timeout, 0.0)
            return self._read_since(self._positions.verify(since, timeout), limit, timeout, wait)
        except NotBootstrapped:
            self._positions.forget()
            raise

    def _read_since(self, seq: str, limit: int, timeout: float, wait: float) -> Changes:
        if self._database.is_modern(timeout):
            return self._read(seq, limit, timeout, wait)
        # CouchDB 1.x numbers its changes, and accepts a number beyond the last one as a position.
        if int(seq) > self._last_seq(timeout):
            raise UnknownPosition("the position is ahead of CouchDB's last change")
        return wait_for_changes(lambda: self._read(seq, limit, timeout, 0.0), wait)

    def _read(self, seq: str, limit: int, timeout: float, wait: float) -> Changes:
        params = {
            "since": seq,
            "limit": str(limit),
            "feed": "longpoll" if wait else "normal",
            "timeout": str(int(wait * 1000)),
            # Computing a position is more expensive than a row, and only the last one is used.
            "seq_interval": str(limit),
        }
        answer = self._database.ask(
            "GET", "_changes", timeout=timeout + wait, params=params, required_key="last_seq"
        )
        ids = [row["id"] for row in answer["results"] if not row["id"].startswith("_")]
        return Changes(ids, self._positions.sign(str(answer["last_seq"]), timeout))

    def _last_seq(self, timeout: float) -> int:
        """Return the sequence number of the last change in CouchDB 1.x."""
        info = self._database.ask("GET", timeout=timeout, required_key="update_seq")
        return int(info["update_seq"])
