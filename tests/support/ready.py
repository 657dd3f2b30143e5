"""Asserts that a bootstrap has left an installation on CouchDB ready for the service."""

from __future__ import annotations

import pytest

from tests.support.fault_proxy import FaultProxy
from tests.support.site import Site
from zerglings.storage.base import StoreError
from zerglings.storage.bootstrap.plan import STEPS
from zerglings.storage.couchdb.client import CouchDBClient
from zerglings.storage.couchdb.store import ROLE, CouchDBStore, security_drift

ALL_OK = [f"{step.name} ok ok" for step in STEPS]


def without_warnings(lines: list[str]) -> list[str]:
    """Leave out warnings, such as the peer's about the revision limit, which it does not have."""
    return [line for line in lines if " warning " not in line]


def assert_ready(site: Site) -> None:
    """Assert that only the service's account can use the site and a second run writes nothing."""
    with FaultProxy(site.server.host, site.server.port) as proxy:
        behind = site.through(proxy.url)
        assert without_warnings(behind.bootstrap()) == ALL_OK
        assert {request.method for request in proxy.requests} == {"GET"}
    client = CouchDBClient(site.server.url, site.account(site.username, site.password))
    store = CouchDBStore(client, site.database)
    store.check_ready(timeout=5)
    assert store.page(None, 9, timeout=5).documents == [], "the test documents are removed"
    client.close()
    nobody = CouchDBClient(site.server.url, site.account("", ""))
    for name in site.databases:
        assert security_drift(site.server.ask("GET", name, "_security")) is None
        with pytest.raises(StoreError):
            CouchDBStore(nobody, name).page(None, 1, timeout=5)
    nobody.close()
    assert site.user()["roles"].count(ROLE) == 1
