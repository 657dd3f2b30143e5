"""Group commit: calls that arrive while a batch is being executed share the next batch.

A caller that arrives while there is no leader becomes the leader. The leader takes the queued
calls, executes them as one batch, and passes the leadership to the next caller in the queue once
its own call is answered. There is no timer, so a single call is executed at once. This module is
independent of zerglings and stores.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable, Sequence
from typing import Generic, Protocol, TypeVar

from zerglings.cooperative import with_yields

logger = logging.getLogger(__name__)

Result = TypeVar("Result")


class QueueFull(Exception):
    """The queue is full. None of the calls was queued."""


class Abandoned(Exception):
    """The call was not answered in time, or its batch crashed.

    ``was_started`` says whether the call was already in a batch, so that its outcome is unknown.
    """

    def __init__(self, *, was_started: bool) -> None:
        super().__init__("the call was not answered")
        self.was_started = was_started


class Call(Generic[Result]):
    """One caller's call, which waits in the queue until a batch answers it."""

    def __init__(self) -> None:
        self._result: Result | None = None
        self._error: BaseException | None = None
        self._signal = threading.Event()
        self.is_answered = False
        self.was_started = False
        self.is_awaited = True
        self.is_leader = False

    @property
    def time_left(self) -> float:
        """Seconds until the caller's deadline."""
        raise NotImplementedError

    def is_over(self) -> bool:
        """Whether the call is answered, possibly with a timeout. Checked before each batch."""
        return self.is_answered

    def succeed(self, result: Result) -> None:
        """Set the result. The caller is woken when the batch is done."""
        self._result = result
        self.is_answered = True

    def fail(self, error: BaseException) -> None:
        """Set an error, which ``outcome`` raises in the caller's thread.

        Its traceback is removed: several calls may share the error, and would keep each other's
        frames alive.
        """
        self._error = error.with_traceback(None)
        self.is_answered = True

    def wake(self) -> None:
        """Wake the caller, because its call is answered or has become the leader."""
        self._signal.set()

    def wait(self, timeout: float) -> None:
        """Wait up to ``timeout`` seconds to be woken."""
        self._signal.wait(timeout)

    def outcome(self) -> Result:
        """Return the result or raise the error. May only be called once.

        Raises:
            Abandoned: the call was not answered.
        """
        if not self.is_answered:
            raise Abandoned(was_started=self.was_started)
        if self._error is not None:
            error, self._error = self._error, None
            try:
                raise error
            finally:
                del error  # breaks the reference cycle of error, traceback and frame
        return self._result  # type: ignore[return-value]  # None is valid if Result includes it


class QueueMonitor(Protocol):
    """Observes the load of a group commit."""

    def queue_length(self, calls: int, /) -> None:
        """Record how many calls are in the queue."""

    def batch_started(self, calls: int, /) -> None:
        """Record that a batch of so many calls starts."""


QueuedCall = TypeVar("QueuedCall", bound=Call)  # type: ignore[type-arg]  # a variable cannot be generic


def admit_all() -> None:
    """Accept all calls."""


