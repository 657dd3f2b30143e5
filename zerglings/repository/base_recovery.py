"""Base recovery: finds the chunks of documents that the original service rewrote.

The original service drops ``base``, which names the newest chunk. Without it, a chunk can only be
recognised by its last pose.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import replace
from itertools import islice, takewhile

from zerglings.domain.chunks import Chunk
from zerglings.domain.zergling import Base, Zergling
from zerglings.repository.archive import SHORTEST_TAIL, Archive

CHUNKLESS_CACHE_SIZE = 2000
"""Number of stripped revisions to remember for which no chunk was found."""

CHUNKLESS_FOR = 10.0
"""Seconds for which that is remembered: replication may deliver the chunk later."""


class BaseRecovery:
    """Restores the bases of stripped zerglings (see ``Zergling``). Thread-safe.

    Args:
        archive: holds their chunks.
    """

    def __init__(self, archive: Archive) -> None:
        self._archive = archive
        self._chunkless: OrderedDict[str, float] = OrderedDict()
        self._lock = threading.Lock()

    def restore(self, zergling: Zergling, *, timeout: float) -> Zergling:
        """Restore the base and spawn of a stripped zergling. Return any other zergling unchanged.

        A stripped zergling's history continues the newest chunk whose last pose is the pose at
        which the history begins. If several such chunks have the same start, they are competing
        attempts at one cut, and begin with the same words.

        Args:
            zergling: any zergling.
            timeout: seconds for each store call.

        Raises:
            CopiesBehind: copies in service lack documents, so that chunks may be missing.
            StoreUnavailable: the store failed, or a chunk is missing or damaged.
        """
        shortest = min(self._archive.tail, SHORTEST_TAIL)  # a cut leaves at least this many
        if not zergling.is_stripped or len(zergling.history) < shortest:
            return zergling
        cache_key = f"{zergling.id}@{zergling.revision}"
        if time.monotonic() < self._chunkless.get(cache_key, 0.0):
            return zergling
        # The chunks are older than what the original has written, so each complete copy lists them.
        # With an incomplete list, older history would be lost.
        self._archive.check_copies(timeout=timeout)
        ending = (
            chunk
            for chunk in self._archive.all_newest_first(zergling.id, timeout=timeout)
            if chunk.after == zergling.base.pose
        )
        attempts = list(islice(ending, 1))
        attempts += takewhile(lambda chunk: chunk.start == attempts[0].start, ending)
        if not attempts:
            self._remember_chunkless(cache_key)
            return zergling
        chunk = _find_continued(attempts, zergling.history)
        found = replace(zergling, base=Base(chunk.after, chunk.end, chunk.id))
        *_, first = self._archive.newest_first(found, timeout=timeout)
        return replace(found, spawn=first.before)

    def _remember_chunkless(self, cache_key: str) -> None:
        with self._lock:
            self._chunkless[cache_key] = time.monotonic() + CHUNKLESS_FOR
            self._chunkless.move_to_end(cache_key)
            while len(self._chunkless) > CHUNKLESS_CACHE_SIZE:
                self._chunkless.popitem(last=False)


def _find_continued(attempts: Sequence[Chunk], history: tuple[str, ...]) -> Chunk:
    """Return the chunk that a history continues, out of competing attempts at one cut.

    All attempts hold words of the same zergling. A shorter attempt matches only if the history
    begins with the words that follow it in the longest attempt.
    """
    longest = max(attempts, key=lambda chunk: chunk.end)
    return next(
        chunk
        for chunk in sorted(attempts, key=lambda chunk: chunk.end)
        if (chunk.words + history)[: len(longest.words)] == longest.words
    )
