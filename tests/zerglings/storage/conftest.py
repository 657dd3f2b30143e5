"""Fixtures for tests of Apache CouchDB's own behaviour."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import pytest

from tests.support.apache import PASSWORD, Server
from tests.support.site import CouchDBServer, missing_is_fine


@pytest.fixture
def server(couchdb: CouchDBServer) -> Server:
    server = Server(couchdb)
    welcome = server.ask("GET", "").json()
    if welcome.get("couchdb") != "Welcome" or not welcome["version"].startswith("3."):
        pytest.skip("this server is not Apache CouchDB 3")
    return server


@pytest.fixture
def database(server: Server, couchdb: CouchDBServer) -> Iterator[str]:
    name = f"overmind-test-{uuid.uuid4().hex[:12]}"
    server.ask("PUT", name).raise_for_status()
    yield name
    with missing_is_fine():
        couchdb.ask("DELETE", name)


@pytest.fixture
def account(server: Server) -> Iterator[str]:
    """A new account with the password PASSWORD."""
    name = f"overmind-{uuid.uuid4().hex[:12]}"
    path = f"_users/org.couchdb.user:{name}"
    user = {"name": name, "password": PASSWORD, "roles": [], "type": "user"}
    server.ask("PUT", path, json=user).raise_for_status()
    yield name
    revision = server.ask("GET", path).json()["_rev"]
    server.ask("DELETE", path, params={"rev": revision}).raise_for_status()