class GroupCommit(Generic[QueuedCall]):
    """Executes calls in batches, one batch at a time, in the order of arrival.

    Args:
        execute: executes a batch. A call that it leaves unanswered becomes part of the next batch,
            ahead of newer calls. It must answer each call eventually. If it raises, the unanswered
            calls of the batch fail with ``Abandoned``; other calls are not affected.
        batch_limit: maximum number of calls in a batch.
        queue_limit: maximum number of calls in the queue.
        grace: extra seconds that a caller waits for its outcome after its deadline.
        monitor: observes the queue length and the batch sizes.
        admit: raises an error if calls are to be refused at present.
    """

    def __init__(
        self,
        execute: Callable[[Sequence[QueuedCall]], None],
        *,
        batch_limit: int,
        queue_limit: int,
        grace: float,
        monitor: QueueMonitor,
        admit: Callable[[], None] = admit_all,
    ) -> None:
        self._execute = execute
        self._monitor = monitor
        self._admit = admit
        self._batch_limit = batch_limit
        self._queue_limit = queue_limit
        self._grace = grace
        self._queue: deque[QueuedCall] = deque()
        self._lock = threading.Lock()
        self._has_leader = False

    def run(self, calls: Sequence[QueuedCall]) -> None:
        """Queue calls, and return when each is answered or has timed out.

        Raises:
            QueueFull: the queue is full. None of the calls was queued.
            Exception: the error of ``admit``. None of the calls was queued.
        """
        with self._lock:
            self._admit()
            if len(self._queue) + len(calls) > self._queue_limit:
                raise QueueFull
            self._queue.extend(calls)
            self._monitor.queue_length(len(self._queue))
            if not self._has_leader:
                self._has_leader = calls[0].is_leader = True
        try:
            # Only the first of these calls can be the leader, so it must be handled first.
            for call in calls:
                self._wait_or_lead(call)
        except BaseException:  # gevent or the interpreter ends this thread
            for call in calls:
                self._leave(call)
            raise

    def reject_queued(self, error: BaseException) -> None:
        """Fail all calls that are in the queue and in no batch yet.

        Call it once ``admit`` refuses new calls. A leader is kept, because it executes the
        calls that its batch left unanswered.
        """
        with self._lock:
            refused = [call for call in self._queue if not (call.is_leader or call.was_started)]
            self._queue = deque(call for call in self._queue if call.is_leader or call.was_started)
            for call in refused:
                call.fail(error)
            self._monitor.queue_length(len(self._queue))
        for call in with_yields(refused):
            call.wake()

    def _wait_or_lead(self, call: QueuedCall) -> None:
        try:
            if not call.is_leader:
                call.wait(max(0.0, call.time_left) + self._grace)
            while call.is_leader and not call.is_over():
                self._execute_batch(call)
        finally:
            self._leave(call)

    def _leave(self, call: QueuedCall) -> None:
        """Stop waiting for a call, and pass on its leadership."""
        with self._lock:
            call.is_awaited = False
            # A leader that is still queued timed out before its own batch.
            if (call.is_leader or not call.is_answered) and call in self._queue:
                self._queue.remove(call)
                self._monitor.queue_length(len(self._queue))
            self._pass_leadership(call)

    def _pass_leadership(self, call: QueuedCall) -> None:
        """Make the next caller in the queue the leader, if ``call`` is the leader."""
        if not call.is_leader:
            return
        call.is_leader = False
        if self._queue:
            self._queue[0].is_leader = True
            self._queue[0].wake()
        else:
            self._has_leader = False

    def _execute_batch(self, leader: QueuedCall) -> None:
        with self._lock:
            size = min(self._batch_limit, len(self._queue))
            batch = [self._queue.popleft() for _ in range(size)]
            self._monitor.queue_length(len(self._queue))
        self._monitor.batch_started(size)
        for call in batch:
            call.was_started = True
        try:
            self._execute(batch)
        except Exception:
            logger.exception("A batch of %d calls crashed", len(batch))
            _abandon(batch)
        except BaseException:  # this thread is being ended
            _abandon(batch)
            raise
        finally:
            self._requeue_and_wake(batch, leader)

    def _requeue_and_wake(self, batch: Sequence[QueuedCall], leader: QueuedCall) -> None:
        """Queue unanswered calls again, then wake the next leader, then the answered callers.

        The next leader is first because the store is idle until it starts a batch.
        """
        with self._lock:
            # A call whose caller no longer waits must not become the leader.
            unanswered = [call for call in batch if call.is_awaited and not call.is_answered]
            self._queue.extendleft(reversed(unanswered))
            self._monitor.queue_length(len(self._queue))
            if leader.is_answered:
                self._pass_leadership(leader)
        for call in with_yields([call for call in batch if call.is_answered]):
            call.wake()


def _abandon(batch: Sequence[QueuedCall]) -> None:
    for call in batch:
        if not call.is_answered:
            call.fail(Abandoned(was_started=True))
