"""Base recovery: finds the chunks of documents that the original service rewrote.

The original service drops ``base``, which names the newest chunk. Without it, a chunk can only be
recognised by its last pose. While the chunk may still arrive, the zergling is stored without a
base, so that a later read can restore it.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import chain
from typing import TypeVar

from zerglings.domain.chunks import Chunk
from zerglings.domain.pose import ORIGINAL_SPAWN, Pose
from zerglings.domain.zergling import Base, Zergling
from zerglings.repository.archive import SHORTEST_TAIL, Archive
from zerglings.repository.chunk_store import MissingChunk
from zerglings.repository.retry_budget import TimeLeft

Value = TypeVar("Value")

CACHE_SIZE = 2000
"""Number of revisions without a base to remember for which no chunk was found, and of chunks whose
spawn is remembered."""

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
        self._spawns: OrderedDict[str, Pose] = OrderedDict()
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
        chunks = self._archive.all_newest_first(zergling.id, timeout=timeout)
        attempts = _newest_that_end_at(zergling.base.pose, chunks)
        if not attempts:
            self._remember(self._chunkless, cache_key, time.monotonic() + CHUNKLESS_FOR)
            return zergling
        chunk = _find_continued(attempts, zergling.history)
        found = replace(zergling, base=Base(chunk.after, chunk.end, chunk.id))
        try:
            spawn = self._spawn_before(chunk, found, timeout)
        except MissingChunk:
            return found
        return replace(found, spawn=spawn, lacks_base=False)

    def _spawn_before(self, newest: Chunk, zergling: Zergling, timeout: float) -> Pose:
        """Return where a zergling with this newest chunk spawned.

        The original drops the base with every write, so the spawn is remembered. Then only newer
        chunks are read.

        Raises:
            MissingChunk: an older chunk is missing.
        """
        for chunk in chain([newest], self._archive.newest_first(zergling, timeout=timeout)):
            with self._lock:
                known = self._spawns.get(chunk.id)
            spawn = known or chunk.before
            if known is not None:
                break
        self._remember(self._spawns, newest.id, spawn)
        return spawn

    def _remember(self, cache: OrderedDict[str, Value], key: str, value: Value) -> None:
        with self._lock:
            cache[key] = value
            cache.move_to_end(key)
            while len(cache) > CACHE_SIZE:
                cache.popitem(last=False)


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


def _newest_that_end_at(pose: Pose, newest_first: Iterable[Chunk]) -> list[Chunk]:
    """Return the newest chunk whose last pose is this, and others of its start. Read no more."""
    found: list[Chunk] = []
    for chunk in newest_first:
        if found and chunk.start < found[0].start:
            break
        if chunk.after == pose:
            found.append(chunk)
    return found


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
