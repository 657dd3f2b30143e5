"""One caller's wish about one zergling, and the patience with which it is pursued."""

from __future__ import annotations

import time
from collections.abc import Collection

from zerglings.domain.zergling import Zergling
from zerglings.hive.group_commit import Abandoned, Call
from zerglings.repository import counters
from zerglings.repository.moving import LongHistory
from zerglings.repository.retry_budget import GRACE, RetryBudget
from zerglings.storage.base import OutcomeUnknown, StoreError, StoreUnavailable


class NeverKnown(OutcomeUnknown):
    """A write was sent, and nothing can tell any more what became of it."""


class PendingCall(Call[Zergling]):
    """A call that a flush answers with a zergling, or attempts again."""

    is_change = False
    """Whether it may have changed something that nobody learned of."""

    def __init__(self, zergling_id: str) -> None:
        super().__init__()
        self.zergling_id = zergling_id
        self.budget = RetryBudget()

    @property
    def time_left(self) -> float:
        """Seconds that the caller will wait at most."""
        return self.budget.time_left

    def result(self) -> Zergling:
        """Return what the call was answered with, or raise it; to be asked once."""
        try:
            return self.outcome()
        except Abandoned as error:
            if error.was_taken and self.is_change:
                raise OutcomeUnknown("nobody learned what became of it") from error
            raise StoreUnavailable("the store took too long") from error

    def is_over(self) -> bool:
        """Whether it is answered, if only because its time was up while it waited."""
        if not self.is_answered and (end := self.budget.end_of_waiting()) is not None:
            self.fail(end)
        return self.is_answered

    def attempt_failed(self, error: StoreError, seconds: float = 0.0) -> None:
        """Leave the call for another attempt, or answer it with what this has come to.

        ``seconds`` is how long the store took to say ``error``.
        """
        if isinstance(error, NeverKnown):
            self.fail(error)
        elif isinstance(error, LongHistory):  # who made the call has it moved
            self.fail(self.budget.doubt or error)
        elif (end := self.budget.end_of(error, seconds)) is not None:
            self.fail(end)
        else:
            counters.retried(error)


def timeout_for(calls: Collection[PendingCall]) -> float:
    """Return the seconds that a flush on behalf of all of these may take.

    That is what the most patient may wait: one whose time is nearly up must not cost the others
    theirs, and gives up by itself. Only who leads cannot, and has to be back in time.
    """
    longest = max(call.budget.call_timeout for call in calls)
    return min([longest, *(call.time_left + GRACE for call in calls if call.leads)])


def pause_before_next_attempt(calls: Collection[PendingCall]) -> None:
    """Wait a moment where all are to be attempted again, which may be too soon."""
    if all(call.budget.was_tried for call in calls):
        time.sleep(min(call.budget.next_pause() for call in calls))
