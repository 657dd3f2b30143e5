"""Tests that the connections to other regions are closed after use."""

from __future__ import annotations

from contextlib import suppress

import pytest
from pytest_django import Settings

from tests.support.backends import Backend
from tests.support.client import settings_of
from tests.support.fault_proxy import FaultProxy
from tests.support.waiting import wait_until
from zerglings.secret import Secret
from zerglings.storage import open_exchanges, require_listed_peers
from zerglings.storage.base import StoreUnavailable


@pytest.fixture(autouse=True)
def configured(couch: Backend, proxy: FaultProxy, settings: Settings) -> None:
    """Connections of both kinds lead over the proxy."""
    password = Secret("COUCHDB_PASSWORD", couch.environment["COUCHDB_PASSWORD"])
    configured = settings_of(couch.through(proxy.url)) | {
        "COUCHDB_ADMIN_USERNAME": couch.environment["COUCHDB_USERNAME"],
        "COUCHDB_ADMIN_PASSWORD": password,
        "COUCHDB_PEERS": {"east": proxy.url},
        "COUCHDB_PEERS_USERNAME": couch.environment["COUCHDB_USERNAME"],
        "COUCHDB_PEERS_PASSWORD": password,
    }
    for name, value in configured.items():
        setattr(settings, name, value)


def has_connections(proxy: FaultProxy) -> bool:
    assert proxy._listener is not None
    return bool(proxy._listener._sockets)


def test_the_connections_of_exchanges_are_closed_after_the_block(proxy: FaultProxy) -> None:
    with open_exchanges("zerglings", "history") as exchanges:
        assert len(exchanges) == 2, "one for each database"
        for exchange in exchanges:
            with suppress(StoreUnavailable):  # the npm server has no replication jobs
                exchange.fault()
        assert has_connections(proxy)
    wait_until(lambda: not has_connections(proxy), "all are closed")


def test_the_connection_that_looks_for_unlisted_peers_is_closed(proxy: FaultProxy) -> None:
    require_listed_peers()
    assert proxy.requests
    wait_until(lambda: not has_connections(proxy), "it is closed")
