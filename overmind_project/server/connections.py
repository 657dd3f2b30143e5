"""The connections of one process: which of them wait for their peers, and which to drop.

A connection is dropped only while it waits for its peer: for the next request, for more of a
request, or for the peer to read the response.
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
"""Number of queues: one for heads, the others for bodies by the bit length of the bytes received.

Unread responses wait in one of the others, see ``limits.RESPONSE_RANK``.
"""

LINGER_SECONDS = 1.0
"""Seconds for which a connection waits for its next request while the process stops."""


class Connections:
    """The open connections of this process.

    Args:
        keepalive: seconds for which a connection waits for its next request.
        on_drop: called with the reason whenever a connection is dropped.
    """

    def __init__(self, keepalive: float, on_drop: Callable[[Reason], None]) -> None:
        self._keepalive = keepalive
        self._on_drop = on_drop
        self.open: set[Connection] = set()
        self.idle: OrderedDict[Connection, None] = OrderedDict()
        """Connections that wait for their next request, the longest waiting first."""
        self._queues = tuple(OrderedDict[Connection, None]() for _ in range(RANKS))
        """Connections that wait in the middle of a request, by rank, the longest waiting first.

        Low ranks are dropped first, so that a client that sends little cannot displace others.
        """
        self.heads = self._queues[0]
        self.is_crowded = False
        """Whether the next connection that waits has to be dropped."""
        self.is_stopping = False
        self._closing: set[Connection] = set()

    @property
    def closing(self) -> int:
        """Number of connections that were dropped to make room and have not ended yet."""
        return len(self._closing)

    @contextmanager
    def opened(self, accepted: socket.socket) -> Iterator[Connection]:
        """Manage an accepted socket for the duration of the block."""
        connection = Connection(accepted, self)
        self.open.add(connection)
        try:
            yield connection
        finally:
            self.open.discard(connection)
            self._closing.discard(connection)
            self.heads.pop(connection, None)

    def wait_idle(self, connection: Connection) -> None:
        """Register a connection that waits for its next request."""
        self.idle[connection] = None
        if self.is_crowded:
            self.make_room()

    def wait(self, connection: Connection, rank: int) -> OrderedDict[Connection, None]:
        """Register a connection that waits in the middle of a request.

        Args:
            connection: the waiting connection. If it is in the queue, it keeps its position.
            rank: the number of its queue. Connections of higher ranks are dropped later.

        Returns:
            The queue. The caller removes the connection from it at the end of the wait.
        """
        queue = self._queues[min(rank, RANKS - 1)]
        queue.setdefault(connection)
        if self.is_crowded:
            self.make_room()
        return queue

    def make_room(self) -> None:
        """Drop a waiting connection. If no connection waits, drop the next one that begins to."""
        for queue in (self.idle, *self._queues):
            while queue:
                connection, _ = queue.popitem(last=False)
                if connection.drop(Reason.CROWDED):
                    self._on_drop(Reason.CROWDED)
                    self._closing.add(connection)
                    self.is_crowded = False
                    return
        self.is_crowded = True

    def enforce_deadlines(self) -> None:
        """Drop the connections whose deadline has passed."""
        now = time.monotonic()
        idle_seconds = LINGER_SECONDS if self.is_stopping else self._keepalive
        while self.idle and next(iter(self.idle)).since + idle_seconds <= now:
            self.idle.popitem(last=False)[0].drop(Reason.IDLE)
        for connection in list(chain.from_iterable(self._queues)):
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
        """Wait less for next requests, and make every response the last one of its connection."""
        self.is_stopping = True
        for connection in self.open:
            connection.close_after_response()

    def count(self) -> dict[str, int]:
        """Return how many connections are idle, reading or answering."""
        reading = sum(each.is_reading for each in chain.from_iterable(self._queues))
        idle = len(self.idle)
        return {"idle": idle, "reading": reading, "answering": len(self.open) - idle - reading}
