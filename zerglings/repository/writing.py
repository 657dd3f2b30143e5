"""Writing zerglings: long histories are shortened on the way, and what is too large is shrunk.

Whatever becomes of one of them, the others are written.
"""

from __future__ import annotations

from collections.abc import Sequence

from zerglings.domain.document import encode
from zerglings.domain.zergling import Zergling
from zerglings.repository.archive import Archive
from zerglings.repository.retry_budget import TimeLeft
from zerglings.storage.base import Store, StoreError, StoreUnavailable, TooLarge, Written

Attempt = tuple[Zergling, Written | StoreError]
"""The form of a zergling that was last tried, and what became of it."""


class Writer:
    """Writes zerglings to one store. Safe to use from many threads at once.

    Args:
        store: where they go.
        archive: where the older parts of their histories go.
    """

    def __init__(self, store: Store, archive: Archive) -> None:
        self._store = store
        self._archive = archive

    def write(
        self, zerglings: Sequence[Zergling], stored: Sequence[int], time_left: TimeLeft
    ) -> list[Attempt]:
        """Store zerglings and return what became of each, in the same order.

        Args:
            zerglings: what is to be stored.
            stored: how many words of each, from the first one on, its document has already.
            time_left: for all store calls together.

        Raises:
            StoreError: what became of all of them.
        """
        states = self._archive.shortened(zerglings, stored, time_left)
        results = self._store.put_many(list(map(encode, states)), timeout=time_left())
        return [
            self._shrunk(state, known - (state.base.count - before.base.count), result, time_left)
            if isinstance(result, TooLarge)
            else (state, result)
            for before, known, state, result in zip(zerglings, stored, states, results, strict=True)
        ]

    def _shrunk(
        self, zergling: Zergling, stored: int, refusal: TooLarge, time_left: TimeLeft
    ) -> Attempt:
        for shorter, chunks in self._archive.smaller(zergling, stored):
            try:
                if chunks:
                    self._archive.keep(chunks, timeout=time_left())
            except TooLarge:
                continue
            except StoreError as error:
                why = f"the older part of a history could not be moved: {error}"
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
