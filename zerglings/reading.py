"""Reading zerglings: what the store has, with rivals settled on the way.

Every read that sees rival revisions merges them and writes the merge back, in an order that leaves
every request in a living leaf at every moment: first the merged document onto the winner, and only
when a majority has it, the losers are deleted, each by the revision that was merged.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Collection, Sequence
from dataclasses import replace

from zerglings.archive import Archive
from zerglings.chunks import shortened
from zerglings.document import NotAZergling, decode, encode
from zerglings.merging import merge
from zerglings.storage.base import Conflict, Document, Store, StoreError
from zerglings.zergling import Zergling

logger = logging.getLogger(__name__)

SETTLING_ROUNDS = 3
"""How often rivals are merged anew when others change them meanwhile; then the next reader may."""

Found = Zergling | StoreError | None
"""What a read found: None for a document that was deleted or is no zergling."""


class Reader:
    """Reads zerglings of one store. Safe to use from many threads at once.

    Args:
        store: where the zerglings are.
        archive: where the older parts of their histories are.
        tail: words that a document keeps when its history is shortened.
    """

    def __init__(self, store: Store, archive: Archive, tail: int) -> None:
        self._store = store
        self._archive = archive
        self._tail = tail

    def read(
        self, zergling_ids: Collection[str], *, timeout: float, all_copies: bool = False
    ) -> dict[str, Found]:
        """Return zerglings by id, dead ones too; an id that was never stored is not among them.

        What is wrong with one of them is its own result. ``timeout`` is for each store call.

        Raises:
            StoreUnavailable: none could be read.
        """
        if not zergling_ids:
            return {}
        documents = self._store.get_many(zergling_ids, timeout=timeout, all_copies=all_copies)
        return {id_: self._found(leaves, timeout) for id_, leaves in documents.items()}

    def _found(self, leaves: Sequence[Document], timeout: float) -> Found:
        try:
            zerglings = self._decoded(leaves, timeout)
            if len(zerglings) > 1:
                return self._settled(zerglings, timeout)
        except StoreError as error:
            return error
        return zerglings[0] if zerglings else None

    def _decoded(self, leaves: Sequence[Document], timeout: float) -> list[Zergling]:
        zerglings = (zergling for leaf in leaves if (zergling := decode_or_log(leaf)) is not None)
        return [
            self._archive.completed(zergling, self._tail, timeout=timeout) for zergling in zerglings
        ]

    def _settled(self, rivals: list[Zergling], timeout: float) -> Zergling:
        """Return the merged zergling, written back if that was possible in time."""
        ends = time.monotonic() + timeout
        for _ in range(SETTLING_ROUNDS):
            merged = merge(self._archive.leaves(rivals, timeout=timeout))
            logger.info("Merged %d rival revisions of %s", len(rivals), merged.id)
            try:
                return self._write_back(merged, rivals, timeout)
            except Conflict:
                if time.monotonic() > ends:
                    break
                leaves = self._store.get_many([merged.id], timeout=timeout).get(merged.id, [])
                rivals = self._decoded(leaves, timeout) or rivals
                if len(rivals) == 1:
                    return rivals[0]
            except StoreError as error:
                logger.warning("The merge of %s was not written: %s", merged.id, error)
                break
        return merged

    def _write_back(self, merged: Zergling, rivals: Sequence[Zergling], timeout: float) -> Zergling:
        shorter, chunks = shortened(merged, self._tail)
        if chunks:
            self._archive.keep(chunks, timeout=timeout)
        (result,) = self._store.put_many([encode(shorter)], timeout=timeout)
        if isinstance(result, StoreError):
            raise result
        if not result.is_minority:
            for loser in rivals:
                if loser.revision != merged.revision:
                    self._delete(loser, timeout)
        return replace(shorter, revision=result.revision)

    def _delete(self, loser: Zergling, timeout: float) -> None:
        tombstone = {"_id": loser.id, "_rev": loser.revision, "_deleted": True}
        try:
            (result,) = self._store.put_many([tombstone], timeout=timeout)
        except StoreError as error:
            result = error
        if isinstance(result, StoreError):  # it stays a rival, which the next reader merges
            logger.info("A merged rival of %s was not deleted: %s", loser.id, result)


def decode_or_log(document: Document) -> Zergling | None:
    """Return the zergling of a document; one that is none is logged."""
    try:
        return decode(document)
    except NotAZergling as error:
        logger.warning("Document %r is not a zergling: %s", document.get("_id"), error)
        return None
