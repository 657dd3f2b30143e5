"""The connections of one process: which wait for their peers, since when, and which must go.

A connection is dropped only while it waits for its peer: for a next request, for the rest of one,
or for room to send the answer. Knows nothing of what is counted where.
"""

from __future__ import annotations

import socket
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import chain

from overmind_project.server.connection import Connection, Reason

RANKS = 24
"""Of those in the midst of a request: heads, then bodies by the magnitude of what has come."""

LINGER_SECONDS = 1.0
"""Time that is waited for a next request while the process stops."""


class Connections:
    """Those that are open in this process.

    Args:
        keepalive: seconds that a next request is waited for.
        on_drop: is told why each time that a connection is dropped.
    """

    def __init__(self, keepalive: float, on_drop: Callable[[Reason], None]) -> None:
        self._keepalive = keepalive
        self._on_drop = on_drop
        self.open: set[Connection] = set()
        self.idle: OrderedDict[Connection, None] = OrderedDict()
        """Those that wait for a next request, the longest first."""
        self._pending = tuple(OrderedDict[Connection, None]() for _ in range(RANKS))
        """Those that wait for their peers in the midst of a request, in the order of waiting, by
        their rank: the lower make room first, so that who sends nothing does not displace others.
        """
        self.heads = self._pending[0]
        self.is_crowded = False
        """Whether the next one that begins to wait has to make room."""
        self.is_stopping = False
        self._leaving: set[Connection] = set()

    @property
    def leaving(self) -> int:
        """How many make room but have not ended yet."""
        return len(self._leaving)

    @contextmanager
    def opened(self, accepted: socket.socket) -> Iterator[Connection]:
        """Take over an accepted socket for as long as the block lasts."""
        connection = Connection(accepted, self)
        self.open.add(connection)
        try:
            yield connection
        finally:
            self.open.discard(connection)
            self._leaving.discard(connection)
            self.heads.pop(connection, None)

    def wait_idle(self, connection: Connection) -> None:
        """Note that a connection waits for a next request."""
        self.idle[connection] = None
        if self.is_crowded:
            self.make_room()

    def wait(self, connection: Connection, rank: int) -> OrderedDict[Connection, None]:
        """Note that a connection waits in the midst of a request; it keeps its place in the row.

        Returns the row, from which it is to be taken when it waits no longer.
        """
        row = self._pending[min(rank, RANKS - 1)]
        row.setdefault(connection)
        if self.is_crowded:
            self.make_room()
        return row

    def make_room(self) -> None:
        """Drop one that waits, or else the next one that will."""
        for row in (self.idle, *self._pending):
            while row:
                connection, _ = row.popitem(last=False)
                if connection.drop(Reason.CROWDED):
                    self._on_drop(Reason.CROWDED)
                    self._leaving.add(connection)
                    self.is_crowded = False
                    return
        self.is_crowded = True

    def look_after(self) -> None:
        """Drop those that have waited for too long."""
        now = time.monotonic()
        patience = LINGER_SECONDS if self.is_stopping else self._keepalive
        while self.idle and next(iter(self.idle)).since + patience <= now:
            self.idle.popitem(last=False)[0].drop(Reason.IDLE)
        for connection in list(chain.from_iterable(self._pending)):
            if connection.deadline <= now:
                self._drop_overdue(connection)
            elif (
                self.is_stopping
                and connection.is_silent
                and connection.since + LINGER_SECONDS <= now
            ):
                connection.drop(Reason.IDLE)

    def _drop_overdue(self, connection: Connection) -> None:
        reason = connection.overdue
        if connection.drop(reason) and reason is not Reason.IDLE:
            self._on_drop(reason)

    def stop(self) -> None:
        """Wait no longer for next requests than a moment, and announce the end in every answer."""
        self.is_stopping = True
        for connection in self.open:
            connection.announce_end()

    def count(self) -> dict[str, int]:
        """Return how many are idle, reading or answering."""
        reading = sum(each.is_reading for each in chain.from_iterable(self._pending))
        idle = len(self.idle)
        return {"idle": idle, "reading": reading, "answering": len(self.open) - idle - reading}
