"""Moving long histories out of the documents of the original service, before they are changed.

It takes seconds for hundreds of thousands of words, so it is done beside all that changes
zerglings, for one zergling at a time and in small steps. The document is written by whoever changes
the zergling afterwards; until then it is as the original left it, whatever happens meanwhile.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import TypeVar

from zerglings.domain.zergling import Zergling
from zerglings.repository.archive import Archive
from zerglings.repository.retry_budget import CALL_TIMEOUT, TIME_LIMIT
from zerglings.storage.base import StoreError, StoreUnavailable

logger = logging.getLogger(__name__)

Result = TypeVar("Result")

REMEMBERED = 100
"""Moves that a process remembers, for those who come back to change the zergling."""

WAITING = 8
"""Moves under way at most, one of them in progress: each holds a whole history in memory."""


class LongHistory(StoreUnavailable):
    """A zergling's history has to be moved into chunks before the zergling can be changed."""

    def __init__(self, zergling: Zergling) -> None:
        super().__init__(f"the history of {zergling.id} is too long for its document")
        self.zergling = zergling


class StillMoving(StoreUnavailable):
    """A history is being moved, and nobody could wait for the end of it."""


class _Move:
    """A history on its way into chunks; ``moved`` is what the zergling is once it is there."""

    def __init__(self, revision: str | None) -> None:
        self.revision = revision
        self.over = threading.Event()
        self.moved: Zergling | None = None
        self.error: StoreError = StoreUnavailable("a long history could not be moved")

    @property
    def is_in_vain(self) -> bool:
        return self.over.is_set() and self.moved is None


class Mover:
    """Moves histories into an archive. Safe to use from many threads at once."""

    def __init__(self, archive: Archive) -> None:
        self._archive = archive
        self._moves: OrderedDict[str, _Move] = OrderedDict()
        self._lock = threading.Lock()
        self._turn = threading.Lock()

    def shortened(self, zergling: Zergling) -> Zergling:
        """Return a zergling that is to be changed with as short a history as its document may have.

        Raises:
            LongHistory: it has to be moved first.
        """
        if not self._archive.is_long(zergling):
            return zergling
        with self._lock:
            move = self._moves.get(zergling.id)
        if move is None or move.moved is None or move.revision != zergling.revision:
            raise LongHistory(zergling)
        return move.moved

    def having_moved(self, change: Callable[[], Result]) -> Result:
        """Return what ``change`` returns, after moving the long history that it comes up against.

        Raises:
            StillMoving: that takes too long; it goes on, and whoever comes later finds it done.
            StoreUnavailable: it was not possible.
        """
        deadline = time.monotonic() + TIME_LIMIT
        while True:
            try:
                return change()
            except LongHistory as obstacle:
                self._move(obstacle.zergling, deadline - time.monotonic())

    def _move(self, zergling: Zergling, timeout: float) -> None:
        move = self._under_way(zergling)
        if not move.over.wait(max(0.0, timeout)):
            raise StillMoving(f"the history of {zergling.id} is still being moved")
        if move.moved is None:
            raise type(move.error)(*move.error.args) from move.error

    def _under_way(self, zergling: Zergling) -> _Move:
        """Return the move of a zergling's history at this revision, which begins if need be."""
        with self._lock:
            move = self._moves.get(zergling.id)
            if move is not None and move.revision == zergling.revision and not move.is_in_vain:
                return move
            if sum(not other.over.is_set() for other in self._moves.values()) >= WAITING:
                raise StillMoving("too many long histories are being moved")
            move = self._moves[zergling.id] = _Move(zergling.revision)
            self._moves.move_to_end(zergling.id)
            while len(self._moves) > REMEMBERED:
                self._moves.popitem(last=False)
        name = f"move-{zergling.id}"
        threading.Thread(
            target=self._carry_out, args=(move, zergling), name=name, daemon=True
        ).start()
        return move

    def _carry_out(self, move: _Move, zergling: Zergling) -> None:
        try:
            with self._turn:
                move.moved = self._archive.moved(zergling, timeout=CALL_TIMEOUT)
            logger.info("Moved %d commands of %s into chunks", len(zergling.history), zergling.id)
        except StoreError as error:
            logger.warning("The history of %s was not moved: %s", zergling.id, error)
            move.error = error
        finally:
            move.over.set()
