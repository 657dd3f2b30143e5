"""Group commit: callers that arrive while a flush is under way share the next one.

Whoever finds nobody leading leads: takes all that wait, has them carried out together, and hands
the lead to the next that waits as soon as its own call is answered. There is no timer, so a call
that comes alone is carried out at once. Knows nothing of zerglings and stores.
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
    """More calls wait than may; this one was not taken in."""


class Abandoned(Exception):
    """The call was not answered in time, or the flush that it was part of came to nothing.

    ``was_taken`` tells whether a flush had begun to carry it out.
    """

    def __init__(self, *, was_taken: bool) -> None:
        super().__init__("nobody answered the call")
        self.was_taken = was_taken


class Call(Generic[Result]):
    """One caller's wish, until a flush answers it."""

    def __init__(self) -> None:
        self._result: Result | None = None
        self._error: BaseException | None = None
        self._signal = threading.Event()
        self.is_answered = False
        self.was_taken = False
        self.is_awaited = True
        self.leads = False

    @property
    def time_left(self) -> float:
        """Seconds that the caller will wait at most."""
        raise NotImplementedError

    def is_over(self) -> bool:
        """Whether it is answered, if only because its time is up; asked before each flush."""
        return self.is_answered

    def succeed(self, result: Result) -> None:
        """Answer the call; its caller learns of it when the flush is over."""
        self._result = result
        self.is_answered = True

    def fail(self, error: BaseException) -> None:
        """Answer the call with an error, which is raised where the call was made.

        Several calls may share one, which then must not hold the frames of all their callers.
        """
        self._error = error.with_traceback(None)
        self.is_answered = True

    def wake(self) -> None:
        """Have the caller look whether it is answered, or leads."""
        self._signal.set()

    def wait(self, timeout: float) -> None:
        """Wait for an answer or the lead, ``timeout`` seconds at most."""
        self._signal.wait(timeout)

    def outcome(self) -> Result:
        """Return the answer, or raise it; to be asked once.

        Raises:
            Abandoned: there is none.
        """
        if not self.is_answered:
            raise Abandoned(was_taken=self.was_taken)
        if self._error is not None:
            error, self._error = self._error, None
            try:
                raise error
            finally:
                del error  # or the frame, which the error holds, would hold the error
        return self._result  # type: ignore[return-value]  # None is a result where Result has it


class Watch(Protocol):
    """Whoever wants to know how busy a group commit is."""

    def waiting(self, calls: int, /) -> None:
        """Learn that so many calls wait now."""

    def flushing(self, calls: int, /) -> None:
        """Learn that a flush of so many calls begins."""


Wish = TypeVar("Wish", bound=Call)  # type: ignore[type-arg]  # a variable cannot be generic


def anybody() -> None:
    """Admit calls."""


class GroupCommit(Generic[Wish]):
    """Carries calls out in batches, one batch at a time, in the order of their arrival.

    Args:
        flush: carries a batch out. Every call that it leaves unanswered is part of the next batch,
            before all that came later; it has to answer each in the end. If it crashes, that is
            the end of the batch's unanswered calls, and of no others.
        batch_limit: calls in a batch at most.
        queue_limit: calls that may wait.
        grace: seconds that a caller waits beyond its own time for a flush to say what became of it.
        watch: is told how many calls wait and are carried out together.
        admit: is asked whether calls may be taken in, and raises if not.
    """

    def __init__(
        self,
        flush: Callable[[Sequence[Wish]], None],
        *,
        batch_limit: int,
        queue_limit: int,
        grace: float,
        watch: Watch,
        admit: Callable[[], None] = anybody,
    ) -> None:
        self._flush = flush
        self._watch = watch
        self._admit = admit
        self._batch_limit = batch_limit
        self._queue_limit = queue_limit
        self._grace = grace
        self._queue: deque[Wish] = deque()
        self._lock = threading.Lock()
        self._is_led = False

    def run(self, calls: Sequence[Wish]) -> None:
        """Have calls carried out in their order; return when each is answered or its time is up.

        Raises:
            QueueFull: too many wait already; none of these was taken in.
            Exception: what ``admit`` raises; none of these was taken in.
        """
        with self._lock:
            self._admit()
            if len(self._queue) + len(calls) > self._queue_limit:
                raise QueueFull
            self._queue.extend(calls)
            self._watch.waiting(len(self._queue))
            if not self._is_led:
                self._is_led = calls[0].leads = True
        try:
            # Whoever leads is the first in the queue, so of these it is the one that is awaited.
            for call in calls:
                self._await(call)
        except BaseException:  # this thread is being ended
            for call in calls:
                self._leave(call)
            raise

    def turn_away(self, error: BaseException) -> None:
        """Answer all with an error that no flush has taken yet; to be called once none is admitted.

        Whoever leads is left, to lead those whose flush is not over.
        """
        with self._lock:
            refused = [call for call in self._queue if not (call.leads or call.was_taken)]
            self._queue = deque(call for call in self._queue if call.leads or call.was_taken)
            for call in refused:
                call.fail(error)
            self._watch.waiting(len(self._queue))
        for call in with_yields(refused):
            call.wake()

    def _await(self, call: Wish) -> None:
        try:
            if not call.leads:
                call.wait(max(0.0, call.time_left) + self._grace)
            while call.leads and not call.is_over():
                self._flush_once(call)
        finally:
            self._leave(call)

    def _leave(self, call: Wish) -> None:
        """Wait no longer, and lead no longer."""
        with self._lock:
            call.is_awaited = False
            # Who leads still has not been flushed: its time was up before that.
            if (call.leads or not call.is_answered) and call in self._queue:
                self._queue.remove(call)
                self._watch.waiting(len(self._queue))
            self._hand_over(call)

    def _hand_over(self, call: Wish) -> None:
        """Let the next that waits lead, if this one does."""
        if not call.leads:
            return
        call.leads = False
        if self._queue:
            self._queue[0].leads = True
            self._queue[0].wake()
        else:
            self._is_led = False

    def _flush_once(self, leader: Wish) -> None:
        with self._lock:
            size = min(self._batch_limit, len(self._queue))
            batch = [self._queue.popleft() for _ in range(size)]
            self._watch.waiting(len(self._queue))
        self._watch.flushing(size)
        for call in batch:
            call.was_taken = True
        try:
            self._flush(batch)
        except Exception:
            logger.exception("A flush of %d calls crashed", len(batch))
            _abandon(batch)
        except BaseException:  # this thread is being ended, and nobody else will answer them
            _abandon(batch)
            raise
        finally:
            self._finish(batch, leader)

    def _finish(self, batch: Sequence[Wish], leader: Wish) -> None:
        """Wake those who are answered, but first the next leader: the store is idle by now."""
        with self._lock:
            # Nobody is there to lead for a call that is awaited no longer.
            left = [call for call in batch if call.is_awaited and not call.is_answered]
            self._queue.extendleft(reversed(left))
            self._watch.waiting(len(self._queue))
            if leader.is_answered:
                self._hand_over(leader)
        for call in with_yields([call for call in batch if call.is_answered]):
            call.wake()


def _abandon(batch: Sequence[Wish]) -> None:
    for call in batch:
        if not call.is_answered:
            call.fail(Abandoned(was_taken=True))
