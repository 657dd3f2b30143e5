"""Tests for the connections to the CouchDBs of other regions."""

from __future__ import annotations

import time

import pytest
from pytest_django import Settings

from tests.support.cluster import says
from tests.support.fault_proxy import FaultProxy
from tests.support.faults import Fault
from zerglings.secret import Secret
from zerglings.storage import open_exchanges
from zerglings.storage.base import StoreUnavailable
from zerglings.storage.couchdb.client import CONNECT_TIMEOUT


def test_a_peer_has_more_time_to_accept_a_connection_than_the_store(
    proxy: FaultProxy, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("zerglings.storage.PEER_CONNECT_TIMEOUT", 2 * CONNECT_TIMEOUT)
    proxy.fault = Fault(says({"rows": []}))  # this region has no checkpoints
    settings.COUCHDB_URL = proxy.url
    settings.COUCHDB_PEERS_PASSWORD = Secret("COUCHDB_PEERS_PASSWORD", "migrate")
    with FaultProxy("127.0.0.1", 1) as silent:
        silent.swallow()
        settings.COUCHDB_PEERS = {"east": silent.url}
        began = time.monotonic()
        with open_exchanges("history") as exchanges, pytest.raises(StoreUnavailable):
            exchanges[0].fault()
        assert time.monotonic() - began > 1.5 * CONNECT_TIMEOUT
