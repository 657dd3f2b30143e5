"""The rate limiter of one process: the generic cell rate algorithm (GCRA).

The algorithm is in ITU-T I.371, appendix A. It keeps one number for each caller, the theoretical
arrival time in nanoseconds: the moment at which the caller's next request would be due if all of
its requests had come at an even pace. In any time `t` a caller gets at most
`burst + t * count / period` requests.

The number of callers is bounded. When a row of the table is full, a new caller replaces the one
with the earliest arrival time. The replaced caller then has its whole burst again. So a full table
rejects no request by itself.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

SECOND = 1_000_000_000
"""Nanoseconds in a second."""

_PERIODS = {"s": SECOND, "min": 60 * SECOND, "h": 3600 * SECOND}
_RATE = re.compile(r"([1-9][0-9]{0,5})/(s|min|h)(?::([1-9][0-9]{0,5}))?")

ROWS = 8192
CALLERS_PER_ROW = 8


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


class Limiter:
    """Limits the requests of each caller to one rate.

    Not for several threads at once. Greenlets may share it, because no method yields.

    Args:
        rate: the limit of each caller.
        clock: returns nanoseconds.
        rows: rows of `CALLERS_PER_ROW` callers each.
    """

    def __init__(
        self, rate: Rate, clock: Callable[[], int] = time.monotonic_ns, rows: int = ROWS
    ) -> None:
        self._clock = clock
        self._interval = rate.interval
        self._burst = rate.burst * rate.interval
        # The arrival time of each caller. Python's hash of a text has a random key, so callers
        # cannot predict which of them share a row.
        self._rows: list[dict[str, int]] = [{} for _ in range(rows)]

    def wait(self, caller: str) -> int:
        """Return the nanoseconds until a caller's next request is allowed, or 0; charge nothing."""
        due = self._row(caller).get(caller, 0)
        return max(0, due + self._interval - self._clock() - self._burst)

    def is_known(self, caller: str) -> bool:
        """Return whether part of the caller's burst is used up now."""
        return self._row(caller).get(caller, 0) > self._clock()

    def take(self, caller: str, *, allow_overdraft: bool = False) -> int:
        """Charge one request to a caller, if its limit allows it.

        Args:
            caller: its name or address.
            allow_overdraft: charge it beyond the limit too; the debt is at most one request.

        Returns:
            0 if the request was charged, else the nanoseconds after which to try again.
        """
        row, now = self._row(caller), self._clock()
        due = max(row.get(caller, 0), now) + self._interval
        wait = due - now - self._burst
        if wait > 0:
            if not allow_overdraft:
                return wait
            due = min(due, now + self._burst + self._interval)
        if len(row) >= CALLERS_PER_ROW and caller not in row:
            del row[min(row, key=row.__getitem__)]
        row[caller] = due
        return 0

    def reset(self, caller: str) -> None:
        """Give a caller its whole burst back."""
        self._row(caller).pop(caller, None)

    def _row(self, caller: str) -> dict[str, int]:
        return self._rows[hash(caller) % len(self._rows)]


RECENT_TOKEN_RATE = Rate(1, 3600 * SECOND, burst=2)
"""The rate of the limiter that remembers each token for at least an hour after its last use.

Each use moves the token's arrival time an hour further into the future, at most to two hours from
now. A use that would exceed this changes nothing: the arrival time is already more than an hour
away.
"""


@cache
def limiters(rate: Rate) -> tuple[Limiter, Limiter]:
    """Return this process's limiter of callers, and the one that remembers recent tokens."""
    return Limiter(rate), Limiter(RECENT_TOKEN_RATE)
