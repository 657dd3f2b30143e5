"""Fixtures: a CouchDB server, bootstrapped stores of both kinds, and the API over them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from django.test import Client
from hypothesis import HealthCheck
from hypothesis import settings as of_properties
from pytest_django import Settings

from tests.support.backends import Backend, couchdb_backend, sqlite_backend
from tests.support.client import ReadingClient, configured_anew, settings_of
from tests.support.fault_proxy import FaultProxy
from tests.support.peer import Peer
from tests.support.service import Service
from tests.support.site import CouchDBServer, Site, new_site
from zerglings.hive.hive import Hive
from zerglings.storage.base import Store

# A busy machine may be slow at a single example, which must not fail the test.
of_properties.register_profile(
    "any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
of_properties.load_profile("any machine")


@pytest.fixture(scope="session")
def couchdb(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CouchDBServer]:
    """The CouchDB in COUCHDB_TEST_URL (http://admin:password@host:port); by default the peer."""
    if url := os.environ.get("COUCHDB_TEST_URL"):
        yield CouchDBServer.at(url)
        return
    with Peer.start(tmp_path_factory.mktemp("peer"), admin=("admin", "relax")) as peer:
        yield CouchDBServer(peer.url, "admin", "relax")


@pytest.fixture
def sqlite(tmp_path: Path) -> Backend:
    return sqlite_backend(tmp_path)


@pytest.fixture
def couch(couchdb: CouchDBServer) -> Iterator[Backend]:
    with couchdb_backend(couchdb) as backend:
        yield backend


@pytest.fixture(params=["sqlite", "couch"])
def backend(request: pytest.FixtureRequest) -> Backend:
    """A bootstrapped, empty store; each test that uses it runs once per kind of store."""
    backend: Backend = request.getfixturevalue(request.param)
    return backend


@pytest.fixture
def store(backend: Backend) -> Iterator[Store]:
    store = backend.open()
    yield store
    store.close()


@pytest.fixture
def hive(store: Store) -> Hive:
    return Hive(store)


@pytest.fixture
def api(backend: Backend, settings: Settings) -> Iterator[Client]:
    """Django's test client for the whole API in this process, once per kind of store."""
    for name, value in settings_of(backend).items():
        setattr(settings, name, value)
    with configured_anew():
        yield ReadingClient()


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service on SQLite that all tests of a module share; they must not stop it."""
    directory = tmp_path_factory.mktemp("shared")
    with Service(sqlite_backend(directory).environment, directory) as service:
        yield service


@pytest.fixture(scope="module", params=["sqlite", "couch"])
def shared_service(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Service]:
    """The same, once per kind of store."""
    directory = tmp_path_factory.mktemp("shared")
    with ExitStack() as stack:
        if request.param == "sqlite":
            backend = sqlite_backend(directory)
        else:
            server = request.getfixturevalue("couchdb")
            backend = stack.enter_context(couchdb_backend(server))
        yield stack.enter_context(Service(backend.environment, directory))


@pytest.fixture
def service(backend: Backend, tmp_path: Path) -> Iterator[Service]:
    """A running service for one test, once per kind of store."""
    with Service(backend.environment, tmp_path) as service:
        yield service


@pytest.fixture
def site(couchdb: CouchDBServer) -> Iterator[Site]:
    """An installation on the CouchDB server that is not bootstrapped yet."""
    with new_site(couchdb) as site:
        yield site


@pytest.fixture
def proxy(couchdb: CouchDBServer) -> Iterator[FaultProxy]:
    """A fault proxy in front of the CouchDB server."""
    with FaultProxy(couchdb.host, couchdb.port) as proxy:
        yield proxy


@pytest.fixture
def party(tmp_path: Path) -> Iterator[Peer]:
    """A separate peer in admin-party mode: without an admin account, every client is an admin."""
    with Peer.start(tmp_path / "party") as peer:
        yield peer
