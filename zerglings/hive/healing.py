"""Healing: store-wide merging of rival revisions and removal of obsolete documents.

Operators run it after a network partition, and from time to time. It merges all rivals, removes
unreachable chunks and the documents of zerglings that died long ago, and purges the deleted
revisions that merging leaves. The service may be running. Only documents that are certainly
obsolete are removed. A document that cannot be healed is skipped and reported.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from itertools import groupby

from zerglings.documents import Document
from zerglings.domain.chunks import Chunk
from zerglings.domain.document_format import NotAZergling, decode, encode
from zerglings.domain.request_ids import time_of_death
from zerglings.domain.zergling import DIED, CommandRequest, Zergling
from zerglings.hive import idempotency
from zerglings.repository.archive import Archive
from zerglings.repository.base_recovery import BaseRecovery
from zerglings.repository.reading import MissingMerge, Reader
from zerglings.repository.retry_budget import BATCH_JOB_TIMEOUT, TimeLeft
from zerglings.storage.base import Conflict, MergedAway, Store, StoreError, StoreUnavailable
from zerglings.storage.regions import heartbeats
from zerglings.storage.regions.exchange import Part

DOCUMENTS_PER_READ = 100
"""Documents to read with one call."""

OTHER_RECORDS = (idempotency.PREFIX, heartbeats.PREFIX)
"""Prefixes of the documents in the history database that are no chunks."""

ORPHAN_GRACE = 30.0
"""Seconds between the two checks that find a chunk unreachable. This is many times longer than a
use case takes between storing a chunk and storing the zergling that references it."""


class Healer:
    """Heals one store.

    Each method processes all documents and returns how many it healed. What cannot be healed is
    added to ``failures``, one sentence each. Every method may raise ``StoreError``; to resume, run
    it again.

    Args:
        store: the store to heal.
        tail: words that stay in a document when its history is shortened.
        pause: sleeps for the given seconds.
        exchange: waits until this region and all others have each other's changes of one database,
            and raises an error if they do not get them.
    """

    def __init__(
        self,
        store: Store,
        tail: int,
        *,
        pause: Callable[[float], None] = time.sleep,
        exchange: Callable[[Part], None] = lambda part: None,
    ) -> None:
        self._store = store
        self._archive = Archive(store.history, tail)
        self._bases = BaseRecovery(self._archive)
        self._reader = Reader(store, self._archive)
        self._keys = idempotency.KeyRegister(store.history)
        self._pause = pause
        self._exchange = exchange
        self.failures: list[str] = []

    def merge(self) -> int:
        """Merge all rival revisions."""
        return sum(self._merge(ids) for ids in self._pages_of_ids())

    def merge_keys(self) -> int:
        """Merge all rival records of idempotency keys."""
        pages = _pages(self._store.history, idempotency.PREFIX, f"{idempotency.PREFIX}~")
        return sum(
            self._keys.merge([record["_id"] for record in page], timeout=BATCH_JOB_TIMEOUT)
            for page in pages
        )

    def purge(self) -> int:
        """Purge the deleted revisions that merging has left. Requires a server admin's account.

        Purges are not replicated. So regions exchange their changes first: one that still lacks a
        deletion would send the merged revision again.
        """
        self._exchange("zerglings")
        return sum(
            self._store.forget_deleted_leaves(ids, timeout=BATCH_JOB_TIMEOUT)
            for ids in self._pages_of_ids()
        )

    def remove_dead(self, before: float) -> int:
        """Delete the documents of zerglings that died before a moment. Their ids stay reserved.

        A node that was disconnected might replicate a revision in which the zergling is alive. So
        the moment must lie before the last time that all nodes were connected. Regions exchange
        their changes after the dead were listed: then all know of these deaths, so that none
        commands such a zergling any more.

        Args:
            before: the moment, in seconds since 1970.
        """
        dead = [
            document["_id"]
            for page in _pages(self._store)
            for document in page
            if _old_death(document, before) is not None
        ]
        if not dead:
            return 0
        self._exchange("zerglings")
        return sum(self._remove_dead(zergling_id, before) for zergling_id in dead)

    def remove_unreachable(self) -> int:
        """Remove chunks that no zergling references: lost races and removed zerglings leave them.

        A chunk is stored before the zergling that references it, and written again by every attempt
        that needs it. So a chunk is removed only if two checks, ``ORPHAN_GRACE`` seconds apart,
        find it unreachable at the same revision.

        Another region that lacks the chunk may store it with that revision, too. Afterwards it
        references it, and the reference may arrive late. So regions first exchange the chunks: one
        that stores it from then on gives it a new revision. They exchange the zerglings after the
        pause, in which those that stored it before have stored the reference.
        """
        suspects = {chunk["_id"]: chunk["_rev"] for chunk in self._unreachable(self._chunks())}
        if not suspects:
            return 0
        self._exchange("history")
        self._pause(ORPHAN_GRACE)
        self._exchange("zerglings")
        ids = sorted(suspects)
        return sum(
            self._remove_chunks(ids[start : start + DOCUMENTS_PER_READ], suspects)
            for start in range(0, len(ids), DOCUMENTS_PER_READ)
        )

    def _merge(self, ids: Collection[str]) -> int:
        rivals = self._rivals(ids)
        self._reader.read(list(rivals), timeout=BATCH_JOB_TIMEOUT)
        left = self._rivals(rivals)
        # Another region's revision may have arrived meanwhile. That is no failure of this merge.
        unmerged = [id_ for id_ in left if left[id_] >= rivals[id_]]
        self.failures += [f"{id_} still has rival revisions" for id_ in unmerged]
        return len(rivals) - len(unmerged)

    def _rivals(self, ids: Collection[str]) -> dict[str, set[str]]:
        """Return the revisions of all leaves, for each document that has several."""
        found = self._store.get_many(ids, timeout=BATCH_JOB_TIMEOUT) if ids else {}
        return {
            id_: {leaf["_rev"] for leaf in leaves}
            for id_, leaves in found.items()
            if len(leaves) > 1
        }

    def _remove_dead(self, zergling_id: str, before: float) -> bool:
        """Delete a dead zergling's only leaf. If another leaf appears afterwards, kill that too."""
        leaves = self._leaves(zergling_id)
        if not leaves:
            return False  # another region has removed it
        death = _old_death(leaves[0], before) if len(leaves) == 1 else None
        if death is None:
            self.failures.append(f"{zergling_id} is dead but has rival revisions")
            return False
        if not self._delete([leaves[0]], self._store):
            return False
        for leaf in self._leaves(zergling_id):
            dead = encode(decode(leaf).merged_with([death]))
            self._store.put_many([dead], timeout=BATCH_JOB_TIMEOUT)
            self.failures.append(f"{zergling_id} was revived by a node and killed again")
        return True

    def _remove_chunks(self, ids: Sequence[str], revisions: Mapping[str, str]) -> int:
        found = self._store.history.get_many(ids, timeout=BATCH_JOB_TIMEOUT)
        chunks = [leaves[0] for leaves in found.values() if leaves]
        unwanted = [chunk for chunk in chunks if chunk["_rev"] == revisions[chunk["_id"]]]
        unwanted.sort(key=lambda chunk: str(chunk["_id"]))
        return self._delete(list(self._unreachable(unwanted)), self._store.history)

    def _unreachable(self, chunks: Iterable[Document]) -> Iterator[Document]:
        """Yield those of the given chunks that are unreachable. ``chunks`` must be sorted by id."""
        for zergling_id, group in groupby(chunks, lambda chunk: chunk["_id"].partition(":")[0]):
            try:
                leaves = [decode(leaf) for leaf in self._leaves(zergling_id)]
                if any(self._archive.needs_background_move(leaf) for leaf in leaves):
                    continue  # a background move may be storing its chunks
                reached = {id_ for leaf in leaves for id_ in self._reached(leaf)}
            except (StoreError, NotAZergling, KeyError) as error:
                self.failures.append(f"skipped the chunks of {zergling_id}: {error}")
                continue
            for chunk in group:
                if chunk["_id"] not in reached and all(
                    _is_certainly_unrelated(chunk, leaf) for leaf in leaves
                ):
                    yield chunk

    def _reached(self, leaf: Zergling) -> set[str]:
        """Return the ids of a leaf's chunks. Its base is restored first if necessary."""
        zergling = self._bases.restore(leaf, TimeLeft(BATCH_JOB_TIMEOUT))
        return {
            chunk.id for chunk in self._archive.newest_first(zergling, timeout=BATCH_JOB_TIMEOUT)
        }

    def _leaves(self, zergling_id: str) -> list[Document]:
        """Return a document's leaves in all copies, without the deleted ones.

        Raises:
            KeyError: no copy ever held the document.
            MissingMerge: all its leaves were merged, and the merged leaf is not there.
        """
        found = self._store.get_many([zergling_id], all_copies=True, timeout=BATCH_JOB_TIMEOUT)
        leaves = found[zergling_id]
        if isinstance(leaves, MergedAway):
            raise MissingMerge(zergling_id)
        return leaves

    def _pages_of_ids(self) -> Iterator[list[str]]:
        for page in _pages(self._store):
            yield [document["_id"] for document in page]

    def _chunks(self) -> Iterator[Document]:
        for page in _pages(self._store.history):
            yield from (doc for doc in page if not doc["_id"].startswith(OTHER_RECORDS))

    def _delete(self, documents: Sequence[Document], store: Store) -> int:
        """Delete documents by their revisions, and return how many were deleted.

        A document that was changed or deleted in the meantime is left to the next run. That is no
        failure: other regions may run heal at the same time.
        """
        if not documents:
            return 0
        if not self._store.all_nodes_connected(timeout=BATCH_JOB_TIMEOUT):
            raise StoreUnavailable("not all nodes of the cluster are connected")
        tombstones = [
            {"_id": document["_id"], "_rev": document["_rev"], "_deleted": True}
            for document in documents
        ]
        results = store.put_many(tombstones, timeout=BATCH_JOB_TIMEOUT)
        errors = [result for result in results if isinstance(result, StoreError)]
        self.failures += [
            f"a document was not removed: {error}"
            for error in errors
            if not isinstance(error, Conflict)
        ]
        return len(results) - len(errors)


def _pages(
    store: Store, after: str | None = None, until: str | None = None
) -> Iterator[list[Document]]:
    more = True
    while more:
        page = store.page(after, DOCUMENTS_PER_READ, until=until, timeout=BATCH_JOB_TIMEOUT)
        yield page.documents
        after, more = page.after, page.after is not None


def _old_death(document: Document, moment: float) -> CommandRequest | None:
    """Return the death of a zergling if all its deaths were before ``moment``, else None."""
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


def _is_certainly_unrelated(document: Document, zergling: Zergling) -> bool:
    """Whether a chunk that is unreachable from a leaf is certainly obsolete for that leaf.

    A leaf that the original service wrote references no chunk. The chunks found for it may differ
    between two reads, so an unreachable chunk may still be part of its history. The chunk is
    certainly obsolete only if the document's history still begins with its words.
    """
    if zergling.base.chunk is not None:
        return True
    chunk = Chunk.decode(document)
    is_cut = chunk.words == zergling.history[: len(chunk.words)]
    return is_cut and chunk.before == zergling.base.pose
