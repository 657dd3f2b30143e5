"""The revision cache: zerglings as last seen, to attempt a write without reading first.

The write's compare-and-swap detects a stale entry. That costs more than it saves if other processes
often change the same zerglings. So the cache tracks how often its entries are stale, and is
bypassed while that is too often. Every answer still needs a store call.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass

from zerglings.domain.zergling import DIED, Zergling
from zerglings.repository import counters

SIZE_LIMIT = 16 * 1024 * 1024
"""Estimated bytes that the cached zerglings may take."""

READ_EVERY = 32
"""Every 32nd write of a zergling reads first: a write alone never detects rival revisions."""

STALE_SHARE_LIMIT = 0.1
"""Share of stale entries above which the cache is bypassed: a failed write costs as much as several
reads."""

STALE_SHARE_WEIGHT = 0.05
"""Weight of the newest observation in the moving average of the share of stale entries."""

_BYTES_A_ZERGLING, _BYTES_A_WORD = 900, 80


@dataclass(slots=True)
class _Entry:
    zergling: Zergling
    size: int
    uses: int = 0


class RevisionCache:
    """Zerglings by id, with least-recently-used eviction. Thread-safe.

    Args:
        size_limit: bytes that the entries may take, as estimated.
    """

    def __init__(self, size_limit: int = SIZE_LIMIT) -> None:
        self._size_limit = size_limit
        self._entries: OrderedDict[str, _Entry] = OrderedDict()
        self._size = 0
        self._stale_share = 0.0
        self._lock = threading.Lock()

    def get_for_write(self, zergling_id: str) -> Zergling | None:
        """Return a zergling to base a write on, or None if it should be read first."""
        with self._lock:
            entry = self._entries.get(zergling_id)
            if entry is None or self._stale_share > STALE_SHARE_LIMIT:
                return None
            entry.uses += 1
            return entry.zergling if entry.uses % READ_EVERY else None

    def record_read(self, zergling: Zergling) -> None:
        """Store what a read found, and record whether the cached entry was stale."""
        counters.cache_missed()
        with self._lock:
            entry = self._entries.get(zergling.id)
            if entry is not None:
                self._observe(is_stale=entry.zergling.revision != zergling.revision)
            self._remember(zergling, uses=0)

    def record_write(self, zergling: Zergling, *, was_cached: bool) -> None:
        """Store a zergling that was written, with its new revision.

        Args:
            zergling: as it was stored.
            was_cached: whether the write was based on ``get_for_write``.
        """
        with self._lock:
            if was_cached:
                counters.cache_hit()
                self._observe(is_stale=False)
            entry = self._entries.get(zergling.id)
            self._remember(zergling, uses=entry.uses if entry else 0)

    def record_failure(self, zergling_id: str, *, was_cached: bool) -> None:
        """Remove a zergling whose write conflicted or has an unknown outcome.

        Args:
            zergling_id: the zergling.
            was_cached: whether the write was based on ``get_for_write``.
        """
        with self._lock:
            if was_cached:
                counters.cache_stale()
                self._observe(is_stale=True)
            if (entry := self._entries.pop(zergling_id, None)) is not None:
                self._size -= entry.size

    def clear(self) -> None:
        """Remove all entries: a store that replaced the old one might accept their revisions."""
        with self._lock:
            self._entries.clear()
            self._size = 0

    def _observe(self, *, is_stale: bool) -> None:
        self._stale_share += STALE_SHARE_WEIGHT * (is_stale - self._stale_share)

    def _remember(self, zergling: Zergling, uses: int) -> None:
        if (old := self._entries.pop(zergling.id, None)) is not None:
            self._size -= old.size
        if zergling.history[-1:] == (DIED,):
            return  # dead zerglings are not written again
        size = _BYTES_A_ZERGLING + _BYTES_A_WORD * len(zergling.history)
        self._entries[zergling.id] = _Entry(zergling, size, uses)
        self._size += size
        while self._size > self._size_limit:
            _, oldest = self._entries.popitem(last=False)
            self._size -= oldest.size
