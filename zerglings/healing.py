"""Healing: what readers do for one zergling at a time, done for all; and tidying up after death.

For operators, after a partition or now and then. Merges every rival, purges what merging has left
behind, removes the documents of the long dead and the chunks that no zergling reaches. May run
beside a working service.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from itertools import groupby

from zerglings.archive import Archive, MissingChunk
from zerglings.reading import Reader
from zerglings.storage.base import Document, Store, StoreError
from zerglings.zergling import DIED, Zergling, time_of_death

CALL_TIMEOUT = 30.0
"""Seconds that one store call may wait: nobody waits for an answer."""

PAGE = 100
"""Documents to look at with one call."""

SETTLING_TIME = 10.0
"""Seconds after which a chunk that a service has just stored has its zergling, or never will:
more than any use case takes."""


class Healer:
    """Heals one store. Every method goes through all documents and returns how many it changed.

    Every method may raise ``StoreError``; run again, it goes on with what is left.

    Args:
        store: what is to be healed.
        tail: words that a document keeps when its history is shortened.
        pause: waits for so many seconds.
    """

    def __init__(
        self, store: Store, tail: int, *, pause: Callable[[float], None] = time.sleep
    ) -> None:
        self._store = store
        self._archive = Archive(store.history)
        self._reader = Reader(store, self._archive, tail)
        self._pause = pause

    def merge(self) -> int:
        """Merge all rival revisions."""
        return sum(self._merge(ids) for ids in self._pages_of_ids())

    def purge(self) -> int:
        """Purge the deleted revisions that merging has left. Needs an admin's rights."""
        return sum(
            self._store.forget_deleted_leaves(ids, timeout=CALL_TIMEOUT)
            for ids in self._pages_of_ids()
        )

    def remove_dead(self, before: float) -> int:
        """Remove the documents of those who died before a moment, in seconds since 1970.

        Their ids stay taken. A revision that a node brings back after this would live again, so the
        moment must lie before the last time that all nodes were together.
        """
        count = 0
        for ids in self._pages_of_ids():
            found = self._reader.read(ids, timeout=CALL_TIMEOUT)
            dead = [
                zergling
                for zergling in found.values()
                if isinstance(zergling, Zergling) and _died_before(zergling, before)
            ]
            count += self._delete(
                {"_id": zergling.id, "_rev": zergling.revision} for zergling in dead
            )
        return count

    def remove_unreachable(self) -> int:
        """Remove the chunks that no zergling reaches: of writes that lost a race, and of the dead.

        A chunk is stored before the zergling that names it, so only what is unreachable at two
        looks some time apart is removed, and what is needed after all is put back.
        """
        suspects = [chunk["_id"] for chunk in self._unreachable(self._chunks())]
        if not suspects:
            return 0
        self._pause(SETTLING_TIME)
        removed = 0
        for position in range(0, len(suspects), PAGE):
            found = self._store.history.get_many(
                suspects[position : position + PAGE], timeout=CALL_TIMEOUT
            )
            removed += self._remove_chunks([leaves[0] for leaves in found.values() if leaves])
        return removed

    def _remove_chunks(self, chunks: Sequence[Document]) -> int:
        unreachable = list(self._unreachable(chunks))
        removed = self._delete(unreachable, self._store.history)
        by_id = {chunk["_id"]: _without_revision(chunk) for chunk in unreachable}
        owners = {chunk_id.partition(":")[0] for chunk_id in by_id}
        return removed - sum(self._put_back(owner, by_id) for owner in owners)

    def _put_back(self, zergling_id: str, removed: Mapping[str, Document]) -> int:
        """Store those again that their zergling has come to name; return how many."""
        count = 0
        while True:
            try:
                self._reached(zergling_id)
            except MissingChunk as missing:
                if missing.chunk_id not in removed:
                    raise
                again = [removed[missing.chunk_id]]
                (result,) = self._store.history.put_many(again, timeout=CALL_TIMEOUT)
                if isinstance(result, StoreError):
                    raise result from missing
                count += 1
            else:
                return count

    def _merge(self, ids: Collection[str]) -> int:
        leaves = self._store.get_many(ids, timeout=CALL_TIMEOUT)
        rivals = [id_ for id_, found in leaves.items() if len(found) > 1]
        self._reader.read(rivals, timeout=CALL_TIMEOUT)
        return len(rivals)

    def _pages_of_ids(self) -> Iterator[list[str]]:
        for page in _pages(self._store):
            yield [document["_id"] for document in page]

    def _chunks(self) -> Iterator[Document]:
        for page in _pages(self._store.history):
            yield from page

    def _unreachable(self, chunks: Iterable[Document]) -> Iterator[Document]:
        """Yield those of some chunks, which come in the order of their ids, that nobody reaches."""
        for zergling_id, group in groupby(chunks, lambda chunk: chunk["_id"].partition(":")[0]):
            reached = self._reached(zergling_id)
            yield from (chunk for chunk in group if chunk["_id"] not in reached)

    def _reached(self, zergling_id: str) -> set[str]:
        """Return the ids of the chunks that a zergling reaches, dead or alive."""
        found = self._reader.read([zergling_id], timeout=CALL_TIMEOUT).get(zergling_id)
        if isinstance(found, StoreError):
            raise found
        if found is None:
            return set()
        return {chunk.id for chunk in self._archive.newest_first(found, timeout=CALL_TIMEOUT)}

    def _delete(self, documents: Iterable[Document], store: Store | None = None) -> int:
        """Delete documents by their revisions, unless others have changed them meanwhile."""
        tombstones = [
            {"_id": document["_id"], "_rev": document["_rev"], "_deleted": True}
            for document in documents
        ]
        if not tombstones:
            return 0
        results = (store or self._store).put_many(tombstones, timeout=CALL_TIMEOUT)
        return sum(not isinstance(result, StoreError) for result in results)


def _pages(store: Store) -> Iterator[list[Document]]:
    after, more = None, True
    while more:
        page = store.page(after, PAGE, timeout=CALL_TIMEOUT)
        yield page.documents
        after, more = page.after, page.after is not None


def _died_before(zergling: Zergling, moment: float) -> bool:
    """Whether all deaths in a history tell when they were, and were before a moment."""
    deaths = [time_of_death(request.id) for request in zergling.requests() if DIED in request.words]
    return bool(deaths) and all(death is not None and death < moment for death in deaths)


def _without_revision(document: Document) -> Document:
    return {key: value for key, value in document.items() if key != "_rev"}
