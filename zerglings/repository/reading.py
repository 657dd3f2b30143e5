"""Reads zerglings from the store and merges rival revisions.

A read that finds rival revisions merges them and stores the merged document as the successor of the
winner. Once a majority has it, the read deletes each loser by its revision. So each request is in
some living leaf at any time.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from typing import TypeVar

from zerglings.documents import MERGED, Document
from zerglings.domain.document_format import NotAZergling, decode
from zerglings.domain.merging import Leaf, merge
from zerglings.domain.zergling import Zergling
from zerglings.repository import counters
from zerglings.repository.archive import Archive
from zerglings.repository.base_recovery import BaseRecovery, complete_rivals
from zerglings.repository.chunk_store import Incomplete
from zerglings.repository.moving import LongHistory, Mover
from zerglings.repository.retry_budget import RetryBudget, TimeLeft
from zerglings.repository.writing import Writer
from zerglings.storage.base import Conflict, MergedAway, Page, Store, StoreError, StoreUnavailable

logger = logging.getLogger(__name__)

Result = TypeVar("Result")

MERGE_SHARE = 0.5
"""Share of the time of a read that all its merges together get, so that a change that reads first
has time left to be written."""

MERGE_ATTEMPTS = 3
"""Attempts to write back a merge while other writers interfere. After that the next read tries."""

Found = Zergling | StoreError | None
"""The result of reading one id; None if the document was deleted or is not a zergling."""


class MissingMerge(Incomplete):
    """All leaves of a document were merged, and the merged leaf has not arrived yet."""

    def __init__(self, zergling_id: str) -> None:
        super().__init__(f"the newest revision of {zergling_id} has not arrived yet")


class Reader:
    """Reads zerglings from one store. Thread-safe.

    Args:
        store: holds the zerglings.
        archive: holds the older parts of their histories.
    """

    def __init__(self, store: Store, archive: Archive) -> None:
        self._store = store
        self._archive = archive
        self._bases = BaseRecovery(archive)
        self._writer = Writer(store, archive)
        self.mover = Mover(archive)

    def read(
        self,
        zergling_ids: Collection[str],
        *,
        timeout: float,
        all_copies: bool = False,
        to_change: bool = False,
    ) -> dict[str, Found]:
        """Return zerglings by id, including dead ones. Ids that were never stored are missing.

        An error that concerns one zergling is the result for its id.

        Args:
            zergling_ids: which zerglings to read.
            timeout: seconds for the read, and half as many again for last states, for merging and
                for restoring lost bases. What is not merged in time is served unmerged, or merged
                without being written back. A zergling whose base cannot be restored in time gets an
                error.
            all_copies: read every node's copy instead of a majority's.
            to_change: whether the caller is going to change them. A history that is too long to be
                changed then gives ``LongHistory``: move it into chunks and read again, see
                ``Mover``. A zergling whose merge has not arrived yet gives ``MissingMerge``, unless
                it was dead here. Other reads get what this store held before, if it still has it.

        Raises:
            StoreUnavailable: the read failed as a whole.
        """
        if not zergling_ids:
            return {}
        documents = self._store.get_many(zergling_ids, timeout=timeout, all_copies=all_copies)
        decoded = {id_: _decode_leaves(leaves) for id_, leaves in documents.items()}
        time_left = TimeLeft(timeout * MERGE_SHARE)
        # Rivals and last states come last, so that they take no time from the others.
        ordered = sorted(decoded.items(), key=lambda item: len(item[1]) > 1)
        found = {
            id_: self._resolve(zerglings, time_left, all_copies=all_copies)
            for id_, zerglings in ordered
        }
        if to_change:
            found = {id_: self._shorten(each) for id_, each in found.items()}
        return found | {
            id_: self._last_state(id_, time_left, to_change=to_change)
            for id_, leaves in documents.items()
            if isinstance(leaves, MergedAway)
        }

    def page(self, after: str | None, limit: int) -> Page:
        """Return a page of documents as they are stored, see ``Store.page``; retry quick failures.

        Raises:
            StoreUnavailable: every attempt within the retry budget failed.
        """
        budget = RetryBudget()
        while True:
            began = time.monotonic()
            try:
                return self._store.page(after, limit, timeout=budget.call_timeout)
            except StoreUnavailable as error:
                if (end := budget.record_failure(error, time.monotonic() - began)) is not None:
                    raise end from error
            time.sleep(budget.next_pause())

    def _shorten(self, found: Found) -> Found:
        try:
            return self.mover.shorten(found) if isinstance(found, Zergling) else found
        except LongHistory as error:
            return error

    def _resolve(
        self, zerglings: Sequence[Zergling], time_left: TimeLeft, *, all_copies: bool
    ) -> Found:
        try:
            leaves = self._load(zerglings, time_left)
            if len(leaves) > 1:
                return self._merge_and_write(leaves, time_left, all_copies=all_copies)
        except StoreError as error:
            return error
        return leaves[0].zergling if leaves else None

    def _last_state(
        self, zergling_id: str, time_left: TimeLeft, *, to_change: bool
    ) -> Zergling | StoreError:
        """Return the zergling as it was here before its leaves were merged; store nothing.

        Of several states that is a dead one, or else the one with the most commands. A change gets
        ``MissingMerge``, unless the zergling is dead.
        """
        try:
            documents = self._store.last_states(zergling_id, timeout=time_left())
            states = [self._bases.restore(each, time_left) for each in _decode_leaves(documents)]
        except StoreError as error:
            return error
        state = max(states, key=lambda each: (each.is_dead, each.command_count), default=None)
        if state is None or (to_change and not state.is_dead):
            return MissingMerge(zergling_id)
        counters.part_left_out()
        logger.info("The merge of %s has not arrived, so its last state is shown", zergling_id)
        return state

    def _load(self, rivals: Sequence[Zergling], time_left: TimeLeft) -> list[Leaf]:
        """Return the rivals that can be merged now, with their older requests.

        Rivals whose chunks have not arrived yet are left out and stay in the store. A later read
        merges them. If the chunks cannot be read in time, only one rival is returned.

        Raises:
            StoreUnavailable: no rival may be served alone. One that lacks its base may not: the
                idempotency keys of its older part are unknown. A dead one needs no keys.
        """
        if len(rivals) <= 1 and not any(rival.lacks_base for rival in rivals):
            return [Leaf(rival) for rival in rivals]
        restored: list[Zergling] = []
        try:
            for rival in rivals:
                restored.append(self._bases.restore(rival, time_left))
            leaves = self._archive.load_leaves(complete_rivals(restored), time_left)
        except StoreUnavailable as error:
            known = [each for each in (*restored, *rivals) if each.is_dead or not each.lacks_base]
            if not known:
                raise
            logger.info("Could not read all rivals of %s, will retry: %s", rivals[0].id, error)
            leaves = [Leaf(_to_serve_alone(known))]
        if len(leaves) < len(rivals):
            counters.part_left_out()
        return leaves

    def _merge_and_write(
        self, leaves: list[Leaf], time_left: TimeLeft, *, all_copies: bool
    ) -> Zergling:
        """Return the merged zergling. It is written back if the store answers in time."""
        merged = merge(leaves)
        counters.merged()
        logger.info("Merged %d rival revisions of %s", len(leaves), merged.id)
        try:
            for _ in range(MERGE_ATTEMPTS):
                stored = self._write_back(merged, leaves, time_left)
                if stored is not None:
                    return stored
                leaves = self._read_again(merged.id, time_left, all_copies=all_copies)
                merged = merge(leaves)
        except StoreError as error:
            logger.warning("Could not store the merge of %s: %s", merged.id, error)
        return merged

    def _read_again(self, zergling_id: str, time_left: TimeLeft, *, all_copies: bool) -> list[Leaf]:
        found = self._store.get_many([zergling_id], timeout=time_left(), all_copies=all_copies)
        leaves = self._load(_decode_leaves(found.get(zergling_id, [])), time_left)
        if not leaves:
            raise StoreUnavailable(f"{zergling_id} was removed during the merge")
        return leaves

    def _write_back(
        self, merged: Zergling, leaves: Sequence[Leaf], time_left: TimeLeft
    ) -> Zergling | None:
        """Store the merge and delete the losers. Return None if another write came first."""
        if len(leaves) == 1:
            return merged
        ((stored, result),) = self._writer.write([merged], [len(merged.history)], time_left)
        if isinstance(result, Conflict):
            return None
        if isinstance(result, StoreError):
            raise result
        if not result.is_minority:
            for leaf in leaves:
                if leaf.zergling.revision != merged.revision:
                    self._delete(leaf.zergling, time_left)
        return replace(stored, revision=result.revision)

    def _delete(self, loser: Zergling, time_left: TimeLeft) -> None:
        tombstone = {"_id": loser.id, "_rev": loser.revision, "_deleted": True, MERGED: True}
        try:
            (result,) = self._store.put_many([tombstone], timeout=time_left())
        except StoreError as error:
            result = error
        if isinstance(result, StoreError):  # it remains a rival, and the next reader merges it
            logger.info("Could not delete a merged rival of %s: %s", loser.id, result)


def _to_serve_alone(rivals: Sequence[Zergling]) -> Zergling:
    """Return the rival to serve while they are unmerged: a dead one, or else CouchDB's winner."""
    return next((rival for rival in rivals if rival.is_dead), rivals[0])


def _decode_leaves(leaves: Sequence[Document]) -> list[Zergling]:
    zerglings = (decode_or_skip(decode, leaf) for leaf in leaves)
    return [zergling for zergling in zerglings if zergling is not None]


def decode_or_skip(read: Callable[[Document], Result], document: Document) -> Result | None:
    """Return ``read(document)``. If the document is not a zergling, log that and return None."""
    try:
        return read(document)
    except NotAZergling as error:
        logger.warning("Document %r is not a zergling: %s", document.get("_id"), error)
        return None
