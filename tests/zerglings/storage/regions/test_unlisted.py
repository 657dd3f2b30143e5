"""Tests that documents in ``_replicator`` show regions that ``COUCHDB_PEERS`` does not list."""

from __future__ import annotations

from typing import Any

import pytest
from pytest_django import Settings

from tests.support.cluster import says
from tests.support.fault_proxy import FaultProxy
from tests.support.faults import Fault
from zerglings.secret import Secret
from zerglings.storage import require_listed_peers
from zerglings.storage.regions.exchange import PeerBehind

HERE = "http://localhost:5984/zerglings"
EAST = "https://couchdb.east.example/zerglings"
WEST = "http://west.example:5984/couch/zerglings"


@pytest.fixture(autouse=True)
def configured(proxy: FaultProxy, settings: Settings) -> None:
    settings.OVERMIND_STORE = "couchdb"
    settings.COUCHDB_DATABASE = "zerglings"
    settings.COUCHDB_URL = proxy.url
    settings.COUCHDB_ADMIN_PASSWORD = Secret("COUCHDB_ADMIN_PASSWORD", "relax")
    settings.COUCHDB_PEERS = {
        "east": EAST.removesuffix("/zerglings"),
        "west": WEST.removesuffix("/zerglings"),
    }


def replicate(proxy: FaultProxy, id_: str, source: object, target: object, **more: str) -> None:
    """Have the server say that its ``_replicator`` contains this document and CouchDB's own."""
    own: dict[str, Any] = {"_id": "_design/_replicator", "language": "javascript"}
    document = {"_id": id_, "source": source, "target": target, **more}
    rows = [{"id": each["_id"], "doc": each} for each in (own, document)]
    welcome = {"couchdb": "Welcome", "version": "3.5.2"}
    proxy.faults = [
        Fault(says(welcome), lambda _, path: path == "/"),
        Fault(says({"rows": rows}), lambda _, path: path.startswith("/_replicator/_all_docs")),
    ]


@pytest.mark.parametrize(
    ("source", "target"),
    [
        ("http://south.example:5984/zerglings", HERE),
        ({"url": "http://south.example:5984/zerglings/"}, {"url": HERE}),
        ("https://admin:hunter2@south.example/zerglings-history", f"{HERE}-history"),
        (HERE, "http://south.example:5984/zerglings"),
        ("http://south.example:5984/zerglings", "zerglings"),
        ("https://couchdb.east.example:6984/zerglings", HERE),
        ("http://west.example:5984/zerglings", HERE),
    ],
)
def test_an_operators_document_shows_an_unlisted_region(
    proxy: FaultProxy, source: object, target: object
) -> None:
    replicate(proxy, "by-hand", source, target)
    with pytest.raises(PeerBehind, match=r"does not list .*'by-hand'") as raised:
        require_listed_peers()
    assert "hunter2" not in str(raised.value)


@pytest.mark.parametrize(
    ("source", "target"),
    [
        (EAST, HERE),
        ("https://admin:relax@COUCHDB.east.example:443/zerglings/", {"url": HERE}),
        (HERE, WEST),
        (f"{WEST}-history", "http://127.0.0.1:5984/zerglings-history"),
        (HERE, "http://south.example:5984/zerglings-backup"),
        ("http://south.example:5984/others", "http://localhost:5984/others"),
        ("http://south.example:port/zerglings", HERE),
    ],
)
def test_an_operators_document_may_name_listed_regions_and_other_databases(
    proxy: FaultProxy, source: object, target: object
) -> None:
    replicate(proxy, "by-hand", source, target)
    require_listed_peers()
    assert any("/_replicator/_all_docs" in request.path for request in proxy.requests)


@pytest.mark.parametrize("state", ["completed", "failed"])
def test_a_replication_that_has_ended_is_no_region(proxy: FaultProxy, state: str) -> None:
    south = "http://south.example:5984/zerglings"
    replicate(proxy, "by-hand", south, HERE, _replication_state=state)
    require_listed_peers()
    replicate(proxy, "by-hand", south, HERE, _replication_state="error")
    with pytest.raises(PeerBehind):
        require_listed_peers()


def test_bootstraps_own_documents_are_known_by_their_names(proxy: FaultProxy) -> None:
    """The URL of a peer may have changed since they were written."""
    moved = "http://elsewhere.example/zerglings"
    replicate(proxy, "overmind:zerglings:east", moved, HERE)
    require_listed_peers()
    replicate(proxy, "overmind:zerglings-history:south", f"{EAST}-history", f"{HERE}-history")
    with pytest.raises(PeerBehind, match=r"does not list south$"):
        require_listed_peers()
