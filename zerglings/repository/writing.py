"""Writes zerglings: shortens long histories first, and shrinks documents that are too large.

Each zergling is written independently: an error of one does not affect the others.
"""

from __future__ import annotations

from collections.abc import Sequence

from zerglings.domain.document_format import encode
from zerglings.domain.zergling import Zergling
from zerglings.repository.archive import Archive
from zerglings.repository.retry_budget import TimeLeft
from zerglings.storage.base import Store, StoreError, StoreUnavailable, TooLarge, Written

Attempt = tuple[Zergling, Written | StoreError]
"""The form of the zergling that the result applies to, and the result."""


class Writer:
    """Writes zerglings to one store. Thread-safe.

    Args:
        store: holds the zerglings.
        archive: holds the older parts of their histories.
    """

    def __init__(self, store: Store, archive: Archive) -> None:
        self._store = store
        self._archive = archive

    def write(
        self, zerglings: Sequence[Zergling], stored: Sequence[int], time_left: TimeLeft
    ) -> list[Attempt]:
        """Store zerglings. Return for each, in order, its form and the result.

        Args:
            zerglings: what to store.
            stored: for each, how many words the stored document already has, see
                ``chunks.shorten``.
            time_left: the time for all store calls together.

        Raises:
            StoreError: the write failed as a whole.
        """
        states = self._archive.shorten(zerglings, stored, time_left)
        results = self._store.put_many(list(map(encode, states)), timeout=time_left())
        # Shortening has moved the base, so the shortened history begins with fewer stored words.
        return [
            self._write_smaller(
                state, known - (state.base.count - before.base.count), result, time_left
            )
            if isinstance(result, TooLarge)
            else (state, result)
            for before, known, state, result in zip(zerglings, stored, states, results, strict=True)
        ]

    def _write_smaller(
        self, zergling: Zergling, stored: int, refusal: TooLarge, time_left: TimeLeft
    ) -> Attempt:
        """Store the largest form of a zergling that the store accepts, else return ``refusal``."""
        for shorter, chunks in self._archive.smaller_forms(zergling, stored):
            try:
                if chunks:
                    self._archive.store_chunks(chunks, timeout=time_left())
            except TooLarge:
                continue
            except StoreError as error:
                why = f"could not move older commands into chunks: {error}"
                return zergling, StoreUnavailable(why)
            result = self._put(shorter, time_left)
            if not isinstance(result, TooLarge):
                return shorter, result
        return zergling, refusal

    def _put(self, zergling: Zergling, time_left: TimeLeft) -> Written | StoreError:
        try:
            (result,) = self._store.put_many([encode(zergling)], timeout=time_left())
        except StoreError as error:
            return error
        return result
