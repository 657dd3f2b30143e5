"""Which documents of a CouchDB database were changed: its ``_changes``."""

from __future__ import annotations

from zerglings.storage.base import Changes, NotBootstrapped, UnknownPosition
from zerglings.storage.couchdb.database import Database
from zerglings.storage.couchdb.positions import Positions
from zerglings.storage.polling import wait_for_changes


class ChangeReader:
    """Reads the changes of one database. Safe to use from many threads at once."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._positions = Positions(database)

    def read(self, since: str | None, limit: int, *, timeout: float, wait: float) -> Changes:
        """Return what ``Store.changes`` promises."""
        try:
            if since is None:
                return self._read("now", limit, timeout, 0.0)
            return self._read_on(self._positions.taken_back(since, timeout), limit, timeout, wait)
        except NotBootstrapped:
            self._positions.forget()
            raise

    def _read_on(self, seq: str, limit: int, timeout: float, wait: float) -> Changes:
        if self._database.is_modern(timeout):
            return self._read(seq, limit, timeout, wait)
        # Older ones count changes, and take a number that they have not come to for a later one.
        if int(seq) > self._newest(timeout):
            raise UnknownPosition("CouchDB has not come to this position")
        return wait_for_changes(lambda: self._read(seq, limit, timeout, 0.0), wait)

    def _read(self, seq: str, limit: int, timeout: float, wait: float) -> Changes:
        params = {
            "since": seq,
            "limit": str(limit),
            "feed": "longpoll" if wait else "normal",
            "timeout": str(int(wait * 1000)),
            # A position costs CouchDB more than a row; the last one is all that is wanted.
            "seq_interval": str(limit),
        }
        answer = self._database.ask(
            "GET", "_changes", timeout=timeout + wait, params=params, wanted="last_seq"
        )
        ids = [row["id"] for row in answer["results"] if not row["id"].startswith("_")]
        return Changes(ids, self._positions.given_out(str(answer["last_seq"]), timeout))

    def _newest(self, timeout: float) -> int:
        """Return the number of the last change, on servers that count them."""
        info = self._database.ask("GET", timeout=timeout, wanted="update_seq")
        return int(info["update_seq"])
