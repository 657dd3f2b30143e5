"""Decorator that counts and times the calls of a store for Prometheus."""

from __future__ import annotations

import time
from collections import Counter as Counting
from collections.abc import Callable, Collection, Sequence
from functools import cached_property
from typing import TypeVar

from prometheus_client import Counter, Histogram

from zerglings.documents import Document
from zerglings.storage.base import (
    Changes,
    Conflict,
    OutcomeUnknown,
    Page,
    Store,
    StoreError,
    TooLarge,
    WriteFailed,
    Written,
)

Result = TypeVar("Result")

_Recorders = tuple[Callable[[], None], Callable[[float], None]]
"""Counts a call, and records its seconds."""

_CALLS = Counter(
    "overmind_store_calls_total",
    "Calls on the store, by part (zerglings or history), operation and outcome: ok, unavailable,"
    " unknown (the answer to a write was lost), failed (the store answered that a write failed),"
    " too_large (a document or request exceeds the store's size limit), crash (a defect of this"
    " service).",
    ("part", "operation", "outcome"),
)
_SECONDS = Histogram(
    "overmind_store_call_duration_seconds",
    "Time that calls on the store took, whatever their outcome.",
    ("part", "operation"),
    buckets=(0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5),
)
_DOCUMENTS = Counter(
    "overmind_store_documents_total",
    "Documents of writes, by part and outcome: ok, minority (only few copies have it), conflict"
    " (a lost race), too_large, unavailable, failed, unknown.",
    ("part", "outcome"),
)


class InstrumentedStore(Store):
    """Wraps ``store`` and records metrics of every call.

    Args:
        store: the wrapped store.
        part: value of the metrics' ``part`` label, ``zerglings`` or ``history``.
    """

    def __init__(self, store: Store, part: str = "zerglings") -> None:
        self._store = store
        self._part = part
        self._recorders: dict[tuple[str, str], _Recorders] = {}

    @cached_property
    def history(self) -> Store:
        """The companion store, instrumented too."""
        return InstrumentedStore(self._store.history, "history")

    def get_many(
        self, document_ids: Collection[str], *, timeout: float, all_copies: bool = False
    ) -> dict[str, list[Document]]:
        operation = "read_all_copies" if all_copies else "read"
        return self._measured(
            operation,
            lambda: self._store.get_many(document_ids, timeout=timeout, all_copies=all_copies),
        )

    def last_states(self, document_id: str, *, timeout: float) -> list[Document]:
        return self._measured(
            "last_states", lambda: self._store.last_states(document_id, timeout=timeout)
        )

    def put_many(
        self, documents: Sequence[Document], *, timeout: float
    ) -> list[Written | StoreError]:
        try:
            results = self._measured(
                "write", lambda: self._store.put_many(documents, timeout=timeout)
            )
        except StoreError as error:
            _DOCUMENTS.labels(self._part, _outcome_of(error)).inc(len(documents))
            raise
        for outcome, count in Counting(map(_outcome_of, results)).items():
            _DOCUMENTS.labels(self._part, outcome).inc(count)
        return results

    def page(
        self,
        after: str | None,
        limit: int,
        *,
        timeout: float,
        until: str | None = None,
        descending: bool = False,
    ) -> Page:
        return self._measured(
            "page",
            lambda: self._store.page(
                after, limit, timeout=timeout, until=until, descending=descending
            ),
        )

    def changes(
        self, since: str | None, limit: int, *, timeout: float, wait: float = 0.0
    ) -> Changes:
        operation = "wait_for_changes" if wait else "changes"
        return self._measured(
            operation, lambda: self._store.changes(since, limit, timeout=timeout, wait=wait)
        )

    def forget_deleted_leaves(self, document_ids: Collection[str], *, timeout: float) -> int:
        return self._measured(
            "forget", lambda: self._store.forget_deleted_leaves(document_ids, timeout=timeout)
        )

    def all_nodes_connected(self, *, timeout: float) -> bool:
        return self._measured("is_whole", lambda: self._store.all_nodes_connected(timeout=timeout))

    def ping(self, *, timeout: float) -> None:
        self._measured("ping", lambda: self._store.ping(timeout=timeout))

    def check_ready(self, *, timeout: float) -> None:
        self._measured("check_ready", lambda: self._store.check_ready(timeout=timeout))

    def missing_documents(self, *, timeout: float) -> int | None:
        return self._measured("lacking", lambda: self._store.missing_documents(timeout=timeout))

    def identity(self, *, timeout: float) -> str | None:
        return self._measured("identity", lambda: self._store.identity(timeout=timeout))

    def close(self) -> None:
        self._store.close()

    def _measured(self, operation: str, call: Callable[[], Result]) -> Result:
        outcome = "crash"
        began = time.perf_counter()
        try:
            result = call()
            outcome = "ok"
        except StoreError as error:
            outcome = _outcome_of(error)
            raise
        finally:
            self._record(operation, outcome, time.perf_counter() - began)
        return result

    def _record(self, operation: str, outcome: str, seconds: float) -> None:
        recorders = self._recorders.get((operation, outcome))
        if recorders is None:
            count = _CALLS.labels(self._part, operation, outcome).inc
            recorders = count, _SECONDS.labels(self._part, operation).observe
            self._recorders[operation, outcome] = recorders
        increment, observe = recorders
        increment()
        observe(seconds)


def _outcome_of(result: Written | StoreError) -> str:
    match result:
        case Written():
            return "minority" if result.is_minority else "ok"
        case Conflict():
            return "conflict"
        case WriteFailed():
            return "failed"
        case OutcomeUnknown():
            return "unknown"
        case TooLarge():
            return "too_large"
        case _:
            return "unavailable"
