"""Operations about one zergling that wait for a batch, with their retry budgets."""

from __future__ import annotations

import time
from collections.abc import Collection

from zerglings.domain.zergling import Zergling
from zerglings.hive.group_commit import Abandoned, Operation
from zerglings.repository import counters
from zerglings.repository.moving import LongHistory
from zerglings.repository.retry_budget import GRACE, RetryBudget
from zerglings.storage.base import OutcomeUnknown, StoreError, StoreUnavailable


class NeverKnown(OutcomeUnknown):
    """A write was sent, and its outcome cannot be found out any more."""


class PendingOperation(Operation[Zergling]):
    """An operation that a batch answers with a zergling, or leaves for a retry."""

    is_mutation = False
    """Whether the operation writes. If it is abandoned after its start, its outcome is unknown."""

    def __init__(self, zergling_id: str) -> None:
        super().__init__()
        self.zergling_id = zergling_id
        self.budget = RetryBudget()

    @property
    def time_left(self) -> float:
        """Seconds until the caller's deadline."""
        return self.budget.time_left

    def result(self) -> Zergling:
        """Return the resulting zergling or raise the operation's error. May only be called once."""
        try:
            return self.outcome()
        except Abandoned as error:
            if error.was_started and self.is_mutation:
                raise OutcomeUnknown("the outcome of the write was not reported") from error
            raise StoreUnavailable("the store took too long") from error

    def is_over(self) -> bool:
        """Whether the operation is answered. If it timed out in the queue, this answers it."""
        if not self.is_answered and (end := self.budget.timeout_error()) is not None:
            self.fail(end)
        return self.is_answered

    def attempt_failed(self, error: StoreError, seconds: float = 0.0) -> None:
        """Leave the operation for a retry, or fail it if its retry budget is spent.

        Args:
            error: the attempt's error.
            seconds: how long the store took to fail.
        """
        if isinstance(error, NeverKnown):
            self.fail(error)
        elif isinstance(error, LongHistory):  # the caller moves the history and retries
            self.fail(self.budget.unknown_outcome or error)
        elif (end := self.budget.record_failure(error, seconds)) is not None:
            self.fail(end)
        else:
            counters.retried(error)


def timeout_for(operations: Collection[PendingOperation]) -> float:
    """Return the timeout in seconds of a batch that executes these operations.

    It is the longest of the operations' timeouts. An operation with an earlier deadline stops
    waiting by itself, except for the leader: its thread executes the batch, so its deadline limits
    the batch.
    """
    longest = max(operation.budget.call_timeout for operation in operations)
    return min(
        [longest, *(operation.time_left + GRACE for operation in operations if operation.is_leader)]
    )


def pause_before_next_attempt(operations: Collection[PendingOperation]) -> None:
    """Sleep before a batch that consists of retries only."""
    if all(operation.budget.was_tried for operation in operations):
        time.sleep(min(operation.budget.next_pause() for operation in operations))
