"""How long and how often one use case is tried: the clock of every call on the store.

Knows the store's errors and what may mend them: a lost race by trying again, a lost answer by
looking, a quick refusal by another node of a cluster.
"""

from __future__ import annotations

import random
import time

from zerglings.storage.base import (
    AccountRefused,
    Conflict,
    NotAsked,
    NotBootstrapped,
    OutcomeUnknown,
    StoreError,
    StoreUnavailable,
    TooLarge,
)

TIME_LIMIT = 4.0
"""Seconds that a use case may take in all: an answer, good or bad, reaches the client within 5."""

CALL_TIMEOUT = 2.0
"""Seconds that one store call may wait, so that there is time left to look what became of it."""

GRACE = 0.8
"""Seconds that a caller waits beyond its time to learn what became of its change."""

SHORTEST_TIMEOUT = 0.05
"""Seconds that a call may wait even when the time is all but up."""

SHARE_TO_BEGIN_WITH = 0.25
"""Share of the time that must be left to begin with: a flush takes some."""

BLIPS = 3
"""How often a store that quickly says no is asked again: of a cluster, another node may say yes."""

BLIP_LIMIT = 0.7
"""Seconds that a call may have failed within to be asked again for that reason."""

DOUBT_LIMIT = 2.0
"""Seconds to look what became of a write while the store does not answer: enough for another
node of a cluster, too short for a restart, because a thread that waits serves nobody."""

FREE_RACES = 2
"""Lost races after which the next attempt begins at once."""

FIRST_PAUSE = 0.002
LONGEST_PAUSE = 0.1
"""Seconds before a new attempt at most; each pause is a random part of a bound that doubles."""


class TooMuchContention(Exception):
    """Others kept changing the zergling until the time was up; nothing was changed."""


class TimeLeft:
    """So many seconds from now on, for several store calls: called, it returns what is left."""

    def __init__(self, seconds: float) -> None:
        self._end = time.monotonic() + seconds

    def __call__(self) -> float:
        """Return the seconds that the next call may wait.

        Raises:
            StoreUnavailable: there are none.
        """
        left = self._end - time.monotonic()
        if left <= 0:
            raise StoreUnavailable("the store took too long")
        return left


class RetryBudget:
    """What is left of one use case's time and attempts, shared out among its store calls."""

    def __init__(self) -> None:
        self._end = time.monotonic() + TIME_LIMIT
        self._doubt: OutcomeUnknown | None = None
        self._blips = 0
        self._races = 0
        self._attempts = 0

    @property
    def doubt(self) -> OutcomeUnknown | None:
        """What was said of a write whose outcome is not known, if one was sent."""
        return self._doubt

    @property
    def is_in_doubt(self) -> bool:
        """Whether a write was sent whose outcome is not known."""
        return self._doubt is not None

    @property
    def was_tried(self) -> bool:
        """Whether there was an attempt already."""
        return self._attempts > 0

    @property
    def time_left(self) -> float:
        """Seconds, negative when the time is up."""
        return self._end - time.monotonic()

    @property
    def call_timeout(self) -> float:
        """Seconds that the next store call may wait."""
        return max(SHORTEST_TIMEOUT, min(CALL_TIMEOUT, self.time_left))

    def end_of_waiting(self) -> Exception | None:
        """Return what the use case ends with if its time was up before the next attempt."""
        least = SHORTEST_TIMEOUT if self.was_tried else TIME_LIMIT * SHARE_TO_BEGIN_WITH
        if self.time_left > least:
            return None
        if self._doubt or not self._races:
            return self._doubt or StoreUnavailable("others were served until the time was up")
        return TooMuchContention()

    def next_pause(self) -> float:
        """Return seconds to wait before the next attempt, random and longer each time."""
        if self._races and self._races == self._attempts <= FREE_RACES:
            return 0.0
        bound = min(FIRST_PAUSE * 2 ** min(self._attempts, 10), LONGEST_PAUSE)
        return random.uniform(0, bound)

    def end_of(self, error: StoreError, seconds: float) -> Exception | None:
        """Return what the use case ends with after an attempt that failed, None to try again.

        Args:
            error: what the attempt ended with.
            seconds: how long the store took to say so.
        """
        self._attempts += 1
        match error:
            case OutcomeUnknown():
                self._doubt = error
                self._end = min(self._end, time.monotonic() + DOUBT_LIMIT)
            case Conflict():
                self._races += 1
            case AccountRefused() | NotBootstrapped() | TooLarge():
                return self._doubt or error
            case StoreUnavailable() if not self._doubt and self._is_outage(error, seconds):
                return error
        if self.time_left > 0:
            return None
        if isinstance(error, Conflict):
            return self._doubt or TooMuchContention()
        return self._doubt or error

    def _is_outage(self, error: StoreUnavailable, seconds: float) -> bool:
        """Whether to ask again at once would be of no use."""
        self._blips += 1
        return isinstance(error, NotAsked) or self._blips > BLIPS or seconds > BLIP_LIMIT
