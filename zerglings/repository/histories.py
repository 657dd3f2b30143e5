"""Reads the history of a zergling from its document and its chunks.

Replication between regions may deliver a zergling before its chunks. A read waits two seconds for
a missing chunk. Then it returns the newer words, and says how many older ones are missing.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain

from zerglings.domain.zergling import Zergling
from zerglings.repository import counters
from zerglings.repository.archive import Archive
from zerglings.repository.chunk_store import DamagedChunk, MissingChunk
from zerglings.repository.retry_budget import STORE_CALL_TIMEOUT

logger = logging.getLogger(__name__)

ARRIVAL_LIMIT, ARRIVAL_PAUSE = 2.0, 0.2
"""Seconds to wait for a chunk that has not arrived yet, and between two looks for it."""

IN_VAIN_FOR = 10.0
"""Seconds for which a chunk is not waited for again, so that not each page takes long."""

IN_VAIN_SIZE = 1000
"""Maximum number of chunks to remember for that."""


@dataclass(frozen=True, slots=True)
class History:
    """Words of a zergling's history, oldest first.

    Args:
        parts: the words, in parts.
        missing: how many of the oldest words that were asked for have not arrived yet. ``parts``
            begins after them.
        after: the number of the word after those that were asked for, None if there is none.
    """

    parts: Iterator[Sequence[str]]
    missing: int
    after: int | None


class HistoryReader:
    """Reads histories. Thread-safe.

    Args:
        archive: holds the chunks.
        is_region: whether chunks may still be on their way from another region. Otherwise a
            missing chunk is an error.
    """

    def __init__(self, archive: Archive, *, is_region: bool) -> None:
        self._archive = archive
        self._is_region = is_region
        self._in_vain: dict[str, float] = {}

    def read(self, zergling: Zergling, offset: int, limit: int | None) -> History:
        """Return up to ``limit`` words of a history from number ``offset`` on.

        Iterating over the parts reads them from the store, and may raise ``StoreUnavailable``.

        Raises:
            MissingChunk: a chunk is damaged, or missing although there is no other region.
            StoreUnavailable: the store failed.
        """
        total = zergling.command_count
        end = total if limit is None else min(total, offset + limit)
        after = end if end < total else None
        try:
            return History(self._when_arrived(zergling, offset, end), 0, after)
        except DamagedChunk:
            raise
        except MissingChunk as error:
            if not self._is_region:
                raise
            logger.warning("The history of %s is incomplete here: %s", zergling.id, error)
        counters.part_left_out()
        known = self._archive.known_from(zergling, offset, timeout=STORE_CALL_TIMEOUT)
        start = min(known, end)
        return History(self._words(zergling, start, end), start - offset, after)

    def _when_arrived(self, zergling: Zergling, start: int, end: int) -> Iterator[Sequence[str]]:
        until = time.monotonic() + ARRIVAL_LIMIT
        while True:
            try:
                return self._words(zergling, start, end)
            except DamagedChunk:
                raise
            except MissingChunk as error:
                if not self._arrives(error.chunk_id, until):
                    raise

    def _arrives(self, chunk_id: str, until: float) -> bool:
        """Wait for a chunk. Return False at once if it was waited for in vain a moment ago."""
        if time.monotonic() < self._in_vain.get(chunk_id, 0.0):
            return False
        while time.monotonic() < until:
            time.sleep(ARRIVAL_PAUSE)
            if self._archive.has(chunk_id, timeout=STORE_CALL_TIMEOUT):
                return True
        if len(self._in_vain) >= IN_VAIN_SIZE:
            self._in_vain.clear()
        self._in_vain[chunk_id] = time.monotonic() + IN_VAIN_FOR
        return False

    def _words(self, zergling: Zergling, start: int, end: int) -> Iterator[Sequence[str]]:
        """Return the words from ``start`` to ``end``. The first part is read at once."""
        parts = self._archive.words(zergling, start, end, timeout=STORE_CALL_TIMEOUT)
        return chain([next(parts, ())], parts)
