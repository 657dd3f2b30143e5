"""The retry budget: time limits and retry rules of one use case's store calls.

After a conflict the change is retried. After a lost answer the zergling is read to find out whether
the write took effect. A quick failure is retried because another node of the cluster may answer.
"""

from __future__ import annotations

import random
import time

from zerglings.storage.base import (
    AccountRefused,
    CallRejected,
    Conflict,
    NotBootstrapped,
    OutcomeUnknown,
    StoreError,
    StoreUnavailable,
    TooLarge,
)

TIME_LIMIT = 4.0
"""Seconds for a whole use case, so that every client gets an answer within 5 seconds."""

STORE_CALL_TIMEOUT = 2.0
"""Seconds for one store call of a client's request. That leaves time to look up the outcome of a
timed-out write."""

BATCH_JOB_TIMEOUT = 30.0
"""Seconds for one store call of a management command. It is longer, because no client waits."""

GRACE = 0.8
"""Extra seconds to wait for the outcome of a call after its deadline."""

SHORTEST_TIMEOUT = 0.05
"""Shortest timeout of a store call, in seconds, even at the deadline."""

MIN_SHARE_TO_START = 0.25
"""Share of ``TIME_LIMIT`` that must be left for a first attempt: a batch takes some time."""

QUICK_RETRIES = 3
"""Retries after quick failures, because another node of the cluster may answer."""

QUICK_FAILURE_LIMIT = 0.7
"""Seconds within which a failed call counts as a quick failure."""

LOOKUP_LIMIT = 2.0
"""Seconds to find out the outcome of a write after its answer was lost. This is long enough to
reach another node. It is shorter than a restart of the store, because a look-up blocks a thread."""

IMMEDIATE_RETRIES = 2
"""Conflicts after which the next attempt starts without a pause, if no other error occurred."""

FIRST_PAUSE = 0.002
LONGEST_PAUSE = 0.1
"""Seconds. The pause before retry number n is random, between 0 and ``FIRST_PAUSE * 2**n``, but at
most ``LONGEST_PAUSE``."""


class TooMuchContention(Exception):
    """Attempts lost races with other writers until the deadline. Nothing was changed."""


class TimeLeft:
    """A deadline that several store calls share.

    >>> time_left = TimeLeft(2.0)
    >>> 0 < time_left() <= 2.0
    True

    Args:
        seconds: from now to the deadline.
    """

    def __init__(self, seconds: float) -> None:
        self._end = time.monotonic() + seconds

    def __call__(self) -> float:
        """Return the seconds until the deadline, as the timeout of the next call.

        Raises:
            StoreUnavailable: the deadline has passed.
        """
        left = self._end - time.monotonic()
        if left <= 0:
            raise StoreUnavailable("the store took too long")
        return left


class RetryBudget:
    """The remaining time and retries of one use case."""

    def __init__(self) -> None:
        self._end = time.monotonic() + TIME_LIMIT
        self._unknown_outcome: OutcomeUnknown | None = None
        self._quick_failures = 0
        self._conflicts = 0
        self._attempts = 0

    @property
    def unknown_outcome(self) -> OutcomeUnknown | None:
        """The error of the latest write whose outcome is unknown, or None."""
        return self._unknown_outcome

    @property
    def is_in_doubt(self) -> bool:
        """Whether the outcome of a write is unknown."""
        return self._unknown_outcome is not None

    @property
    def was_tried(self) -> bool:
        """Whether an attempt has failed already."""
        return self._attempts > 0

    @property
    def time_left(self) -> float:
        """Seconds until the deadline, negative once it has passed."""
        return self._end - time.monotonic()

    @property
    def call_timeout(self) -> float:
        """Timeout of the next store call, in seconds."""
        return max(SHORTEST_TIMEOUT, min(STORE_CALL_TIMEOUT, self.time_left))

    def timeout_error(self) -> Exception | None:
        """Return the use case's final error if no time is left for another attempt, else None."""
        least = SHORTEST_TIMEOUT if self.was_tried else TIME_LIMIT * MIN_SHARE_TO_START
        if self.time_left > least:
            return None
        if self._unknown_outcome or not self._conflicts:
            return self._unknown_outcome or StoreUnavailable(
                "the request waited too long in the queue for the store"
            )
        return TooMuchContention()

    def next_pause(self) -> float:
        """Return the seconds to sleep before the next attempt: exponential backoff with jitter."""
        if self._conflicts and self._conflicts == self._attempts <= IMMEDIATE_RETRIES:
            return 0.0
        bound = min(FIRST_PAUSE * 2 ** min(self._attempts, 10), LONGEST_PAUSE)
        return random.uniform(0, bound)

    def record_failure(self, error: StoreError, seconds: float) -> Exception | None:
        """Record a failed attempt. Return the use case's final error, or None to retry.

        Args:
            error: the attempt's error.
            seconds: how long the store took to fail.
        """
        self._attempts += 1
        match error:
            case OutcomeUnknown():
                self._unknown_outcome = error
                self._end = min(self._end, time.monotonic() + LOOKUP_LIMIT)
            case Conflict():
                self._conflicts += 1
            case AccountRefused() | NotBootstrapped() | TooLarge():
                return self._unknown_outcome or error
            case StoreUnavailable() if not self._unknown_outcome and self._is_outage(
                error, seconds
            ):
                return error
        if self.time_left > 0:
            return None
        if isinstance(error, Conflict):
            return self._unknown_outcome or TooMuchContention()
        return self._unknown_outcome or error

    def _is_outage(self, error: StoreUnavailable, seconds: float) -> bool:
        """Count the failure, and return whether another retry would probably fail as well."""
        self._quick_failures += 1
        return (
            isinstance(error, CallRejected)
            or self._quick_failures > QUICK_RETRIES
            or seconds > QUICK_FAILURE_LIMIT
        )
