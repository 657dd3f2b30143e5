"""One listener of the feed: its queue of events, and the limits for slow clients."""

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
"""Seconds without events after which a listener gets a heartbeat."""

BACKLOG_LIMIT = 1024 * 1024
"""Bytes in a listener's queue; a listener with more is dropped."""

STALL_LIMIT = 20.0
"""Seconds for sending one chunk; a listener that takes longer is dropped."""


class Connection(Protocol):
    """A listener's connection. ``caller`` is the name of its token, None without a token."""

    caller: str | None

    def should_end(self) -> bool:
        """Whether the client has disconnected or is no longer authorised."""

    def abort(self) -> None:
        """Close the connection, so that a thread that is sending on it gets an error."""


class Listener:
    """A queue between the feed's reader and the thread that serves one client.

    A chunk is the bytes of one or more whole events. ``position`` is the position up to which a
    resuming listener has caught up.
    """

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.position = ""
        self.has_ended = False
        self._queue: deque[bytes] = deque()
        self._queued_bytes = 0
        self._wake_up = threading.Event()
        self._sending_since: float | None = None

    def enqueue(self, chunk: bytes) -> None:
        """Queue a chunk; drop the listener if its queue is too long."""
        if self.has_ended:
            return
        self._queue.append(chunk)
        self._queued_bytes += len(chunk)
        if self._queued_bytes > BACKLOG_LIMIT:
            self.drop("is too slow")
        self._wake_up.set()

    def chunks(self) -> Iterator[bytes]:
        """Yield queued chunks, and heartbeats while the queue is empty, until the listener ends."""
        while not self.has_ended:
            self._wake_up.wait(HEARTBEAT_EVERY)
            self._wake_up.clear()
            if not self._queue and not self.has_ended:
                yield from self.timed(event_stream.HEARTBEAT)
            while self._queue and not self.has_ended:
                chunk = self._queue.popleft()
                self._queued_bytes -= len(chunk)
                yield from self.timed(chunk)

    def timed(self, chunk: bytes) -> Iterator[bytes]:
        """Yield a chunk unless it is empty, and record the time at which sending it began."""
        if chunk:
            self._sending_since = time.monotonic()
            yield chunk
            self._sending_since = None

    def end(self) -> None:
        """End the stream after the chunk that is being sent."""
        self.has_ended = True
        self._queue.clear()
        self._wake_up.set()

    def drop(self, why: str) -> None:
        """End the stream at once, and log why."""
        if not self.has_ended:
            logger.info("A listener %s and was dropped", why)
        self.end()
        self.connection.abort()

    def is_stalled(self) -> bool:
        """Whether sending the present chunk takes longer than ``STALL_LIMIT``."""
        since = self._sending_since
        return since is not None and time.monotonic() - since > STALL_LIMIT
