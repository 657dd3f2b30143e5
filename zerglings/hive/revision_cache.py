"""What this process last saw of zerglings, to attempt a write without reading first.

The write's compare-and-swap proves whether it was current. That pays only while few others move
the same zerglings, so the cache judges itself by what it would have got wrong, and stands aside
until it would have been right. Nothing is ever answered from it without asking the store.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass

from zerglings.domain.zergling import DIED, Zergling
from zerglings.repository import counters

SIZE_LIMIT = 16 * 1024 * 1024
"""Bytes that the remembered zerglings may take, as estimated."""

READ_EVERY = 32
"""Of so many writes of a zergling one reads first: a write alone never sees a rival revision."""

TOLERATED = 0.1
"""Share of stale revisions up to which attempts pay: a wasted write costs several reads."""

MEMORY = 0.05
"""Weight of the newest observation in the running share of stale ones."""

_BYTES_A_ZERGLING, _BYTES_A_WORD = 900, 80


@dataclass(slots=True)
class _Entry:
    zergling: Zergling
    size: int
    uses: int = 0


class RevisionCache:
    """Zerglings by id, the least recently used forgotten first. Safe to use from many threads."""

    def __init__(self, size_limit: int = SIZE_LIMIT) -> None:
        self._size_limit = size_limit
        self._entries: OrderedDict[str, _Entry] = OrderedDict()
        self._size = 0
        self._stale_share = 0.0
        self._lock = threading.Lock()

    def offer(self, zergling_id: str) -> Zergling | None:
        """Return a zergling to attempt a write with, None where reading first is better."""
        with self._lock:
            entry = self._entries.get(zergling_id)
            if entry is None or self._stale_share > TOLERATED:
                return None
            entry.uses += 1
            return entry.zergling if entry.uses % READ_EVERY else None

    def saw(self, zergling: Zergling) -> None:
        """Take in what a read found, and learn whether the remembered one was still current."""
        counters.cache_missed()
        with self._lock:
            entry = self._entries.get(zergling.id)
            if entry is not None:
                self._observe(is_stale=entry.zergling.revision != zergling.revision)
            self._remember(zergling, uses=0)

    def wrote(self, zergling: Zergling, *, was_offered: bool) -> None:
        """Take in what was stored under a new revision."""
        with self._lock:
            if was_offered:
                counters.cache_hit()
                self._observe(is_stale=False)
            entry = self._entries.get(zergling.id)
            self._remember(zergling, uses=entry.uses if entry else 0)

    def was_wrong(self, zergling_id: str, *, was_offered: bool) -> None:
        """Forget a zergling whose write was refused or is in doubt."""
        with self._lock:
            if was_offered:
                counters.cache_stale()
                self._observe(is_stale=True)
            if (entry := self._entries.pop(zergling_id, None)) is not None:
                self._size -= entry.size

    def forget(self) -> None:
        """Forget all: the store may be another one, and may take revisions of the old."""
        with self._lock:
            self._entries.clear()
            self._size = 0

    def _observe(self, *, is_stale: bool) -> None:
        self._stale_share += MEMORY * (is_stale - self._stale_share)

    def _remember(self, zergling: Zergling, uses: int) -> None:
        if (old := self._entries.pop(zergling.id, None)) is not None:
            self._size -= old.size
        if zergling.history[-1:] == (DIED,):
            return  # nobody writes to the dead, and they would take the place of the living
        size = _BYTES_A_ZERGLING + _BYTES_A_WORD * len(zergling.history)
        self._entries[zergling.id] = _Entry(zergling, size, uses)
        self._size += size
        while self._size > self._size_limit:
            _, oldest = self._entries.popitem(last=False)
            self._size -= oldest.size
