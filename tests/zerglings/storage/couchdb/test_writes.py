"""Tests that size limits of CouchDB or a proxy stop no document that fits."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from types import SimpleNamespace

import pytest

from tests.support.documents import read
from tests.support.fault_proxy import FaultProxy
from tests.support.faults import Answer, Fault
from tests.support.limits import JSON, body_limit, document_limit, request_limit
from zerglings.documents import Document
from zerglings.storage.base import (
    OutcomeUnknown,
    Store,
    StoreUnavailable,
    TooLarge,
    WriteFailed,
    Written,
)
from zerglings.storage.couchdb import writes as couchdb_writes

TIMEOUT = 10.0
LIMIT = 2000
LIMITS = pytest.mark.parametrize("limit", [body_limit, request_limit, document_limit])


def document(size: int) -> Document:
    return {"_id": str(uuid.uuid4()), "v": "x" * size}


@LIMITS
@pytest.mark.parametrize("places", [(0,), (6,), (3, 4), (0, 1, 2, 3, 4, 5, 6)])
def test_only_too_large_documents_are_refused(
    store: Store, proxy: FaultProxy, limit: Callable[[int], Fault], places: tuple[int, ...]
) -> None:
    proxy.fault = limit(LIMIT)
    documents = [document(LIMIT if number in places else 10) for number in range(7)]
    results = store.put_many(documents, timeout=TIMEOUT)
    for number, (sent, result) in enumerate(zip(documents, results, strict=True)):
        if number in places:
            assert isinstance(result, TooLarge)
            assert result.document_id == sent["_id"]
        else:
            assert isinstance(result, Written)
            assert read(store, sent["_id"])["v"] == sent["v"]


@LIMITS
def test_a_single_document_that_is_too_large_is_refused(
    store: Store, proxy: FaultProxy, limit: Callable[[int], Fault]
) -> None:
    proxy.fault = limit(LIMIT)
    (result,) = store.put_many([document(LIMIT)], timeout=TIMEOUT)
    assert isinstance(result, TooLarge)


def test_a_too_large_document_named_by_the_server_costs_one_extra_request(
    store: Store, proxy: FaultProxy
) -> None:
    proxy.fault = document_limit(LIMIT)
    store.put_many([document(LIMIT if n == 20 else 10) for n in range(40)], timeout=TIMEOUT)
    assert [request.status for request in proxy.requests] == [413, 201]


def test_an_unknown_document_name_in_a_413_is_ignored(store: Store, proxy: FaultProxy) -> None:
    other = b'{"error":"document_too_large","reason":"somebody"}'
    proxy.fault = Fault(Answer(413, other, JSON), times=1)
    results = store.put_many([document(1) for _ in range(4)], timeout=TIMEOUT)
    assert all(isinstance(result, Written) for result in results)


def test_documents_that_fit_one_by_one_are_all_written(store: Store, proxy: FaultProxy) -> None:
    proxy.fault = body_limit(LIMIT)
    documents = [document(LIMIT // 2) for _ in range(10)]
    results = store.put_many(documents, timeout=TIMEOUT)
    assert all(isinstance(result, Written) for result in results)


def test_a_failed_part_does_not_change_the_outcomes_of_other_parts(
    store: Store, proxy: FaultProxy
) -> None:
    busy = Answer(503, b"<html>", {})
    proxy.faults = [Fault(Answer(413, b""), times=1), Fault(busy, times=1)]
    results = store.put_many([document(1) for _ in range(4)], timeout=TIMEOUT)
    assert [type(result) for result in results] == [OutcomeUnknown] * 2 + [Written] * 2


def test_documents_not_sent_before_the_deadline_are_not_written(
    store: Store, proxy: FaultProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    moments = iter([0.0, TIMEOUT / 2, TIMEOUT, TIMEOUT])  # the start, then before each part
    monkeypatch.setattr(couchdb_writes, "time", SimpleNamespace(monotonic=lambda: next(moments)))
    documents = [document(1) for _ in range(4)]
    proxy.fault = Fault(Answer(413, b""), times=1)
    results = store.put_many(documents, timeout=TIMEOUT)
    assert [type(result) for result in results] == [Written] * 2 + [StoreUnavailable] * 2
    assert len(store.get_many([each["_id"] for each in documents], timeout=TIMEOUT)) == 2


def test_ids_beyond_the_request_size_limit_are_read_in_parts(
    store: Store, proxy: FaultProxy
) -> None:
    documents = [document(1) for _ in range(40)]
    store.put_many(documents, timeout=TIMEOUT)
    proxy.fault = body_limit(1000)
    found = store.get_many([each["_id"] for each in documents], timeout=TIMEOUT)
    assert len(found) == 40


def test_a_bulk_error_with_rows_reports_each_document_separately(
    store: Store, proxy: FaultProxy
) -> None:
    first, second = document(1), document(1)
    rows = (
        f'[{{"ok":true,"id":"{first["_id"]}","rev":"1-a"}},'
        f'{{"id":"{second["_id"]}","error":"error","reason":"internal_server_error"}}]'
    )
    proxy.fault = Fault(Answer(500, rows.encode(), JSON))
    results = store.put_many([first, second], timeout=TIMEOUT)
    assert [type(result) for result in results] == [Written, WriteFailed]
