"""Healing: what readers do for one zergling at a time, done for all; and tidying up after death.

For operators, after a partition or now and then. Merges every rival, removes the documents of the
long dead and the chunks that no zergling reaches, purges what merging has left behind. May run
beside a working service, removes nothing of which it is not certain, and goes on past what it
cannot mend.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from itertools import groupby

from zerglings.documents import Document
from zerglings.domain.chunks import Chunk
from zerglings.domain.document import NotAZergling, decode, encode
from zerglings.domain.zergling import DIED, CommandRequest, Zergling, time_of_death
from zerglings.hive import idempotency
from zerglings.repository.archive import Archive
from zerglings.repository.reading import Reader
from zerglings.storage.base import Store, StoreError, StoreUnavailable

CALL_TIMEOUT = 30.0
"""Seconds that one store call may wait: nobody waits for an answer."""

PAGE = 100
"""Documents to look at with one call."""

SETTLING_TIME = 30.0
"""Seconds after which a chunk that a service has just stored has its zergling, or never will:
many times what any use case takes."""


class Healer:
    """Heals one store. Every method goes through all documents and returns how many it mended.

    What could not be mended is added to ``failures``, a sentence each. Every method may raise
    ``StoreError``; run again, it goes on with what is left.

    Args:
        store: what is to be healed.
        tail: words that a document keeps when its history is shortened.
        pause: waits for so many seconds.
    """

    def __init__(
        self, store: Store, tail: int, *, pause: Callable[[float], None] = time.sleep
    ) -> None:
        self._store = store
        self._archive = Archive(store.history, tail)
        self._reader = Reader(store, self._archive)
        self._pause = pause
        self.failures: list[str] = []

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
        for page in _pages(self._store):
            for document in page:
                death = _old_death(document, before)
                if death is not None:
                    count += self._remove_dead(document["_id"], death)
        return count

    def remove_unreachable(self) -> int:
        """Remove the chunks that no zergling reaches: of writes that lost a race, and of the dead.

        A chunk is stored before the zergling that names it, and stored anew by whoever comes to
        need it again. So only what is unreachable at two looks some time apart, at the same
        revision, is removed, by that revision.
        """
        suspects = {chunk["_id"]: chunk["_rev"] for chunk in self._unreachable(self._chunks())}
        if not suspects:
            return 0
        self._pause(SETTLING_TIME)
        ids = sorted(suspects)
        return sum(
            self._remove_chunks(ids[start : start + PAGE], suspects)
            for start in range(0, len(ids), PAGE)
        )

    def _merge(self, ids: Collection[str]) -> int:
        rivals = self._with_rivals(ids)
        self._reader.read(rivals, timeout=CALL_TIMEOUT)
        left = self._with_rivals(rivals)
        self.failures += [f"{id_} still has rival revisions" for id_ in left]
        return len(rivals) - len(left)

    def _with_rivals(self, ids: Collection[str]) -> list[str]:
        found = self._store.get_many(ids, timeout=CALL_TIMEOUT) if ids else {}
        return [id_ for id_, leaves in found.items() if len(leaves) > 1]

    def _remove_dead(self, zergling_id: str, death: CommandRequest) -> bool:
        """Delete a dead zergling's only leaf; if another one shows after all, it dies too."""
        leaves = self._leaves(zergling_id)
        if len(leaves) != 1 or DIED not in leaves[0]["commandHistory"]:
            self.failures.append(f"{zergling_id} is dead but has rival revisions")
            return False
        if not self._delete([leaves[0]], self._store):
            return False
        for leaf in self._leaves(zergling_id):
            dead = encode(decode(leaf).merged_with([death]))
            self._store.put_many([dead], timeout=CALL_TIMEOUT)
            self.failures.append(f"{zergling_id} was brought back by a node, and has died again")
        return True

    def _remove_chunks(self, ids: Sequence[str], revisions: Mapping[str, str]) -> int:
        found = self._store.history.get_many(ids, timeout=CALL_TIMEOUT)
        chunks = [leaves[0] for leaves in found.values() if leaves]
        unwanted = [chunk for chunk in chunks if chunk["_rev"] == revisions[chunk["_id"]]]
        unwanted.sort(key=lambda chunk: str(chunk["_id"]))
        return self._delete(list(self._unreachable(unwanted)), self._store.history)

    def _unreachable(self, chunks: Iterable[Document]) -> Iterator[Document]:
        """Yield those of some chunks, which come in the order of their ids, that nobody reaches."""
        for zergling_id, group in groupby(chunks, lambda chunk: chunk["_id"].partition(":")[0]):
            try:
                leaves = [decode(leaf) for leaf in self._leaves(zergling_id)]
                if any(self._archive.is_long(leaf) for leaf in leaves):
                    continue  # its history may be on its way into chunks, which takes some time
                reached = {id_ for leaf in leaves for id_ in self._reached(leaf)}
            except (StoreError, NotAZergling, KeyError) as error:
                self.failures.append(f"the history of {zergling_id} was left alone: {error}")
                continue
            for chunk in group:
                if chunk["_id"] not in reached and all(_is_none_of(chunk, leaf) for leaf in leaves):
                    yield chunk

    def _reached(self, leaf: Zergling) -> set[str]:
        """Return the ids of the chunks that a leaf reaches, by name or as a reader finds them."""
        zergling = self._archive.completed(leaf, timeout=CALL_TIMEOUT)
        return {chunk.id for chunk in self._archive.newest_first(zergling, timeout=CALL_TIMEOUT)}

    def _leaves(self, zergling_id: str) -> list[Document]:
        """Return what lives of a document in any copy; a KeyError if that cannot be told."""
        found = self._store.get_many([zergling_id], all_copies=True, timeout=CALL_TIMEOUT)
        return found[zergling_id]

    def _pages_of_ids(self) -> Iterator[list[str]]:
        for page in _pages(self._store):
            yield [document["_id"] for document in page]

    def _chunks(self) -> Iterator[Document]:
        for page in _pages(self._store.history):
            yield from (doc for doc in page if not doc["_id"].startswith(idempotency.PREFIX))

    def _delete(self, documents: Sequence[Document], store: Store) -> int:
        """Delete documents by their revisions, unless others have changed them meanwhile."""
        if not documents:
            return 0
        if not self._store.is_whole(timeout=CALL_TIMEOUT):
            raise StoreUnavailable("not all nodes of the cluster are connected any more")
        tombstones = [
            {"_id": document["_id"], "_rev": document["_rev"], "_deleted": True}
            for document in documents
        ]
        results = store.put_many(tombstones, timeout=CALL_TIMEOUT)
        refused = [result for result in results if isinstance(result, StoreError)]
        self.failures += [f"something was not removed: {error}" for error in refused]
        return len(results) - len(refused)


def _pages(store: Store) -> Iterator[list[Document]]:
    after, more = None, True
    while more:
        page = store.page(after, PAGE, timeout=CALL_TIMEOUT)
        yield page.documents
        after, more = page.after, page.after is not None


def _old_death(document: Document, moment: float) -> CommandRequest | None:
    """Return a death of a zergling all of whose deaths tell that they were before a moment."""
    try:
        zergling = decode(document)
    except NotAZergling:
        return None
    if not zergling.is_dead:
        return None
    deaths = [request for request in zergling.requests() if DIED in request.words]
    times = [time_of_death(death.id) for death in deaths]
    is_old = all(when is not None and when < moment for when in times)
    return deaths[0] if deaths and is_old else None


def _is_none_of(document: Document, zergling: Zergling) -> bool:
    """Whether a chunk that a leaf does not name is none of its past all the same.

    What the original service wrote names no chunks, and more than those that a reader finds now may
    yet be found to be its past. Only what was cut from the words that such a leaf still has is not.
    """
    if zergling.base.chunk is not None:
        return True
    chunk = Chunk.decode(document)
    is_cut = chunk.words == zergling.history[: len(chunk.words)]
    return is_cut and chunk.before == zergling.base.pose
