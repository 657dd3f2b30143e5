"""Fixture: the store on CouchDB, behind the fault proxy."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.backends import Backend
from tests.support.fault_proxy import FaultProxy
from zerglings.storage.couchdb.store import CouchDBStore


@pytest.fixture
def store(couch: Backend, proxy: FaultProxy) -> Iterator[CouchDBStore]:
    """A store whose requests go through the proxy."""
    store = couch.through(proxy.url).open()
    assert isinstance(store, CouchDBStore)
    yield store
    store.close()
