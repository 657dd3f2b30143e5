"""Tests for the store contract, run over every backend."""

from __future__ import annotations

import threading
import time
import uuid
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.support.backends import Backend
from tests.support.documents import SOON, leaves, read, write
from zerglings.documents import Document
from zerglings.storage.base import Conflict, Store, UnknownPosition, Written


def put(store: Store, **fields: object) -> Document:
    document: Document = {"_id": str(uuid.uuid4()), **fields}
    return document | {"_rev": write(store, document)}


def delete(store: Store, document: Document) -> str:
    return write(store, {"_id": document["_id"], "_rev": document["_rev"], "_deleted": True})


# --- reading and writing


def test_a_written_document_is_read_with_its_revision(store: Store) -> None:
    document = put(
        store, name="ж", numbers=[1, -(2**53) + 1, 2**53 - 1], nothing=None, nested={"a": {}}
    )
    assert leaves(store, document["_id"]) == [document]
    assert leaves(store, document["_id"], all_copies=True) == [document]


@pytest.mark.parametrize("all_copies", [False, True])
def test_a_document_that_was_never_stored_is_not_in_the_result(
    store: Store, all_copies: bool
) -> None:
    there = put(store)
    asked = [str(uuid.uuid4()), there["_id"]]
    found = store.get_many(asked, timeout=SOON, all_copies=all_copies)
    assert found == {there["_id"]: [there]}


def test_empty_requests_return_empty_results(store: Store) -> None:
    assert store.get_many([], timeout=SOON) == {}
    assert store.put_many([], timeout=SOON) == []


def test_a_repeated_id_returns_one_document(store: Store) -> None:
    document = put(store)
    assert store.get_many([document["_id"]] * 2, timeout=SOON) == {document["_id"]: [document]}


@pytest.mark.parametrize("name", ["a/b", "a b", "ä?x=1", "%2e%2e", "a#b", "x" * 200])
@pytest.mark.parametrize("all_copies", [False, True])
def test_ids_with_special_characters_are_read_back(
    store: Store, name: str, all_copies: bool
) -> None:
    document = put(store, _id=name, mine=True)
    assert leaves(store, name, all_copies=all_copies) == [document]


def test_each_write_creates_a_new_revision(store: Store) -> None:
    document = put(store, n=1)
    second = write(store, document | {"n": 2})
    assert second != document["_rev"]
    assert second.startswith("2-")
    assert read(store, document["_id"]) == document | {"n": 2, "_rev": second}


def test_a_document_is_created_only_once(store: Store) -> None:
    document = put(store, n=1)
    with pytest.raises(Conflict):
        write(store, {"_id": document["_id"], "n": 2})
    assert read(store, document["_id"])["n"] == 1


def test_a_write_with_an_old_revision_changes_nothing(store: Store) -> None:
    document = put(store, n=1)
    second = write(store, document | {"n": 2})
    with pytest.raises(Conflict):
        write(store, document | {"n": 3})
    assert read(store, document["_id"])["_rev"] == second


def test_a_write_on_a_single_node_is_not_a_minority_write(store: Store) -> None:
    for count in (1, 2):
        documents = [{"_id": str(uuid.uuid4())} for _ in range(count)]
        for result in store.put_many(documents, timeout=SOON):
            assert isinstance(result, Written)
            assert not result.is_minority


def test_only_one_of_concurrent_writers_of_a_revision_succeeds(store: Store) -> None:
    document = put(store, writer=None)
    barrier = threading.Barrier(8)

    def attempt(writer: int) -> bool:
        barrier.wait()
        try:
            write(store, document | {"writer": writer})
        except Conflict:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        successes = list(pool.map(attempt, range(8)))
    assert successes.count(True) == 1
    assert read(store, document["_id"])["writer"] == successes.index(True)


# --- many at once


def test_a_refused_document_does_not_affect_the_rest(store: Store) -> None:
    old, gone, there = put(store, n=1), put(store, n=1), put(store, n=1)
    write(store, old | {"n": 2})
    new: Document = {"_id": str(uuid.uuid4()), "n": 3}
    deletion = {"_id": gone["_id"], "_rev": gone["_rev"], "_deleted": True}
    writes = [new, old | {"n": 3}, {"_id": there["_id"], "n": 3}, deletion, there | {"n": 3}]
    results = store.put_many([*writes[:2], *writes[3:]], timeout=SOON)
    assert [type(result) for result in results] == [Written, Conflict, Written, Written]
    (refused, stored) = store.put_many([writes[2], {"_id": "other"}], timeout=SOON)
    assert isinstance(refused, Conflict)
    assert isinstance(stored, Written)
    found = store.get_many([document["_id"] for document in writes], timeout=SOON)
    assert [[leaf["n"] for leaf in found[key]] for key in (new["_id"], old["_id"])] == [[3], [2]]
    assert found[gone["_id"]] == []
    assert [leaf["n"] for leaf in found[there["_id"]]] == [3]


