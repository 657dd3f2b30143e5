"""Tests for conflicting leaves, which are created in CouchDB directly, not with the store."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
import requests

from tests.support.backends import Backend
from tests.support.documents import SOON, leaves, read, write
from tests.support.fault_proxy import FaultProxy
from tests.support.faults import Answer, Delay, Fault
from tests.support.site import CouchDBServer
from zerglings.documents import MERGED, Document
from zerglings.storage.base import (
    AccountRefused,
    MergedAway,
    OutcomeUnknown,
    StoreUnavailable,
    WriteFailed,
    Written,
)
from zerglings.storage.couchdb.client import CouchDBClient
from zerglings.storage.couchdb.leaves import MAX_DELETED_LEAVES
from zerglings.storage.couchdb.store import CouchDBStore, purge_batches

JSON = {"Content-Type": "application/json"}
WELCOME = Answer(200, b'{"couchdb":"Welcome","version":"3.4.3"}', JSON)


@pytest.fixture
def client(couchdb: CouchDBServer) -> Iterator[CouchDBClient]:
    client = couchdb.client()
    yield client
    client.close()


@pytest.fixture
def is_couchdb_2(client: CouchDBClient) -> bool:
    welcome = client.request("GET", [], timeout=SOON)
    return welcome.get("couchdb") == "Welcome" and not welcome["version"].startswith("1.")


class Rivals:
    """Adds leaves as other nodes of a cluster would."""

    def __init__(self, client: CouchDBClient, couch: Backend) -> None:
        self._client = client
        self._database = couch.environment["COUCHDB_DATABASE"]

    def add(self, *documents: Document) -> None:
        body = {"new_edits": False, "docs": documents}
        self._client.request("POST", [self._database, "_bulk_docs"], timeout=SOON, body=body)

    def shown(self, document_id: str) -> list[dict[str, Any]]:
        path = [self._database, document_id]
        rows = self._client.request("GET", path, timeout=SOON, params={"open_revs": "all"})
        return [row["ok"] for row in rows]


@pytest.fixture
def rivals(client: CouchDBClient, couch: Backend) -> Rivals:
    return Rivals(client, couch)


def leaf(document_id: str, generation: int, digit: str, **fields: object) -> Document:
    return {"_id": document_id, "_rev": f"{generation}-{digit * 32}", **fields}


def line(document_id: str, digits: str, **fields: object) -> Document:
    """Return a revision with its ancestors: each digit is one of them, the oldest first."""
    ids = [digit * 32 for digit in reversed(digits)]
    revisions = {"start": len(ids), "ids": ids}
    return leaf(document_id, len(ids), digits[-1], _revisions=revisions, **fields)


def deleted(document_id: str, count: int) -> list[Document]:
    return [
        {"_id": document_id, "_rev": f"1-{n:032x}", "_deleted": True} for n in range(1, count + 1)
    ]


@pytest.mark.parametrize("all_copies", [False, True])
@pytest.mark.parametrize("crowd", [0, MAX_DELETED_LEAVES + 1])
def test_all_living_leaves_are_returned_with_the_winner_first(
    store: CouchDBStore, rivals: Rivals, all_copies: bool, crowd: int
) -> None:
    three = [leaf("a", 1, "0", n=3), leaf("a", 1, "9", n=2), leaf("a", 1, "a", n=1)]
    rivals.add(*three, leaf("a", 1, "f", _deleted=True), *deleted("a", crowd), leaf("b", 1, "a"))
    for _ in range(2):  # the second time it is known how crowded the document is
        found = store.get_many(["b", "a"], timeout=SOON, all_copies=all_copies)
        assert found == {"a": three[::-1], "b": [leaf("b", 1, "a")]}
    assert [d["_rev"] for d in store.page(None, 9, timeout=SOON).documents] == [
        three[2]["_rev"],
        leaf("b", 1, "a")["_rev"],
    ]


@pytest.mark.parametrize("all_copies", [False, True])
@pytest.mark.parametrize("crowd", [0, MAX_DELETED_LEAVES + 1])
def test_a_document_whose_leaves_were_all_merged_awaits_the_merged_leaf(
    store: CouchDBStore, rivals: Rivals, all_copies: bool, crowd: int
) -> None:
    merged = {"_deleted": True, MERGED: True}
    rivals.add(leaf("merged", 1, "a", **merged), *(d | merged for d in deleted("merged", crowd)))
    rivals.add(leaf("deleted", 2, "a", _deleted=True), leaf("deleted", 2, "b", **merged))
    rivals.add(leaf("living", 2, "a"), leaf("living", 2, "b", **merged))
    ids = ["merged", "deleted", "living"]
    for _ in range(2):  # the second time it is known how crowded the document is
        found = store.get_many(ids, timeout=SOON, all_copies=all_copies)
        assert found == {"merged": [], "deleted": [], "living": [leaf("living", 2, "a")]}
        assert [id_ for id_ in ids if isinstance(found[id_], MergedAway)] == ["merged"]


# --- what a document held before its leaves were merged


GONE = {"_deleted": True, MERGED: True}


def test_the_last_states_are_the_newest_revisions_that_are_still_here(
    store: CouchDBStore, rivals: Rivals
) -> None:
    for stored in ("1", "12", "1abc", "1f"):
        rivals.add(line("a", stored, n=stored))
    for gone in ("12345", "1abcd", "1f6", "1789"):  # of the last only the common ancestor came
        rivals.add(line("a", gone, **GONE))
    states = store.last_states("a", timeout=SOON)
    assert states == [
        leaf("a", 4, "c", n="1abc"),
        leaf("a", 2, "f", n="1f"),
        leaf("a", 2, "2", n="12"),
        leaf("a", 1, "1", n="1"),
    ]


def test_a_document_that_is_not_merged_away_has_its_leaves_as_last_states(
    store: CouchDBStore, rivals: Rivals
) -> None:
    rivals.add(line("living", "12"), line("living", "13", **GONE), line("living", "14"))
    rivals.add(line("deleted", "1"), line("deleted", "12", _deleted=True))
    rivals.add(line("deleted", "13"), line("deleted", "134", **GONE))
    for document_id in ("living", "deleted", "never stored"):
        expected = leaves(store, document_id) or []
        assert store.last_states(document_id, timeout=SOON) == expected


def test_a_deletion_is_no_last_state(store: CouchDBStore, rivals: Rivals) -> None:
    rivals.add(line("a", "1"), line("a", "12", _deleted=True), line("a", "123", **GONE))
    assert isinstance(leaves(store, "a"), MergedAway)
    assert store.last_states("a", timeout=SOON) == []


def test_the_last_states_are_found_among_many_ancestors(
    store: CouchDBStore, rivals: Rivals, couch: Backend, is_couchdb_2: bool
) -> None:
    """CouchDB refuses a URL that names more than 170 of them."""
    if is_couchdb_2:
        database = couch.environment["COUCHDB_DATABASE"]
        couch.server.ask("PUT", database, "_revs_limit", body=1000)
    ids = [f"{number:032x}" for number in range(500, 0, -1)]
    rivals.add({"_id": "a", "_rev": f"1-{ids[-1]}"})
    revisions = {"start": 500, "ids": ids}
    rivals.add({"_id": "a", "_rev": f"500-{ids[0]}", "_revisions": revisions} | GONE)
    assert store.last_states("a", timeout=SOON) == [{"_id": "a", "_rev": f"1-{ids[-1]}"}]


def test_the_timeout_limits_all_requests_for_the_last_states_together(
    store: CouchDBStore, rivals: Rivals, proxy: FaultProxy
) -> None:
    rivals.add(line("a", "1"), line("a", "12", **GONE))
    proxy.fault = Fault(Delay(0.3))
    with pytest.raises(StoreUnavailable):
        store.last_states("a", timeout=0.5)
    assert len(store.last_states("a", timeout=SOON)) == 1


def test_generations_are_compared_as_numbers_and_extra_fields_removed(
    store: CouchDBStore, proxy: FaultProxy
) -> None:
    leaves_shown = [
        {"ok": leaf("a", 9, "f", n=2)},
        {"missing": "1-a"},
        {"ok": leaf("a", 11, "f", _deleted=True)},
        {"ok": leaf("a", 10, "0", n=1, _revisions={}, _attachments={})},
    ]
    proxy.fault = Fault(Answer(200, json.dumps(leaves_shown).encode(), JSON))
    assert leaves(store, "a", all_copies=True) == [leaf("a", 10, "0", n=1), leaf("a", 9, "f", n=2)]


def test_one_leaf_can_be_updated_and_another_deleted(store: CouchDBStore, rivals: Rivals) -> None:
    winner, loser = leaf("a", 1, "b", n=1), leaf("a", 1, "a", n=2)
    rivals.add(winner, loser)
    revision = write(store, winner | {"n": 3})
    assert [found["n"] for found in leaves(store, "a") or []] == [3, 2]
    deletions = [{"_id": "a", "_rev": loser["_rev"], "_deleted": True}, {"_id": "other"}]
    assert [type(result) for result in store.put_many(deletions, timeout=SOON)] == [Written] * 2
    assert leaves(store, "a") == [{"_id": "a", "_rev": revision, "n": 3}]
    assert leaves(store, "a", all_copies=True) == leaves(store, "a")


def test_deleting_the_last_leaf_deletes_the_document(store: CouchDBStore, rivals: Rivals) -> None:
    both = [leaf("a", 1, "a"), leaf("a", 1, "b")]
    rivals.add(*both)
    for one in both:
        assert leaves(store, "a")
        write(store, one | {"_deleted": True})
    assert leaves(store, "a") == []
    assert leaves(store, "a", all_copies=True) == []


def test_a_crowded_document_is_not_read_in_bulk_again(
    store: CouchDBStore, rivals: Rivals, proxy: FaultProxy, is_couchdb_2: bool
) -> None:
    rivals.add(
        *deleted("a", MAX_DELETED_LEAVES + 1),
        leaf("a", 2, "a"),
        *deleted("b", MAX_DELETED_LEAVES),
        leaf("b", 2, "a"),
    )
    for _ in range(3):
        assert set(store.get_many(["a", "b"], timeout=SOON)) == {"a", "b"}
    asked = [request.path.split("?")[0].rpartition("/")[2] for request in proxy.requests]
    bulk, listed = "_bulk_get", "_all_docs"
    assert asked == ["", bulk, *[bulk, listed] * 2] if is_couchdb_2 else ["", *[listed] * 3]


def test_a_server_without_bulk_reads_is_read_document_by_document(
    store: CouchDBStore, proxy: FaultProxy
) -> None:
    revision = write(store, {"_id": "a"})
    proxy.faults = [
        Fault(WELCOME, lambda _, path: path == "/"),
        Fault(Answer(405, b"", JSON), lambda _, path: path.endswith("_bulk_get")),
    ]
    for _ in range(2):
        assert leaves(store, "a") == [{"_id": "a", "_rev": revision}]
    asked = [request.path for request in proxy.requests]
    assert sum(path.endswith("_bulk_get") for path in asked) == 1


@pytest.mark.parametrize("body", [b'{"hello":"world"}', b"[]"])
def test_another_service_on_the_port_is_not_cached_as_the_server(
    store: CouchDBStore, proxy: FaultProxy, body: bytes
) -> None:
    proxy.fault = Fault(Answer(200, body, JSON), times=1)
    with pytest.raises(StoreUnavailable, match="not CouchDB's"):
        leaves(store, "a")
    assert leaves(store, "a") is None


# --- what a cluster says of writes


ROWS = (
    b'[{"id":"d","error":"forbidden","reason":"x"},'
    b'{"ok":true,"id":"b","rev":"1-b","accepted":true},{"id":"a","rev":"1-a"},'
    b'{"id":"c","error":"internal_server_error","reason":"x"},{"id":"f","error":"unauthorized"}]'
)


def test_each_document_gets_the_row_of_its_id(store: CouchDBStore, proxy: FaultProxy) -> None:
    proxy.fault = Fault(Answer(202, ROWS, JSON))
    results = store.put_many([{"_id": key} for key in "abcdef"], timeout=SOON)
    assert results[:2] == [Written("1-a"), Written("1-b", is_minority=True)]
    assert [type(result) for result in results[2:]] == [
        WriteFailed,
        AccountRefused,
        OutcomeUnknown,
        AccountRefused,
    ]


@pytest.mark.parametrize(("status", "is_minority"), [(201, False), (202, True)])
def test_a_single_write_detects_a_minority_by_the_status(
    store: CouchDBStore, proxy: FaultProxy, status: int, is_minority: bool
) -> None:
    proxy.fault = Fault(Answer(status, b'{"ok":true,"id":"a","rev":"1-a"}', JSON))
    result = store.put_many([{"_id": "a"}], timeout=SOON)
    assert result == [Written("1-a", is_minority=is_minority)]


@pytest.mark.parametrize(("connected", "is_whole"), [("a, b, c", True), ("a, c", False)])
def test_a_cluster_is_complete_when_all_nodes_are_connected(
    store: CouchDBStore, proxy: FaultProxy, connected: str, is_whole: bool
) -> None:
    members = {"all_nodes": connected.split(", "), "cluster_nodes": ["a", "b", "c"]}
    membership = Answer(200, json.dumps(members).encode(), JSON)
    proxy.faults = [
        Fault(WELCOME, lambda _, path: path == "/"),
        Fault(membership, lambda _, path: path == "/_membership"),
    ]
    assert store.all_nodes_connected(timeout=SOON) is is_whole


# --- documents that cannot be read


def test_an_unreadable_document_does_not_hide_the_others(
    store: CouchDBStore,
    couchdb: CouchDBServer,
    couch: Backend,
    caplog: pytest.LogCaptureFixture,
) -> None:
    ids = [f"{n}" for n in range(7)]
    store.put_many([{"_id": key} for key in ids], timeout=SOON)
    put_deep(couchdb, couch, "3a")
    page = store.page(None, 8, timeout=SOON)
    assert [document["_id"] for document in page.documents] == ids
    assert page.after is None
    assert list(store.get_many([*ids, "3a"], timeout=SOON)) == ids
    assert store.get_many(["3a"], timeout=SOON, all_copies=True) == {}
    assert "'3a'" in caplog.text


def put_deep(server: CouchDBServer, couch: Backend, document_id: str) -> None:
    """Store a deeply nested document, which the service could not write."""
    depth = 1100
    requests.put(
        f"{server.url}/{couch.environment['COUCHDB_DATABASE']}/{document_id}",
        data=b'{"x":' + b"[" * depth + b"]" * depth + b"}",
        headers=JSON,
        auth=(server.username, server.password),
        timeout=SOON,
    ).raise_for_status()


# --- forgetting


def test_deleted_leaves_beside_living_ones_are_purged(
    store: CouchDBStore, rivals: Rivals, is_couchdb_2: bool
) -> None:
    if not is_couchdb_2:
        pytest.skip("this server has no _purge or one of its own")
    rivals.add(*deleted("a", 1001), leaf("a", 2, "a"), *deleted("b", 2), leaf("c", 1, "c"))
    assert store.forget_deleted_leaves(["a", "b", "c", "none"], timeout=SOON * 2) == 1001
    assert [shown["_rev"] for shown in rivals.shown("a")] == [leaf("a", 2, "a")["_rev"]]
    assert len(rivals.shown("b")) == 2, "it stays deleted"
    assert store.forget_deleted_leaves(["a", "b", "c"], timeout=SOON) == 0


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (404, StoreUnavailable),
        (405, StoreUnavailable),
        (501, StoreUnavailable),
        (403, AccountRefused),
    ],
)
def test_a_refused_purge_is_reported(
    store: CouchDBStore,
    rivals: Rivals,
    proxy: FaultProxy,
    status: int,
    error: type[StoreUnavailable],
) -> None:
    rivals.add(*deleted("a", 1), leaf("a", 2, "a"))
    refusal = Answer(status, b'{"error":"x","reason":"missing"}', JSON)
    proxy.fault = Fault(refusal, lambda _, path: path.endswith("/_purge"))
    with pytest.raises(error, match="purge") as caught:
        store.forget_deleted_leaves(["a"], timeout=SOON)
    assert type(caught.value) is error


def test_a_purge_refused_for_missing_admin_rights_does_not_block_the_account(
    store: CouchDBStore, rivals: Rivals, proxy: FaultProxy
) -> None:
    rivals.add(*deleted("a", 1), leaf("a", 2, "a"))
    refusal = b'{"error":"unauthorized","reason":"You are not a server admin."}'
    proxy.fault = Fault(Answer(401, refusal, JSON), lambda _, path: path.endswith("/_purge"))
    with pytest.raises(AccountRefused, match="server admin"):
        store.forget_deleted_leaves(["a"], timeout=SOON)
    assert read(store, "a")


def test_purge_batches_keep_to_the_limits_of_couchdb() -> None:
    revisions = [(f"{n}", f"1-{m}") for n in range(150) for m in range(30)]
    revisions += [("a", f"1-{m}") for m in range(2500)]
    batches = list(purge_batches(revisions))
    assert [(key, one) for batch in batches for key in batch for one in batch[key]] == revisions
    for batch in batches:
        assert len(batch) <= 100
        assert sum(map(len, batch.values())) <= 1000
    assert len(list(purge_batches([(f"{n}", "1-a") for n in range(201)]))) == 3
