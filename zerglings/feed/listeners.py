"""Those who are told the news, and how long one who does not listen is put up with."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Iterator
from typing import Protocol

from zerglings.feed import event_stream

logger = logging.getLogger(__name__)

HEARTBEAT_EVERY = 15.0
"""Seconds of silence after which a listener gets a heartbeat."""

BACKLOG_LIMIT = 1024 * 1024
"""Bytes that may wait for a listener; one that is further behind is dropped."""

STALL_LIMIT = 20.0
"""Seconds that a listener may take for one piece; one that takes longer is dropped."""


class Line(Protocol):
    """What connects a listener; ``caller`` is the name of whose it is, None if it is nobody's."""

    caller: str | None

    def is_dead(self) -> bool:
        """Whether nobody is there any more who may listen."""

    def hang_up(self) -> None:
        """Break it, so that it no longer holds up who speaks on it."""


class Listener:
    """Somebody who is told the news on a line, piece by piece.

    ``position`` is where one that resumes has come to by itself.
    """

    def __init__(self, line: Line) -> None:
        self.line = line
        self.position = ""
        self._pieces: deque[bytes] = deque()
        self._size = 0
        self._signal = threading.Event()
        self._busy_since: float | None = None
        self.is_over = False

    def give(self, piece: bytes) -> None:
        """Have a piece wait for the listener; drop it if too much is waiting already."""
        if self.is_over:
            return
        self._pieces.append(piece)
        self._size += len(piece)
        if self._size > BACKLOG_LIMIT:
            self.drop("is too slow")
        self._signal.set()

    def pieces(self) -> Iterator[bytes]:
        """Yield what is given, and heartbeats while nothing is, until it is over."""
        while not self.is_over:
            self._signal.wait(HEARTBEAT_EVERY)
            self._signal.clear()
            if not self._pieces and not self.is_over:
                yield from self.taking(event_stream.HEARTBEAT)
            while self._pieces and not self.is_over:
                piece = self._pieces.popleft()
                self._size -= len(piece)
                yield from self.taking(piece)

    def taking(self, piece: bytes) -> Iterator[bytes]:
        """Yield a piece, noting for how long it is being taken; b"" is none."""
        if piece:
            self._busy_since = time.monotonic()
            yield piece
            self._busy_since = None

    def end(self) -> None:
        """Have it be over after the piece that is being taken."""
        self.is_over = True
        self._pieces.clear()
        self._signal.set()

    def drop(self, why: str) -> None:
        """End it at once."""
        if not self.is_over:
            logger.info("A listener %s and was dropped", why)
        self.end()
        self.line.hang_up()

    def is_stalled(self) -> bool:
        """Whether it has been taking one piece for too long."""
        since = self._busy_since
        return since is not None and time.monotonic() - since > STALL_LIMIT