def test_results_come_in_the_order_of_the_documents(store: Store) -> None:
    documents: list[Document] = [{"_id": str(uuid.uuid4()), "n": n} for n in range(50)]
    results = store.put_many(documents, timeout=SOON)
    found = store.get_many([document["_id"] for document in documents], timeout=SOON)
    for document, result in zip(documents, results, strict=True):
        assert isinstance(result, Written)
        assert found[document["_id"]] == [document | {"_rev": result.revision}]


# --- deletion


@pytest.mark.parametrize("all_copies", [False, True])
def test_a_deleted_document_has_an_empty_list_of_leaves(store: Store, all_copies: bool) -> None:
    document = put(store, n=1)
    delete(store, document)
    assert leaves(store, document["_id"], all_copies=all_copies) == []
    assert store.page(None, 10, timeout=SOON).documents == []


def test_a_deletion_with_an_old_revision_deletes_nothing(store: Store) -> None:
    document = put(store, n=1)
    write(store, document | {"n": 2})
    with pytest.raises(Conflict):
        delete(store, document)
    assert read(store, document["_id"])["n"] == 2


def test_a_deleted_document_may_be_stored_again_once(store: Store) -> None:
    document = put(store, n=1)
    delete(store, document)
    revision = write(store, {"_id": document["_id"], "n": 2})
    assert leaves(store, document["_id"]) == [{"_id": document["_id"], "_rev": revision, "n": 2}]
    with pytest.raises(Conflict):
        write(store, {"_id": document["_id"], "n": 3})


def test_a_late_write_does_not_restore_a_deleted_document(store: Store) -> None:
    document = put(store, n=1)
    delete(store, document)
    with pytest.raises(Conflict):
        write(store, document | {"n": 2})
    assert leaves(store, document["_id"]) == []


# --- pages

IDS = ["0", "0a", "5", "A", "Z", "a", "a0", "aB", "ab", "z", "~", "é"]


def walk(
    store: Store, limit: int, *, descending: bool = False, until: str | None = None
) -> list[str]:
    seen: list[str] = []
    after, pages = None, 0
    while True:
        page = store.page(after, limit, timeout=SOON, until=until, descending=descending)
        assert len(page.documents) <= limit
        seen += [document["_id"] for document in page.documents]
        after, pages = page.after, pages + 1
        if after is None:
            assert pages <= len(IDS) // limit + 1
            return seen


@pytest.mark.parametrize("descending", [False, True])
def test_pages_contain_each_document_once_in_byte_order_of_ids(
    store: Store, descending: bool
) -> None:
    store.put_many([{"_id": document_id} for document_id in reversed(IDS)], timeout=SOON)
    wanted = IDS[::-1] if descending else IDS
    for limit in (1, 2, 5, len(IDS), 1000):
        assert walk(store, limit, descending=descending) == wanted
        for until in ("a", "aC"):
            cut = [key for key in wanted if (key > until if descending else key < until)]
            assert walk(store, limit, descending=descending, until=until) == cut


def test_a_page_may_start_after_an_id_that_does_not_exist(store: Store) -> None:
    put(store, _id="a")
    put(store, _id="c")
    assert [d["_id"] for d in store.page("b", 10, timeout=SOON).documents] == ["c"]
    assert store.page("c", 10, timeout=SOON).documents == []
    page = store.page("b", 10, timeout=SOON, descending=True)
    assert [d["_id"] for d in page.documents] == ["a"]


@pytest.mark.parametrize(("after", "until"), [("b", "b"), ("c", "b")])
def test_a_page_between_empty_bounds_is_empty(store: Store, after: str, until: str) -> None:
    put(store, _id="b")
    page = store.page(after, 10, timeout=SOON, until=until)
    assert (page.documents, page.after) == ([], None)
    page = store.page(until, 10, timeout=SOON, until=after, descending=True)
    assert (page.documents, page.after) == ([], None)


def test_pages_contain_complete_documents(store: Store) -> None:
    document = put(store, n=[1, 2])
    assert store.page(None, 10, timeout=SOON).documents == [document]


def test_design_documents_are_left_out_of_pages(store: Store) -> None:
    for document_id in ("5", "_design/d", "a"):
        put(store, _id=document_id)
    assert [d["_id"] for d in store.page(None, 10, timeout=SOON).documents] == ["5", "a"]


# --- what changed


