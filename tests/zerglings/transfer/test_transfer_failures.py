"""Tests for transfers with failing stores, too large documents and incomplete histories."""

from __future__ import annotations

import io
from collections.abc import Sequence
from contextlib import closing

import pytest

from tests.support.backends import Backend
from tests.support.documents import read, write
from tests.support.fault_proxy import FaultProxy
from tests.support.faulty_store import FaultyStore, raising
from tests.support.limits import body_limit, refusing_over
from tests.support.lives import TAIL, populate
from tests.zerglings.transfer.transfers import exported, imported, no_pause, no_progress
from zerglings.documents import Document
from zerglings.storage.base import (
    AccountRefused,
    OutcomeUnknown,
    Store,
    StoreError,
    StoreUnavailable,
    TooLarge,
    Written,
)
from zerglings.transfer import retrying
from zerglings.transfer.exporting import Exporter
from zerglings.transfer.importing import Different
from zerglings.transfer.lines import CutFile, ExportWriter, entries, whole_part
from zerglings.transfer.tally import ZERGLING, Tally


@pytest.mark.parametrize(
    ("place", "error"),
    [
        ("before_get", StoreUnavailable("away")),
        ("before_put", StoreUnavailable("away")),
        ("after_put", OutcomeUnknown("lost")),
        ("chunk", OutcomeUnknown("lost")),
    ],
)
def test_transient_store_errors_are_retried(
    store: Store, embedded: Store, place: str, error: StoreError
) -> None:
    populate(embedded)
    file = exported(embedded)
    faulty = FaultyStore(store)
    if place == "chunk":
        faulty.history.after_put = raising(error, 2)
    else:
        setattr(faulty, place, raising(error, 2))
    assert imported(faulty, file).written[ZERGLING] == 5
    assert exported(store) == file


def test_retries_end_while_the_store_is_unavailable(store: Store, embedded: Store) -> None:
    populate(embedded)
    faulty = FaultyStore(store)
    faulty.before_get = raising(StoreUnavailable("away"), 1000)
    with pytest.raises(StoreUnavailable, match="away"):
        imported(faulty, exported(embedded))
    assert len(faulty.gets) == len(retrying.PAUSES) + 1


def test_a_refused_account_is_not_retried(store: Store, embedded: Store) -> None:
    populate(embedded)
    faulty = FaultyStore(store)
    faulty.before_put = raising(AccountRefused("no"), 1000)
    with pytest.raises(AccountRefused):
        imported(faulty, exported(embedded))
    assert len(faulty.puts) == 1


def test_an_import_succeeds_despite_a_request_size_limit(
    couch: Backend, proxy: FaultProxy, embedded: Store
) -> None:
    populate(embedded)
    file = exported(embedded)
    proxy.fault = body_limit(max(map(len, file.splitlines())))
    with closing(couch.through(proxy.url).open()) as store:
        assert imported(store, file).written[ZERGLING] == 5
        assert 413 in [request.status for request in proxy.requests]
    with closing(couch.open()) as store:
        assert exported(store) == file


def test_an_import_names_a_too_large_document_without_retrying(
    store: Store, embedded: Store
) -> None:
    populate(embedded)
    faulty = FaultyStore(store)
    faulty.before_put = refusing_over(10)
    with pytest.raises(TooLarge) as caught:
        imported(faulty, exported(embedded))
    assert caught.value.document_id
    assert len(faulty.puts) == 1


def test_minority_writes_are_read_from_all_copies(store: Store, embedded: Store) -> None:
    populate(embedded)
    faulty = FaultyStore(store)
    faulty.is_minority = lambda document: True
    assert imported(faulty, exported(embedded)).written[ZERGLING] == 5
    assert [all_copies for ids, all_copies in faulty.gets if ids] == [False, True]
    assert [all_copies for ids, all_copies in faulty.history.gets if ids] == [False, True]


def test_a_write_that_cannot_be_read_back_is_an_error(store: Store, embedded: Store) -> None:
    populate(embedded)

    class Forgetful(FaultyStore):
        def put_many(
            self, documents: Sequence[Document], *, timeout: float
        ) -> list[Written | StoreError]:
            results = super().put_many(documents, timeout=timeout)
            for document, result in zip(documents, results, strict=True):
                if not isinstance(result, StoreError):
                    dead = {"_id": document["_id"], "_rev": result.revision, "_deleted": True}
                    write(self._store, dead)
            return results

    with pytest.raises(Different):
        imported(Forgetful(store), exported(embedded))


def test_an_export_survives_transient_errors_and_ends_with_an_outage(store: Store) -> None:
    populate(store)
    faulty = FaultyStore(store)
    faulty.before_page = raising(StoreUnavailable("away"), 2)
    faulty.before_get = raising(StoreUnavailable("away"), 2)
    assert exported(faulty) == exported(store)
    faulty.before_page = raising(StoreUnavailable("away"), 1000)
    with pytest.raises(StoreUnavailable):
        exported(faulty)


def failing_after(store: Store, calls: int) -> FaultyStore:
    """Return a store that fails after so many calls to it or its history."""
    left = [calls]

    def count(*_: object) -> None:
        left[0] -= 1
        if left[0] < 0:
            raise AccountRefused("no")

    faulty = FaultyStore(store)
    for each in (faulty, faulty.history):
        each.before_page = each.before_get = count
    return faulty


def test_an_export_that_failed_at_any_call_is_never_taken_for_complete(store: Store) -> None:
    populate(store)
    whole = exported(store)
    calls = 0
    while True:
        stream = io.BytesIO()
        exporter = Exporter(failing_after(store, calls), TAIL, pause=no_pause)
        try:
            exporter.write(ExportWriter(stream, Tally()), no_progress)
        except AccountRefused:
            calls += 1
        else:
            break
        with pytest.raises(CutFile):
            list(entries(io.BytesIO(stream.getvalue()), Tally()))
        tally = whole_part(io.BytesIO(stream.getvalue()))
        assert tally is not None
        assert stream.getvalue()[: tally.size] + exported(store, tally) == whole
    assert calls > 3  # zerglings, documents, parts of histories, keys
    assert stream.getvalue() == whole


def test_a_zergling_with_an_incomplete_history_is_skipped(store: Store) -> None:
    ids = populate(store)
    chunk = store.history.page(None, 1, timeout=5.0).documents[0]
    write(store.history, {"_id": chunk["_id"], "_rev": chunk["_rev"], "_deleted": True})
    victim = chunk["_id"].partition(":")[0]
    wrong = next(id_ for id_ in ids if id_ != victim and "base" in read(store, id_))
    write(store, read(store, wrong) | {"location": {"x": 99, "y": 99}})
    stream = io.BytesIO()
    exporter = Exporter(store, TAIL, pause=no_pause)
    exporter.write(ExportWriter(stream, Tally()), no_progress)
    assert exporter.damaged == 2
    tally = Tally()
    found = {entry.id for entry in entries(io.BytesIO(stream.getvalue()), tally)}
    assert found.isdisjoint({victim, wrong})
    assert tally.counts[ZERGLING] == 3


def test_an_export_resumes_after_the_last_complete_zergling(store: Store) -> None:
    populate(store)
    file = exported(store)
    ends = [n + 1 for n, byte in enumerate(file) if byte == ord("\n")]
    for cut in {0, 1, *(end + step for end in ends for step in (-1, 0, 1)), len(file) - 2}:
        tally = whole_part(io.BytesIO(file[:cut])) if cut < len(file) else None
        if tally is None:
            assert cut >= len(file)
            continue
        assert file[: tally.size] + exported(store, tally) == file
