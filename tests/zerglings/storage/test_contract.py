"""The store contract: one suite, run over every backend."""

from __future__ import annotations

import threading
import uuid
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.support.backends import Backend
from zerglings.storage.base import Conflict, Document, DocumentMissing, Store

SOON = 5.0


def put(store: Store, **fields: object) -> Document:
    document: Document = {"_id": str(uuid.uuid4()), **fields}
    return document | {"_rev": store.put(document, timeout=SOON)}


def test_what_was_put_is_got_with_its_revision(store: Store) -> None:
    document = put(
        store, name="ж", numbers=[1, -(2**53) + 1, 2**53 - 1], nothing=None, nested={"a": {}}
    )
    assert store.get(document["_id"], timeout=SOON) == document


def test_a_document_that_was_never_put_is_missing(store: Store) -> None:
    with pytest.raises(DocumentMissing):
        store.get(str(uuid.uuid4()), timeout=SOON)


@pytest.mark.parametrize("name", ["a/b", "a b", "ä?x=1", "%2e%2e", "a#b", "x" * 200])
def test_any_id_is_one_document(store: Store, name: str) -> None:
    put(store, _id=name, mine=True)
    assert store.get(name, timeout=SOON)["mine"] is True


def test_each_write_gives_another_revision(store: Store) -> None:
    document = put(store, n=1)
    second = store.put(document | {"n": 2}, timeout=SOON)
    assert second != document["_rev"]
    assert second.startswith("2-")
    assert store.get(document["_id"], timeout=SOON) == document | {"n": 2, "_rev": second}


def test_a_document_is_created_only_once(store: Store) -> None:
    document = put(store, n=1)
    with pytest.raises(Conflict):
        store.put({"_id": document["_id"], "n": 2}, timeout=SOON)
    assert store.get(document["_id"], timeout=SOON)["n"] == 1


def test_a_write_with_an_old_revision_changes_nothing(store: Store) -> None:
    document = put(store, n=1)
    second = store.put(document | {"n": 2}, timeout=SOON)
    with pytest.raises(Conflict):
        store.put(document | {"n": 3}, timeout=SOON)
    assert store.get(document["_id"], timeout=SOON)["_rev"] == second


def test_of_many_writers_with_one_revision_one_succeeds(store: Store) -> None:
    document = put(store, writer=None)
    barrier = threading.Barrier(8)

    def write(writer: int) -> bool:
        barrier.wait()
        try:
            store.put(document | {"writer": writer}, timeout=SOON)
        except Conflict:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        successes = list(pool.map(write, range(8)))
    assert successes.count(True) == 1
    assert store.get(document["_id"], timeout=SOON)["writer"] == successes.index(True)


def test_pages_give_every_document_once_in_the_byte_order_of_ids(store: Store) -> None:
    ids = ["0", "0a", "5", "A", "Z", "a", "a0", "aB", "ab", "z", "~", "é"]
    for document_id in reversed(ids):
        put(store, _id=document_id)
    for limit in (1, 2, 5, len(ids), 1000):
        seen, after, pages = [], None, 0
        while True:
            page = store.page(after, limit, timeout=SOON)
            assert len(page.documents) <= limit
            seen += [document["_id"] for document in page.documents]
            after, pages = page.after, pages + 1
            if after is None:
                break
        assert seen == ids
        assert pages <= len(ids) // limit + 1


def test_a_page_may_begin_after_a_document_that_is_not_there(store: Store) -> None:
    put(store, _id="a")
    put(store, _id="c")
    assert [d["_id"] for d in store.page("b", 10, timeout=SOON).documents] == ["c"]
    assert store.page("c", 10, timeout=SOON).documents == []


def test_documents_of_a_page_are_whole(store: Store) -> None:
    document = put(store, n=[1, 2])
    assert store.page(None, 10, timeout=SOON).documents == [document]


def test_the_stores_own_documents_are_left_out(store: Store) -> None:
    for document_id in ("5", "_design/d", "a"):
        put(store, _id=document_id)
    assert [d["_id"] for d in store.page(None, 10, timeout=SOON).documents] == ["5", "a"]


def test_a_bootstrapped_store_answers_and_is_ready(store: Store) -> None:
    store.ping(timeout=SOON)
    store.check_ready(timeout=SOON)


def test_what_one_opened_store_wrote_another_one_reads(backend: Backend) -> None:
    one, other = backend.open(), backend.open()
    document = put(one, n=1)
    other.put(document | {"n": 2}, timeout=SOON)
    assert one.get(document["_id"], timeout=SOON)["n"] == 2
    one.close()
    other.close()
