"""Reading zerglings: what the store has, with rivals settled on the way.

Every read that sees rival revisions merges them and writes the merge back, in an order that leaves
every request in a living leaf at every moment: first the merged document onto the winner, and only
when a majority has it, the losers are deleted, each by the revision that was merged.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from typing import TypeVar

from zerglings.documents import Document
from zerglings.domain.document import NotAZergling, decode
from zerglings.domain.merging import merge
from zerglings.domain.zergling import Zergling
from zerglings.repository import counters
from zerglings.repository.archive import Archive
from zerglings.repository.moving import LongHistory, Mover
from zerglings.repository.retry_budget import TimeLeft
from zerglings.repository.writing import Writer
from zerglings.storage.base import Conflict, Store, StoreError, StoreUnavailable

logger = logging.getLogger(__name__)

Result = TypeVar("Result")

SETTLING_ROUNDS = 3
"""How often rivals are merged anew when others change them meanwhile; then the next reader may."""

Found = Zergling | StoreError | None
"""What a read found: None for a document that was deleted or is no zergling."""


class Reader:
    """Reads zerglings of one store. Safe to use from many threads at once.

    Args:
        store: where the zerglings are.
        archive: where the older parts of their histories are.
    """

    def __init__(self, store: Store, archive: Archive) -> None:
        self._store = store
        self._archive = archive
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
        """Return zerglings by id, dead ones too; an id that was never stored is not among them.

        What is wrong with one of them is its own result.

        Args:
            zergling_ids: which zerglings to read.
            timeout: seconds for the read, and as many again for merging what needs it.
            all_copies: whether to read every node's copy.
            to_change: whether the caller is going to change them. A history too long for that gives
                ``LongHistory`` as the result: the caller moves it into chunks and reads again.

        Raises:
            StoreUnavailable: none could be read.
        """
        if not zergling_ids:
            return {}
        documents = self._store.get_many(zergling_ids, timeout=timeout, all_copies=all_copies)
        decoded = {id_: _decoded(leaves) for id_, leaves in documents.items()}
        time_left = TimeLeft(timeout)
        found = {
            id_: self._found(zerglings, time_left, all_copies=all_copies)
            for id_, zerglings in decoded.items()
        }
        return {id_: self._shortened(each) for id_, each in found.items()} if to_change else found

    def _shortened(self, found: Found) -> Found:
        try:
            return self.mover.shortened(found) if isinstance(found, Zergling) else found
        except LongHistory as error:
            return error

    def _found(
        self, zerglings: Sequence[Zergling], time_left: TimeLeft, *, all_copies: bool
    ) -> Found:
        try:
            completed = self._completed(zerglings, time_left)
            if len(completed) > 1:
                return self._settled(completed, time_left, all_copies=all_copies)
        except StoreError as error:
            return error
        return completed[0] if completed else None

    def _completed(self, zerglings: Sequence[Zergling], time_left: TimeLeft) -> list[Zergling]:
        return [
            self._archive.completed(zergling, timeout=time_left())
            if zergling.is_stripped
            else zergling
            for zergling in zerglings
        ]

    def _settled(
        self, rivals: list[Zergling], time_left: TimeLeft, *, all_copies: bool
    ) -> Zergling:
        """Return the merged zergling, written back if that was possible in time."""
        merged = merge(self._archive.leaves(rivals, timeout=time_left()))
        counters.merged()
        logger.info("Merged %d rival revisions of %s", len(rivals), merged.id)
        try:
            for _ in range(SETTLING_ROUNDS):
                stored = self._write_back(merged, rivals, time_left)
                if stored is not None:
                    return stored
                rivals = self._read_again(merged.id, time_left, all_copies=all_copies)
                merged = merge(self._archive.leaves(rivals, timeout=time_left()))
        except StoreError as error:
            logger.warning("The merge of %s was not written: %s", merged.id, error)
        return merged

    def _read_again(
        self, zergling_id: str, time_left: TimeLeft, *, all_copies: bool
    ) -> list[Zergling]:
        found = self._store.get_many([zergling_id], timeout=time_left(), all_copies=all_copies)
        zerglings = self._completed(_decoded(found.get(zergling_id, [])), time_left)
        if not zerglings:
            raise StoreUnavailable(f"{zergling_id} is gone")
        return zerglings

    def _write_back(
        self, merged: Zergling, rivals: Sequence[Zergling], time_left: TimeLeft
    ) -> Zergling | None:
        """Store the merge and delete the losers; return None if others were faster."""
        if len(rivals) == 1:
            return merged
        ((stored, result),) = self._writer.write([merged], [len(merged.history)], time_left)
        if isinstance(result, Conflict):
            return None
        if isinstance(result, StoreError):
            raise result
        if not result.is_minority:
            for loser in rivals:
                if loser.revision != merged.revision:
                    self._delete(loser, time_left)
        return replace(stored, revision=result.revision)

    def _delete(self, loser: Zergling, time_left: TimeLeft) -> None:
        tombstone = {"_id": loser.id, "_rev": loser.revision, "_deleted": True}
        try:
            (result,) = self._store.put_many([tombstone], timeout=time_left())
        except StoreError as error:
            result = error
        if isinstance(result, StoreError):  # it stays a rival, which the next reader merges
            logger.info("A merged rival of %s was not deleted: %s", loser.id, result)


def _decoded(leaves: Sequence[Document]) -> list[Zergling]:
    zerglings = (decode_or_skip(decode, leaf) for leaf in leaves)
    return [zergling for zergling in zerglings if zergling is not None]


def decode_or_skip(read: Callable[[Document], Result], document: Document) -> Result | None:
    """Return what ``read`` makes of a document; one that is no zergling is logged."""
    try:
        return read(document)
    except NotAZergling as error:
        logger.warning("Document %r is not a zergling: %s", document.get("_id"), error)
        return None
