"""A store behind a circuit breaker: no call waits for one that hangs. It changes nothing else."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from functools import cached_property

from zerglings.documents import Document
from zerglings.storage.base import Changes, Page, Store, StoreError, Written
from zerglings.storage.breaker import Breaker


class GuardedStore(Store):
    """A store behind which another one does the work; the one beside it shares its breaker.

    A call that waits to begin has that much less time for the rest.

    Args:
        store: the other one.
        breaker: lets calls through or refuses them; it has one of its own by default.
    """

    def __init__(self, store: Store, breaker: Breaker | None = None) -> None:
        self._store = store
        self.breaker = breaker or Breaker(lambda timeout: store.ping(timeout=timeout))

    @cached_property
    def history(self) -> Store:
        """The store beside this one, guarded too."""
        return GuardedStore(self._store.history, self.breaker)

    def get_many(
        self, document_ids: Collection[str], *, timeout: float, all_copies: bool = False
    ) -> dict[str, list[Document]]:
        with self.breaker.call(timeout) as left:
            return self._store.get_many(document_ids, timeout=left, all_copies=all_copies)

    def put_many(
        self, documents: Sequence[Document], *, timeout: float
    ) -> list[Written | StoreError]:
        with self.breaker.call(timeout) as left:
            return self._store.put_many(documents, timeout=left)

    def page(
        self,
        after: str | None,
        limit: int,
        *,
        timeout: float,
        until: str | None = None,
        descending: bool = False,
    ) -> Page:
        with self.breaker.call(timeout) as left:
            return self._store.page(after, limit, timeout=left, until=until, descending=descending)

    def changes(
        self, since: str | None, limit: int, *, timeout: float, wait: float = 0.0
    ) -> Changes:
        if wait:  # to be left without an answer for some time is what it asks for
            self.breaker.check()
            return self._store.changes(since, limit, timeout=timeout, wait=wait)
        with self.breaker.call(timeout) as left:
            return self._store.changes(since, limit, timeout=left)

    def forget_deleted_leaves(self, document_ids: Collection[str], *, timeout: float) -> int:
        with self.breaker.call(timeout) as left:
            return self._store.forget_deleted_leaves(document_ids, timeout=left)

    def is_whole(self, *, timeout: float) -> bool:
        with self.breaker.call(timeout) as left:
            return self._store.is_whole(timeout=left)

    def ping(self, *, timeout: float) -> None:
        with self.breaker.call(timeout) as left:
            self._store.ping(timeout=left)

    def check_ready(self, *, timeout: float) -> None:
        with self.breaker.call(timeout) as left:
            self._store.check_ready(timeout=left)

    def lacking(self, *, timeout: float) -> int | None:
        with self.breaker.call(timeout) as left:
            return self._store.lacking(timeout=left)

    def identity(self, *, timeout: float) -> str | None:
        with self.breaker.call(timeout) as left:
            return self._store.identity(timeout=left)

    def close(self) -> None:
        self.breaker.close()
        self._store.close()
