"""Tests that instrumentation does not change results and counts each call by outcome."""

from __future__ import annotations

import uuid

import pytest
from prometheus_client import REGISTRY

from tests.support.documents import SOON, read, write
from tests.support.faulty_store import FaultyStore, raising
from zerglings.documents import Document
from zerglings.storage import base
from zerglings.storage.base import Conflict, OutcomeUnknown, Store, StoreUnavailable
from zerglings.storage.instrumented import InstrumentedStore


def value(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(f"overmind_store_{name}", labels) or 0.0


def calls(operation: str, outcome: str = "ok", part: str = "zerglings") -> float:
    return value("calls_total", part=part, operation=operation, outcome=outcome)


def timed(operation: str, part: str = "zerglings") -> float:
    return value("call_duration_seconds_count", part=part, operation=operation)


def documents(outcome: str) -> float:
    return value("documents_total", part="zerglings", outcome=outcome)


@pytest.fixture
def observed(faulty: FaultyStore) -> InstrumentedStore:
    return InstrumentedStore(faulty)


def document() -> Document:
    return {"_id": str(uuid.uuid4()), "n": 1}


def test_results_equal_those_of_the_wrapped_store(
    observed: InstrumentedStore, store: Store
) -> None:
    kept = document()
    revision = write(observed, kept)
    assert read(observed, kept["_id"]) == read(store, kept["_id"]) == kept | {"_rev": revision}
    page = observed.page(None, 10, timeout=SOON)
    assert page == store.page(None, 10, timeout=SOON)
    assert len(page.documents) == 1
    assert observed.page(None, 10, timeout=SOON, until=kept["_id"]).documents == []
    assert observed.page(None, 10, timeout=SOON, descending=True) == page
    observed.ping(timeout=SOON)
    observed.check_ready(timeout=SOON)


def test_each_operation_is_counted_and_timed(observed: InstrumentedStore) -> None:
    operations = ("write", "read", "read_all_copies", "last_states", "page", "ping", "check_ready")
    before = {each: (calls(each), timed(each)) for each in operations}
    kept = document()
    write(observed, kept)
    observed.get_many([kept["_id"]], timeout=SOON)
    observed.get_many([kept["_id"]], timeout=SOON, all_copies=True)
    observed.last_states(kept["_id"], timeout=SOON)
    observed.page(None, 10, timeout=SOON)
    observed.ping(timeout=SOON)
    observed.check_ready(timeout=SOON)
    for each in operations:
        count, times = before[each]
        assert (calls(each), timed(each)) == (count + 1, times + 1), each


def test_the_history_store_is_counted_separately(observed: InstrumentedStore) -> None:
    here, beside = calls("write"), calls("write", part="history")
    write(observed.history, document())
    assert (calls("write"), calls("write", part="history")) == (here, beside + 1)
    assert observed.history is observed.history


@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        (StoreUnavailable("away"), "unavailable"),
        (base.AccountRefused("who"), "unavailable"),
        (OutcomeUnknown("lost"), "unknown"),
        (ZeroDivisionError(), "crash"),
    ],
)
def test_a_failed_call_is_counted_by_its_outcome(
    observed: InstrumentedStore, faulty: FaultyStore, error: Exception, outcome: str
) -> None:
    before, times = calls("read", outcome), timed("read")
    faulty.before_get = raising(error)
    with pytest.raises(type(error)):
        observed.get_many(["x"], timeout=SOON)
    assert (calls("read", outcome), timed("read")) == (before + 1, times + 1)


def test_each_document_of_a_write_is_counted_by_its_outcome(
    observed: InstrumentedStore, faulty: FaultyStore
) -> None:
    kept = [document() for _ in range(4)]
    before = {each: documents(each) for each in ("ok", "conflict", "minority")}

    def lose(candidate: Document) -> None:
        if candidate is kept[1]:
            raise Conflict("somebody was faster")

    faulty.before_put = lose
    faulty.is_minority = lambda candidate: candidate["_id"] == kept[2]["_id"]
    writes = calls("write")
    results = observed.put_many(kept, timeout=SOON)
    assert isinstance(results[1], Conflict)
    assert calls("write") == writes + 1
    assert {each: documents(each) - before[each] for each in before} == {
        "ok": 2,
        "conflict": 1,
        "minority": 1,
    }


def test_closing_the_store_closes_the_wrapped_one(
    observed: InstrumentedStore, faulty: FaultyStore
) -> None:
    closed: list[bool] = []
    faulty.close = lambda: closed.append(True)  # type: ignore[method-assign]  # to see the call
    observed.close()
    assert closed == [True]
