"""A rate limiter that all processes of a service share: the generic cell rate algorithm (GCRA).

The algorithm is in ITU-T I.371, appendix A. It keeps one number for each caller, the theoretical
arrival time in nanoseconds: the moment at which the caller's next request would be due if all of
its requests had come at an even pace. In any time `t` a caller gets at most
`burst + t * count / period` requests.

The table is shared memory of a fixed size, inherited by the forked workers. When a row is full,
a new caller replaces the one with the earliest arrival time. The replaced caller then has its whole
burst again. So a full table rejects no request by itself.
"""

from __future__ import annotations

import fcntl
import mmap
import re
import secrets
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, lru_cache
from hashlib import blake2b

from overmind_project.multiprocess import shared_directory

SECOND = 1_000_000_000
"""Nanoseconds in a second."""

_PERIODS = {"s": SECOND, "min": 60 * SECOND, "h": 3600 * SECOND}
_RATE = re.compile(r"([1-9][0-9]{0,5})/(s|min|h)(?::([1-9][0-9]{0,5}))?")

ROWS = 8192
SLOTS_PER_ROW = 8
"""Maximum number of callers in a row."""

_WORDS_PER_ROW = 2 * SLOTS_PER_ROW
"""A row holds the fingerprints of its callers, followed by their arrival times."""

_WORD_BYTES = 8
_CACHED_KEYS = 4096


