"""Moves very long histories, which the original service wrote, into chunks in the background.

Moving hundreds of thousands of words takes seconds. So it happens in a background thread, one
zergling at a time and in small slices. A move only writes chunks. The shortened document is stored
with the next change of the zergling; until then the original document stays as it is.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from copy import copy
from typing import TypeVar

from zerglings.domain.zergling import Zergling
from zerglings.repository.archive import Archive
from zerglings.repository.retry_budget import STORE_CALL_TIMEOUT, TIME_LIMIT
from zerglings.storage.base import StoreError, StoreUnavailable

logger = logging.getLogger(__name__)

Result = TypeVar("Result")

MOVES_REMEMBERED = 100
"""Number of moves whose results a process keeps, for callers that retry afterwards."""

MOVES_LIMIT = 8
"""Maximum number of unfinished moves, of which one is running. Each holds a whole history in
memory."""


class LongHistory(StoreUnavailable):
    """The zergling cannot be changed before its history is moved into chunks."""

    def __init__(self, zergling: Zergling) -> None:
        super().__init__(f"the history of {zergling.id} is too long for its document")
        self.zergling = zergling


class StillMoving(StoreUnavailable):
    """The history is still being moved, or too many others are being moved. Nothing was changed."""


class _Move:
    """The move of one revision's history. ``moved`` is the shortened zergling, once it is done."""

    def __init__(self, revision: str | None) -> None:
        self.revision = revision
        self.done = threading.Event()
        self.moved: Zergling | None = None
        self.error: StoreError = StoreUnavailable("a long history could not be moved")

    @property
    def has_failed(self) -> bool:
        return self.done.is_set() and self.moved is None


class Mover:
    """Moves histories into an archive, in the background. Thread-safe.

    Args:
        archive: stores the chunks.
    """

    def __init__(self, archive: Archive) -> None:
        self._archive = archive
        self._moves: OrderedDict[str, _Move] = OrderedDict()
        self._unfinished = 0
        self._lock = threading.Lock()
        self._one_at_a_time = threading.Lock()

    def shorten(self, zergling: Zergling) -> Zergling:
        """Return a zergling that is about to be changed, shortened if its history has been moved.

        Raises:
            LongHistory: the history must be moved first.
        """
        if not self._archive.needs_background_move(zergling):
            return zergling
        with self._lock:
            move = self._moves.get(zergling.id)
        if move is None or move.moved is None or move.revision != zergling.revision:
            raise LongHistory(zergling)
        return move.moved

    def retry_after_moving(self, change: Callable[[], Result]) -> Result:
        """Return the result of ``change()``. If it raises ``LongHistory``, move the history and
        retry.

        Raises:
            StillMoving: the move takes longer than ``TIME_LIMIT`` and continues in the background,
                or it was not started because ``MOVES_LIMIT`` others are unfinished. Retry later.
            StoreUnavailable: the move failed.
        """
        deadline = time.monotonic() + TIME_LIMIT
        while True:
            try:
                return change()
            except LongHistory as error:
                self._move(error.zergling, deadline - time.monotonic())

    def _move(self, zergling: Zergling, timeout: float) -> None:
        move = self._join_or_start(zergling)
        if not move.done.wait(max(0.0, timeout)):
            raise StillMoving(f"the history of {zergling.id} is still being moved into chunks")
        if move.moved is None:
            raise copy(move.error) from move.error  # several callers may raise it

    def _join_or_start(self, zergling: Zergling) -> _Move:
        """Return the move of this revision's history, and start it if necessary."""
        with self._lock:
            move = self._moves.get(zergling.id)
            if move is not None and move.revision == zergling.revision and not move.has_failed:
                return move
            if self._unfinished >= MOVES_LIMIT:
                raise StillMoving("too many long histories are being moved")
            self._unfinished += 1
            move = self._moves[zergling.id] = _Move(zergling.revision)
            self._moves.move_to_end(zergling.id)
            while len(self._moves) > MOVES_REMEMBERED:
                self._moves.popitem(last=False)
        name = f"move-{zergling.id}"
        threading.Thread(target=self._run, args=(move, zergling), name=name, daemon=True).start()
        return move

    def _run(self, move: _Move, zergling: Zergling) -> None:
        try:
            with self._one_at_a_time:
                move.moved = self._archive.move_history(zergling, timeout=STORE_CALL_TIMEOUT)
            logger.info("Moved %d commands of %s into chunks", len(zergling.history), zergling.id)
        except StoreError as error:
            logger.warning("Could not move the history of %s into chunks: %s", zergling.id, error)
            move.error = error
        finally:
            with self._lock:
                self._unfinished -= 1
            move.done.set()
