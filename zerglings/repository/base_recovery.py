"""Base recovery: finds the chunks of documents that the original service rewrote.

The original service drops ``base``, which names the newest chunk. Without it, a chunk can only be
recognised by its last pose. While the chunk may still arrive, the zergling is stored without a
base, so that a later read can restore it.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import replace
from itertools import islice, takewhile

from zerglings.domain.chunks import Chunk
from zerglings.domain.pose import ORIGINAL_SPAWN
from zerglings.domain.zergling import Base, Zergling
from zerglings.repository.archive import SHORTEST_TAIL, Archive
from zerglings.repository.chunk_store import MissingChunk
from zerglings.repository.retry_budget import TimeLeft

CHUNKLESS_CACHE_SIZE = 2000
"""Number of revisions without a base to remember for which no chunk was found."""

CHUNKLESS_FOR = 10.0
"""Seconds for which that is remembered: replication may deliver the chunk later."""


class BaseRecovery:
    """Restores the bases of zerglings that lack one (see ``Zergling``). Thread-safe.

    Args:
        archive: holds their chunks.
    """

    def __init__(self, archive: Archive) -> None:
        self._archive = archive
        self._chunkless: OrderedDict[str, float] = OrderedDict()
        self._lock = threading.Lock()

    def restore(self, zergling: Zergling, time_left: TimeLeft) -> Zergling:
        """Restore the base and spawn of a zergling that lacks them. Return any other unchanged.

        Its history continues the newest chunk whose last pose is the pose at which the history
        begins. If several such chunks have the same start, they are competing attempts at one cut,
        and begin with the same words. A short history continues no chunk.

        If there is no such chunk, or an older one is missing, the zergling still lacks its base:
        replication may deliver the chunks later.

        Args:
            zergling: any zergling.
            time_left: the time that is left when the first store call begins limits each.

        Raises:
            CopiesBehind: copies in service lack documents, so that chunks may be missing.
            StoreUnavailable: the store failed, or a chunk is damaged.
        """
        shortest = min(self._archive.tail, SHORTEST_TAIL)  # a cut leaves at least this many
        if not zergling.lacks_base:
            return zergling
        if len(zergling.history) < shortest:
            return replace(zergling, lacks_base=False)
        cache_key = f"{zergling.id}@{zergling.revision}"
        if time.monotonic() < self._chunkless.get(cache_key, 0.0):
            return zergling
        # The chunks are older than what the original has written, so each complete copy lists them.
        # With an incomplete list, older history would be lost.
        timeout = time_left()
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
        try:
            *_, first = self._archive.newest_first(found, timeout=timeout)
        except MissingChunk:
            return found
        return replace(found, spawn=first.before, lacks_base=False)

    def _remember_chunkless(self, cache_key: str) -> None:
        with self._lock:
            self._chunkless[cache_key] = time.monotonic() + CHUNKLESS_FOR
            self._chunkless.move_to_end(cache_key)
            while len(self._chunkless) > CHUNKLESS_CACHE_SIZE:
                self._chunkless.popitem(last=False)


def complete_rivals(rivals: Sequence[Zergling]) -> list[Zergling]:
    """Return those rivals whose histories are known to begin at the same spawn.

    A rival that lacks its base begins at the spawn only if it begins at the spawn's pose. Otherwise
    its older words are in chunks that have not arrived yet. Without a rival that knows the spawn,
    it is where the original spawns. If none begins there, the spawn is unknown, and those that
    begin where the first does are returned.

    Args:
        rivals: one or more rivals, the highest-ranked first.
    """
    spawns = {rival.spawn for rival in rivals if not rival.lacks_base}
    if not spawns and Base(ORIGINAL_SPAWN) in [rival.base for rival in rivals]:
        spawns = {ORIGINAL_SPAWN}
    if not spawns:
        return [rival for rival in rivals if rival.base == rivals[0].base]
    return [
        replace(rival, lacks_base=False)
        for rival in rivals
        if not rival.lacks_base or (rival.base.chunk is None and rival.base.pose in spawns)
    ]


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
