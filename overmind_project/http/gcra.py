"""How often each of many callers may do something, counted by all processes of a service together.

The generic cell rate algorithm (ITU-T I.371, appendix A), in whole nanoseconds: of each caller only
the time is kept at which all that it took would have been due at an even pace. In any t seconds a
caller gets at most ``burst + t * count / period``.

The table is memory that is shared by whoever descends from the process that made it; it never
grows. Where more callers are active than have room, the one that is nearest to having all its burst
again is forgotten, which gives it that burst: room may run out, but nobody is refused for it. Knows
nothing of HTTP.
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

from overmind_project.multiprocess import shared_place

SECOND = 1_000_000_000
"""In nanoseconds."""

_PERIODS = {"s": SECOND, "min": 60 * SECOND, "h": 3600 * SECOND}
_RATE = re.compile(r"([1-9][0-9]{0,5})/(s|min|h)(?::([1-9][0-9]{0,5}))?")

ROWS = 8192
SLOTS = 8
"""Callers that find room in a row."""

_WORDS = 2 * SLOTS
"""Of a row: first the marks of its callers, then when all is due that they took."""

_WORD_BYTES = 8
_KNOWN_PLACES = 4096


@dataclass(frozen=True, slots=True)
class Rate:
    """So many in a period of so many nanoseconds, and so many at once after a rest."""

    count: int
    period: int
    burst: int

    @classmethod
    def parse(cls, text: str) -> Rate:
        """Return the rate that is written as ``100/s``, ``600/min`` or ``100/s:20``.

        Raises:
            ValueError: it is none.
        """
        match = _RATE.fullmatch(text)
        if match is None:
            raise ValueError(f"{text!r} is no rate")
        count = int(match[1])
        return cls(count, _PERIODS[match[2]], int(match[3] or count))

    @property
    def interval(self) -> int:
        """Nanoseconds between two at an even pace, rounded up."""
        return -(-self.period // self.count)


@dataclass(frozen=True, slots=True)
class Place:
    """Where in the table a caller is to be looked for, and by which mark."""

    row: int
    mark: int


class Limiter:
    """The table, for one rate.

    A row is locked by the kernel on behalf of a process, which loses the lock when it ends, however
    it ends; nothing that it may leave half written is wrong by more than one caller's burst. The
    methods must not be called by two threads of a process at once; greenlets never are here.

    Args:
        rate: of each caller.
        clock: nanoseconds since some point that all processes share.
        rows: room, for ``SLOTS`` callers each; a power of two.
    """

    def __init__(
        self, rate: Rate, clock: Callable[[], int] = time.monotonic_ns, rows: int = ROWS
    ) -> None:
        self._clock = clock
        self._interval = rate.interval
        self._burst = rate.burst * rate.interval
        self._rows = rows
        self._words = memoryview(mmap.mmap(-1, rows * _WORDS * _WORD_BYTES)).cast("q")
        self._lock = tempfile.TemporaryFile(dir=shared_place())  # noqa: SIM115 - as long as this object lives; never written
        self._key = secrets.token_bytes(16)  # nobody can know who shares a row with whom
        self.place_of = lru_cache(_KNOWN_PLACES)(self.new_place_of)

    def close(self) -> None:
        """Give up what the kernel keeps for it."""
        self._lock.close()

    def new_place_of(self, who: str) -> Place:
        """Return the place of a caller by its name; ``place_of`` keeps it in mind."""
        digest = blake2b(who.encode(errors="surrogateescape"), digest_size=8, key=self._key)
        mark = int.from_bytes(digest.digest(), signed=True) or 1  # 0 marks an empty seat
        return Place(mark % self._rows, mark)

    def wait(self, place: Place) -> int:
        """Return in how many nanoseconds the caller may have one; 0 if now. Takes none."""
        return max(0, self._due(place) + self._interval - self._clock() - self._burst)

    def knows(self, place: Place) -> bool:
        """Whether the caller does not have all its burst again."""
        return self._due(place) > self._clock()

    def _due(self, place: Place) -> int:
        """Return when all is due that a caller took, 0 if that is forgotten.

        It does not wait for the lock: a seat that gets another caller just now is not believed.
        """
        words = self._words
        first = place.row * _WORDS
        marks = words[first : first + SLOTS].tolist()
        if place.mark not in marks:
            return 0
        slot = first + marks.index(place.mark)
        due: int = words[slot + SLOTS]
        return due if words[slot] == place.mark else 0

    def take(self, place: Place, *, on_credit: bool = False) -> int:
        """Take one, and return 0; or take none, and return in how many nanoseconds there is one.

        On credit one is taken in any case, and what follows is due the later: by one more than the
        whole burst at most, however much was taken.
        """
        row = place.row
        fcntl.lockf(self._lock, fcntl.LOCK_EX, 1, row)
        try:
            now = self._clock()
            slot, due = self._slot_of(place)
            due = max(due, now) + self._interval
            wait = due - now - self._burst
            if wait > 0:
                if not on_credit:
                    return wait
                due = min(due, now + self._burst + self._interval)
            self._words[slot] = place.mark
            self._words[slot + SLOTS] = due
        finally:
            fcntl.lockf(self._lock, fcntl.LOCK_UN, 1, row)
        return 0

    def forget(self, place: Place) -> None:
        """Have a caller all its burst again."""
        row = place.row
        fcntl.lockf(self._lock, fcntl.LOCK_EX, 1, row)
        try:
            if self._due(place):
                slot, _ = self._slot_of(place)
                self._words[slot] = self._words[slot + SLOTS] = 0
        finally:
            fcntl.lockf(self._lock, fcntl.LOCK_UN, 1, row)

    def _slot_of(self, place: Place) -> tuple[int, int]:
        """Return a caller's seat, its own or one to take over, and when all is due that it took."""
        first = place.row * _WORDS
        marks = self._words[first : first + SLOTS].tolist()
        if place.mark in marks:
            slot = first + marks.index(place.mark)
            return slot, self._words[slot + SLOTS]
        due = self._words[first + SLOTS : first + _WORDS].tolist()
        return first + due.index(min(due)), 0


RECENT = Rate(1, 3600 * SECOND, burst=2)
"""Remembers what was shown, for at least an hour after it was shown last.

Each time it takes one if there is one left, which is then due in an hour or later. If none is left,
the last is due in more than an hour anyway.
"""


@cache
def shared_limiters(rate: Rate) -> tuple[Limiter, Limiter]:
    """Return what the processes of this service share: a limiter, and one that remembers.

    The main process makes them before it forks.
    """
    return Limiter(rate), Limiter(RECENT)