def test_changes_contain_each_document_once(store: Store) -> None:
    start = store.changes(None, 10, timeout=SOON)
    assert start.ids == []
    one, other = put(store), put(store)
    write(store, one | {"n": 1})
    changes = store.changes(start.position, 10, timeout=SOON)
    assert sorted(changes.ids) == sorted([other["_id"], one["_id"]])
    assert store.changes(changes.position, 10, timeout=SOON).ids == []


def test_changes_can_be_read_in_parts(store: Store) -> None:
    position = store.changes(None, 10, timeout=SOON).position
    ids = {put(store)["_id"] for _ in range(5)}
    found = []
    while (changes := store.changes(position, 2, timeout=SOON)).ids:
        found.append(changes.ids)
        position = changes.position
    assert [len(part) for part in found] == [2, 2, 1]
    assert {id_ for part in found for id_ in part} == ids


def test_a_deletion_is_a_change(store: Store) -> None:
    document = put(store)
    position = store.changes(None, 10, timeout=SOON).position
    delete(store, document)
    assert store.changes(position, 10, timeout=SOON).ids == [document["_id"]]


def test_refused_writes_and_history_writes_are_not_changes(store: Store) -> None:
    document = put(store)
    position = store.changes(None, 10, timeout=SOON).position
    store.put_many([{"_id": document["_id"], "n": 1}], timeout=SOON)
    put(store.history)
    assert store.changes(position, 10, timeout=SOON).ids == []


def test_design_documents_are_left_out_of_changes(store: Store) -> None:
    position = store.changes(None, 10, timeout=SOON).position
    put(store, _id="_design/d")
    changes = store.changes(position, 10, timeout=SOON)
    assert changes.ids == []
    assert store.changes(changes.position, 10, timeout=SOON) == changes


def test_a_change_is_waited_for(backend: Backend) -> None:
    store, other = backend.open(), backend.open()
    position = store.changes(None, 10, timeout=SOON).position
    with ThreadPoolExecutor() as pool:
        waiting = pool.submit(store.changes, position, 10, timeout=SOON, wait=20)
        assert not waiting.done()
        document = put(other)
        assert waiting.result(10).ids == [document["_id"]]
    store.close()
    other.close()


def test_waiting_for_a_change_ends_at_the_limit(store: Store) -> None:
    position = store.changes(None, 10, timeout=SOON).position
    began = time.monotonic()
    assert store.changes(position, 10, timeout=SOON, wait=0.3).ids == []
    assert 0.25 < time.monotonic() - began < 5


@pytest.mark.parametrize("position", ["x", "", "-1", "²", "1 OR 1", "now", "1\n", "9" * 18])
def test_a_malformed_position_is_reported_as_unknown(store: Store, position: str) -> None:
    with pytest.raises(UnknownPosition):
        store.changes(position, 10, timeout=SOON)


def test_a_position_is_valid_for_every_opened_store(backend: Backend) -> None:
    one, other = backend.open(), backend.open()
    position = one.changes(None, 10, timeout=SOON).position
    document = put(one)
    assert other.changes(position, 10, timeout=SOON).ids == [document["_id"]]
    one.close()
    other.close()


def test_forged_positions_are_not_sent_to_couchdb(couch: Backend) -> None:
    """CouchDB keeps every new word of a forged position permanently."""
    store = couch.open()
    position = store.changes(None, 10, timeout=SOON).position
    place, _, code = position.rpartition(".")
    for made_up in (place, f"{place}.{'A' * len(code)}", f"1{place}.{code}", f"{place}x.{code}"):
        with pytest.raises(UnknownPosition):
            store.changes(made_up, 10, timeout=SOON)
    assert store.changes(position, 10, timeout=SOON).ids == []
    store.close()


# --- the store as a whole


def test_history_is_a_separate_store(store: Store) -> None:
    one, other = put(store, _id="both", n=1), put(store.history, _id="both", n=2)
    put(store.history, _id="old")
    assert leaves(store, "both") == [one]
    assert leaves(store.history, "both") == [other]
    assert leaves(store, "old") is None
    assert [d["_id"] for d in store.history.page(None, 9, timeout=SOON).documents] == [
        "both",
        "old",
    ]
    delete(store, one)
    assert leaves(store.history, "both") == [other]
    store.history.ping(timeout=SOON)
    store.history.check_ready(timeout=SOON)


def test_a_store_on_a_single_node_is_complete(store: Store) -> None:
    assert store.all_nodes_connected(timeout=SOON) is True


def test_a_bootstrapped_store_answers_and_is_ready(store: Store) -> None:
    store.ping(timeout=SOON)
    store.check_ready(timeout=SOON)


def test_a_document_written_by_one_opened_store_is_read_by_another(backend: Backend) -> None:
    one, other = backend.open(), backend.open()
    document = put(one, n=1)
    write(other, document | {"n": 2})
    assert read(one, document["_id"])["n"] == 2
    one.close()
    other.close()
