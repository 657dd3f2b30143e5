"""Decorator that puts a circuit breaker in front of a store."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from functools import cached_property

from zerglings.documents import Document
from zerglings.storage.base import Changes, Page, Store, StoreError, Written
from zerglings.storage.breaker import Breaker


class GuardedStore(Store):
    """Wraps every call of ``store`` in a circuit breaker; ``history`` shares the breaker.

    Time spent in the breaker's queue is subtracted from the call's timeout.

    Args:
        store: the wrapped store.
        breaker: the breaker to use; by default a new one that probes ``store.ping``.
    """

    def __init__(self, store: Store, breaker: Breaker | None = None) -> None:
        self._store = store
        self.breaker = breaker or Breaker(lambda timeout: store.ping(timeout=timeout))

    @cached_property
    def history(self) -> Store:
        """The companion store behind the same breaker."""
        return GuardedStore(self._store.history, self.breaker)

    def get_many(
        self, document_ids: Collection[str], *, timeout: float, all_copies: bool = False
    ) -> dict[str, list[Document]]:
        with self.breaker.call(timeout) as remaining:
            return self._store.get_many(document_ids, timeout=remaining, all_copies=all_copies)

    def last_states(self, document_id: str, *, timeout: float) -> list[Document]:
        with self.breaker.call(timeout) as remaining:
            return self._store.last_states(document_id, timeout=remaining)

    def put_many(
        self, documents: Sequence[Document], *, timeout: float
    ) -> list[Written | StoreError]:
        with self.breaker.call(timeout) as remaining:
            return self._store.put_many(documents, timeout=remaining)

    def page(
        self,
        after: str | None,
        limit: int,
        *,
        timeout: float,
        until: str | None = None,
        descending: bool = False,
    ) -> Page:
        with self.breaker.call(timeout) as remaining:
            return self._store.page(
                after, limit, timeout=remaining, until=until, descending=descending
            )

    def changes(
        self, since: str | None, limit: int, *, timeout: float, wait: float = 0.0
    ) -> Changes:
        if wait:  # a long poll is expected to be slow, so it must not count as a hanging call
            self.breaker.check()
            return self._store.changes(since, limit, timeout=timeout, wait=wait)
        with self.breaker.call(timeout) as remaining:
            return self._store.changes(since, limit, timeout=remaining)

    def forget_deleted_leaves(self, document_ids: Collection[str], *, timeout: float) -> int:
        with self.breaker.call(timeout) as remaining:
            return self._store.forget_deleted_leaves(document_ids, timeout=remaining)

    def all_nodes_connected(self, *, timeout: float) -> bool:
        with self.breaker.call(timeout) as remaining:
            return self._store.all_nodes_connected(timeout=remaining)

    def ping(self, *, timeout: float) -> None:
        with self.breaker.call(timeout) as remaining:
            self._store.ping(timeout=remaining)

    def check_ready(self, *, timeout: float) -> None:
        with self.breaker.call(timeout) as remaining:
            self._store.check_ready(timeout=remaining)

    def missing_documents(self, *, timeout: float) -> int | None:
        with self.breaker.call(timeout) as remaining:
            return self._store.missing_documents(timeout=remaining)

    def identity(self, *, timeout: float) -> str | None:
        with self.breaker.call(timeout) as remaining:
            return self._store.identity(timeout=remaining)

    def close(self) -> None:
        self.breaker.close()
        self._store.close()
