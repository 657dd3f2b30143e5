"""Tests that an older copy of a replication's source is recognised, on CouchDB's own replicator."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.apache import Server
from tests.support.site import CouchDBServer
from zerglings.storage.couchdb.database import Database
from zerglings.storage.regions.checkpoints import checkpoints, is_older_copy


class Replicated:
    """A source with documents, and a target that has them."""

    def __init__(self, server: Server, couchdb: CouchDBServer) -> None:
        self._server, self._url = server, couchdb.url
        client, name = couchdb.client(), f"overmind-test-{uuid.uuid4().hex[:12]}"
        self.source, self.target = Database(client, f"{name}-a"), Database(client, f"{name}-b")

    def create(self, database: Database) -> None:
        self._server.ask("PUT", database.name).raise_for_status()

    def remove(self, database: Database) -> None:
        self._server.ask("DELETE", database.name).raise_for_status()

    def fill(self) -> None:
        docs = [{"_id": f"{number}"} for number in range(20)]
        path = f"{self.source.name}/_bulk_docs"
        self._server.ask("POST", path, json={"docs": docs}).raise_for_status()

    def replicate(self) -> str:
        """Replicate once, and return the id of the checkpoints."""
        username, password = self._server.admin
        auth = {"basic": {"username": username, "password": password}}
        source, target = (
            {"url": f"{self._url}/{each.name}", "auth": auth} for each in (self.source, self.target)
        )
        body = {"source": source, "target": target}
        self._server.ask("POST", "_replicate", json=body).raise_for_status()
        (id_,) = checkpoints(self.source)
        return id_

    def store_older(self, id_: str) -> None:
        """Store the source's checkpoint as it was in 2020."""
        old = {"end_time": "Wed, 01 Jan 2020 00:00:00 GMT"}
        body: dict[str, Any] = {"session_id": "s", "source_last_seq": "1-x", "history": [old]}
        self._server.ask("PUT", f"{self.source.name}/{id_}", json=body).raise_for_status()


@pytest.fixture
def replicated(server: Server, couchdb: CouchDBServer) -> Iterator[Replicated]:
    replicated = Replicated(server, couchdb)
    for database in (replicated.source, replicated.target):
        replicated.create(database)
    replicated.fill()
    yield replicated
    for database in (replicated.source, replicated.target):
        replicated.remove(database)
    replicated.source.client.close()


def test_the_ends_of_a_replication_have_equal_checkpoints(replicated: Replicated) -> None:
    id_ = replicated.replicate()
    assert checkpoints(replicated.source) == checkpoints(replicated.target)
    assert checkpoints(replicated.source)[id_].written > 0
    assert not is_older_copy(replicated.source, replicated.target, id_)


def test_a_source_with_an_older_checkpoint_is_an_older_copy(replicated: Replicated) -> None:
    id_ = replicated.replicate()
    replicated.store_older(id_)
    assert is_older_copy(replicated.source, replicated.target, id_)


def test_a_source_that_was_created_again_is_not(replicated: Replicated) -> None:
    id_ = replicated.replicate()
    replicated.remove(replicated.source)
    replicated.create(replicated.source)
    replicated.fill()
    replicated.store_older(id_)
    assert not is_older_copy(replicated.source, replicated.target, id_)
