"""A store that wraps a real one and raises the errors that a test asks for."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence

from zerglings.documents import Document
from zerglings.storage.base import Changes, Conflict, Page, Store, StoreError, TooLarge, Written


class FaultyStore(Store):
    """Passes calls on to a real store, with hooks that make them fail.

    A hook that raises makes the call fail. A ``Conflict`` or ``TooLarge`` raised at a write becomes
    that document's result. While ``lacks`` returns a count, ``page`` returns an empty page.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._history: FaultyStore | None = None
        self.before_put: Callable[[Document], None] = lambda document: None
        self.after_put: Callable[[Document], None] = lambda document: None
        self.before_page: Callable[[], None] = lambda: None
        self.before_changes: Callable[[], None] = lambda: None
        self.lacks: Callable[[], int | None] = lambda: None
        self.before_get: Callable[[Collection[str]], None] = lambda ids: None
        self.is_minority: Callable[[Document], bool] = lambda document: False
        self.puts: list[list[Document]] = []
        self.gets: list[tuple[set[str], bool]] = []

    @property
    def history(self) -> FaultyStore:
        if self._history is None:
            self._history = FaultyStore(self._store.history)
        return self._history

    def get_many(
        self, document_ids: Collection[str], *, timeout: float, all_copies: bool = False
    ) -> dict[str, list[Document]]:
        self.gets.append((set(document_ids), all_copies))
        self.before_get(document_ids)
        return self._store.get_many(document_ids, timeout=timeout, all_copies=all_copies)

    def last_states(self, document_id: str, *, timeout: float) -> list[Document]:
        return self._store.last_states(document_id, timeout=timeout)

    def put_many(
        self, documents: Sequence[Document], *, timeout: float
    ) -> list[Written | StoreError]:
        self.puts.append(list(documents))
        return [self._put(document, timeout) for document in documents]

    def _put(self, document: Document, timeout: float) -> Written | StoreError:
        try:
            self.before_put(document)
        except (Conflict, TooLarge) as refusal:
            return refusal
        (result,) = self._store.put_many([document], timeout=timeout)
        if not isinstance(result, Written):
            return result
        try:
            self.after_put(document)
        except Conflict as conflict:
            return conflict
        return Written(result.revision, is_minority=self.is_minority(document))

    def page(
        self,
        after: str | None,
        limit: int,
        *,
        timeout: float,
        until: str | None = None,
        descending: bool = False,
    ) -> Page:
        self.before_page()
        page = self._store.page(after, limit, timeout=timeout, until=until, descending=descending)
        return page if not self.lacks() else Page([], None)

    def changes(
        self, since: str | None, limit: int, *, timeout: float, wait: float = 0.0
    ) -> Changes:
        self.before_changes()
        return self._store.changes(since, limit, timeout=timeout, wait=wait)

    def forget_deleted_leaves(self, document_ids: Collection[str], *, timeout: float) -> int:
        return self._store.forget_deleted_leaves(document_ids, timeout=timeout)

    def all_nodes_connected(self, *, timeout: float) -> bool:
        return self._store.all_nodes_connected(timeout=timeout)

    def ping(self, *, timeout: float) -> None:
        self._store.ping(timeout=timeout)

    def check_ready(self, *, timeout: float) -> None:
        self._store.check_ready(timeout=timeout)

    def missing_documents(self, *, timeout: float) -> int | None:
        return self.lacks()

    def identity(self, *, timeout: float) -> str | None:
        return self._store.identity(timeout=timeout)

    def close(self) -> None:
        self._store.close()


def raising(error: Exception, times: int = 1) -> Callable[..., None]:
    """Return a hook that raises the error on its first ``times`` calls."""
    left = [times]

    def hook(*_: object) -> None:
        if left[0] > 0:
            left[0] -= 1
            raise error

    return hook
