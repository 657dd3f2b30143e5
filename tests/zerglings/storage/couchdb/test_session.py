"""Tests for which connections to CouchDB are kept and which are closed."""

from __future__ import annotations

import socket
import threading
import uuid

import pytest

from tests.support.fault_proxy import FaultProxy
from tests.support.faults import Fault, Hang
from zerglings.storage.base import Store, StoreUnavailable
from zerglings.storage.couchdb.account import Account
from zerglings.storage.couchdb.client import CouchDBClient
from zerglings.storage.couchdb.lookup import addresses_of
from zerglings.storage.couchdb.session import KEEP_ALIVE, _DirectAdapter
from zerglings.storage.couchdb.store import CouchDBStore


def read(store: Store, timeout: float = 2.0) -> None:
    store.get_many([str(uuid.uuid4())], timeout=timeout)


def test_a_dead_connection_closes_the_pooled_connections(store: Store, proxy: FaultProxy) -> None:
    read(store)
    release = threading.Event()
    proxy.fault = Fault(Hang(release, forward=True))
    at_once = [threading.Thread(target=read, args=(store, 10.0)) for _ in range(4)]
    for each in at_once:  # so that there are several connections
        each.start()
    release.set()
    for each in at_once:
        each.join()
    proxy.fault = None
    proxy.forsake()
    with pytest.raises(StoreUnavailable, match="no answer in time"):
        read(store, 0.3)
    for _ in range(8):
        read(store)


def test_connections_use_tcp_keep_alive(proxy: FaultProxy) -> None:
    adapter = _DirectAdapter()
    connection = adapter.poolmanager.connection_from_url(proxy.url)._get_conn(timeout=1.0)
    connection.timeout = 1.0
    connection.connect()
    assert isinstance(connection.sock, socket.socket)
    options = [connection.sock.getsockopt(level, name) for level, name, _ in KEEP_ALIVE]
    connection.close()
    adapter.close()
    assert options == [value for *_, value in KEEP_ALIVE]


def test_a_host_is_reached_at_the_address_that_answers(
    proxy: FaultProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "zerglings.storage.couchdb.session.addresses_of",
        lambda host, timeout: ["127.0.0.3", "127.0.0.1"],
    )
    client = CouchDBClient(f"http://couchdb.test:{proxy.port}", Account("", str))
    with pytest.raises(StoreUnavailable, match="bootstrap_couch"):
        CouchDBStore(client, "overmind-test-none").check_ready(timeout=2.0)
    assert proxy.requests
    client.close()


def test_host_names_are_resolved_and_addresses_returned_unchanged() -> None:
    assert "127.0.0.1" in addresses_of("localhost", timeout=1.0)
    assert addresses_of("127.0.0.1", timeout=1.0) == ["127.0.0.1"]
    assert addresses_of("::1", timeout=1.0) == ["::1"]
    with pytest.raises(socket.gaierror):
        addresses_of("a..b", timeout=1.0)