@dataclass(frozen=True, slots=True)
class Rate:
    """A number of requests in a period, and the burst that is allowed after a pause.

    Args:
        count: requests in a period.
        period: length of the period in nanoseconds.
        burst: requests that may come at once.
    """

    count: int
    period: int
    burst: int

    @classmethod
    def parse(cls, text: str) -> Rate:
        """Parse a rate such as `100/s`, `600/min` or, with a burst, `100/s:20`.

        >>> Rate.parse("100/s:20")
        Rate(count=100, period=1000000000, burst=20)

        Raises:
            ValueError: the text is not a rate.
        """
        match = _RATE.fullmatch(text)
        if match is None:
            raise ValueError(f"{text!r} is not a rate")
        count = int(match[1])
        return cls(count, _PERIODS[match[2]], int(match[3] or count))

    @property
    def interval(self) -> int:
        """Nanoseconds between two requests at an even pace, rounded up."""
        return -(-self.period // self.count)


@dataclass(frozen=True, slots=True)
class SlotKey:
    """Identifies a caller in the table: the row to search, and the fingerprint to search for."""

    row: int
    fingerprint: int


class Limiter:
    """Limits the requests of each caller to one rate, with a table that all processes share.

    A lock for each row (`fcntl`) excludes other processes; the kernel releases it when its
    process ends. If a process is killed during a write, one caller loses at most its burst. Two
    threads of one process must not call methods at the same time: the lock does not exclude them.
    Greenlets may, because no method yields.

    Args:
        rate: the limit of each caller.
        clock: returns nanoseconds; all processes must read the same clock.
        rows: rows of `SLOTS_PER_ROW` callers each; a power of two.
    """

    def __init__(
        self, rate: Rate, clock: Callable[[], int] = time.monotonic_ns, rows: int = ROWS
    ) -> None:
        self._clock = clock
        self._interval = rate.interval
        self._burst = rate.burst * rate.interval
        self._rows = rows
        self._words = memoryview(mmap.mmap(-1, rows * _WORDS_PER_ROW * _WORD_BYTES)).cast("q")
        self._lock = tempfile.TemporaryFile(dir=shared_directory())  # noqa: SIM115 - open until `close`; nothing is written to it
        # A random key, so that callers cannot predict which of them share a row.
        self._hash_key = secrets.token_bytes(16)
        self.slot_key = lru_cache(_CACHED_KEYS)(self.compute_slot_key)

    def close(self) -> None:
        """Close the file that is used for locking."""
        self._lock.close()

    def compute_slot_key(self, caller: str) -> SlotKey:
        """Return the key of a caller's name; `slot_key` is the same with a cache."""
        digest = blake2b(caller.encode(errors="surrogateescape"), digest_size=8, key=self._hash_key)
        fingerprint = int.from_bytes(digest.digest(), signed=True) or 1  # 0 is a free slot
        return SlotKey(fingerprint % self._rows, fingerprint)

    def wait(self, key: SlotKey) -> int:
        """Return the nanoseconds until a caller's next request is allowed, or 0; charge nothing."""
        return max(0, self._due(key) + self._interval - self._clock() - self._burst)

    def is_known(self, key: SlotKey) -> bool:
        """Return whether part of the caller's burst is used up now."""
        return self._due(key) > self._clock()

    def _due(self, key: SlotKey) -> int:
        """Return the caller's arrival time, 0 if it has no slot.

        This takes no lock. If another process reassigns the slot meanwhile, the second comparison
        of the fingerprint detects it.
        """
        words = self._words
        first = key.row * _WORDS_PER_ROW
        fingerprints = words[first : first + SLOTS_PER_ROW].tolist()
        if key.fingerprint not in fingerprints:
            return 0
        slot = first + fingerprints.index(key.fingerprint)
        due: int = words[slot + SLOTS_PER_ROW]
        return due if words[slot] == key.fingerprint else 0

    def take(self, key: SlotKey, *, allow_overdraft: bool = False) -> int:
        """Charge one request to a caller, if its limit allows it.

        Args:
            key: the caller.
            allow_overdraft: charge it beyond the limit too; the debt is at most one request.

        Returns:
            0 if the request was charged, else the nanoseconds after which to try again.
        """
        row = key.row
        fcntl.lockf(self._lock, fcntl.LOCK_EX, 1, row)
        try:
            now = self._clock()
            slot, due = self._slot_of(key)
            due = max(due, now) + self._interval
            wait = due - now - self._burst
            if wait > 0:
                if not allow_overdraft:
                    return wait
                due = min(due, now + self._burst + self._interval)
            self._words[slot] = key.fingerprint
            self._words[slot + SLOTS_PER_ROW] = due
        finally:
            fcntl.lockf(self._lock, fcntl.LOCK_UN, 1, row)
        return 0

    def reset(self, key: SlotKey) -> None:
        """Give a caller its whole burst back."""
        row = key.row
        fcntl.lockf(self._lock, fcntl.LOCK_EX, 1, row)
        try:
            if self._due(key):
                slot, _ = self._slot_of(key)
                self._words[slot] = self._words[slot + SLOTS_PER_ROW] = 0
        finally:
            fcntl.lockf(self._lock, fcntl.LOCK_UN, 1, row)

    def _slot_of(self, key: SlotKey) -> tuple[int, int]:
        """Return the index of the caller's slot, and its arrival time.

        A new caller gets the slot with the earliest arrival time, and 0 as its own arrival time.
        """
        first = key.row * _WORDS_PER_ROW
        fingerprints = self._words[first : first + SLOTS_PER_ROW].tolist()
        if key.fingerprint in fingerprints:
            slot = first + fingerprints.index(key.fingerprint)
            return slot, self._words[slot + SLOTS_PER_ROW]
        due = self._words[first + SLOTS_PER_ROW : first + _WORDS_PER_ROW].tolist()
        return first + due.index(min(due)), 0


RECENT_TOKEN_RATE = Rate(1, 3600 * SECOND, burst=2)
"""The rate of the limiter that remembers each token for at least an hour after its last use.

Each use moves the token's arrival time an hour further into the future, at most to two hours from
now. A use that would exceed this changes nothing: the arrival time is already more than an hour
away.
"""


@cache
def shared_limiters(rate: Rate) -> tuple[Limiter, Limiter]:
    """Return the limiter of callers, and the one that remembers recently used tokens.

    The main process calls this before the fork, so that all workers share them.
    """
    return Limiter(rate), Limiter(RECENT_TOKEN_RATE)
