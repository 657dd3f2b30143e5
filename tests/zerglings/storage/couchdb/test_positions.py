"""Tests for feed positions of a database that was replaced by another of the same name."""

from __future__ import annotations

import pytest

from tests.support.backends import couchdb_backend
from tests.support.site import CouchDBServer
from zerglings.storage.base import UnknownPosition
from zerglings.storage.couchdb import positions as module
from zerglings.storage.couchdb.database import Database
from zerglings.storage.couchdb.positions import Positions

TIMEOUT = 5.0


class Renewed(Database):
    """A database of CouchDB 3.4, which reports its creation time, unlike the peer."""

    since = "1700000000"

    def is_modern(self, timeout: float) -> bool:
        return True

    def ask(self, *arguments: object, **options: object) -> dict[str, object]:
        answer = super().ask(*arguments, **options)  # type: ignore[arg-type]  # passed on
        return answer | {"instance_start_time": self.since}


def test_a_recreated_database_rejects_positions_of_the_old_one(
    couchdb: CouchDBServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    with couchdb_backend(couchdb) as backend:
        client = couchdb.client()
        database = Renewed(client, backend.environment["COUCHDB_DATABASE"])
        positions = Positions(database)
        place = positions.sign("5-abc", TIMEOUT)
        database.since = "1700000001"
        assert positions.verify(place, TIMEOUT) == "5-abc", "it is not asked every time"
        monkeypatch.setattr(module, "KEY_SECONDS", 0.0)
        with pytest.raises(UnknownPosition):
            positions.verify(place, TIMEOUT)
        client.close()
