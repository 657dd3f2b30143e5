"""The feed: one thread reads the hive's change events for all listeners of this process.

A new listener is live at once: it gets the events that the reader thread broadcasts. A resuming
listener first catches up in its own thread. The reader thread then sends it the events that came
meanwhile and makes it live. So a resuming listener gets all events, and in order.

This module does not depend on HTTP.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Generator, Iterator, Sequence
from functools import cache
from itertools import islice

from django.conf import settings

from zerglings.feed import event_stream
from zerglings.feed.listeners import Connection, Listener
from zerglings.hive.change_events import ChangeBatch
from zerglings.hive.hive import Hive, configured_hive
from zerglings.storage.base import (
    NotBootstrapped,
    StoreError,
    StoreUnavailable,
    UnknownPosition,
)

logger = logging.getLogger(__name__)

WAIT = 1.0
"""Seconds of one long poll. A resumed listener becomes live between two polls."""

ZERGLINGS_PER_BATCH = 200
"""Maximum number of zerglings in one batch of events."""

COALESCE_SECONDS = 0.1
"""Seconds between two polls; events in between are sent together."""

START_LIMIT = 4.0
"""Seconds that a new listener waits for the reader thread's first store call."""

POSITIONS_PER_POLL = 8
"""Number of different positions from which resumed listeners may join between two polls."""

LONGEST_PAUSE = 1.0
"""Maximum seconds between two attempts while the store fails."""


class TooManyListeners(Exception):
    """This process has reached its limit of listeners."""


class TooManyForCaller(Exception):
    """This caller has reached its limit of listeners in this process."""


class FeedEnded(Exception):
    """The process is shutting down and accepts no more listeners."""


class Feed:
    """Sends a hive's change events to many listeners. Thread-safe.

    Args:
        hive: the source of the events.
        limit: maximum number of listeners; a caller may have half of them, but at least one.
    """

    def __init__(self, hive: Hive, *, limit: int) -> None:
        self._hive = hive
        self._limit = limit
        self._limit_per_caller = max(1, limit // 2)
        self._lock = threading.Lock()
        self._listeners: set[Listener] = set()
        self._joining: list[Listener] = []  # caught up, and not live yet
        self._live: set[Listener] = set()
        self._ending = threading.Event()
        self._has_reader = False
        self._has_polled = threading.Event()
        self._position = ""
        self._failure: StoreError | None = None

    def listen(self, since: str | None, connection: Connection) -> Generator[bytes]:
        """Yield server-sent events: those after ``since``, or from now on.

        Args:
            since: the id of the last event that the client has received; None for a new stream.
            connection: the client's connection.

        Raises:
            TooManyListeners: this process has too many listeners.
            TooManyForCaller: the caller has too many listeners.
            FeedEnded: the process is shutting down.
            StoreUnavailable: the store does not answer; raised before the first chunk only.
        """
        listener = Listener(connection)
        self._register(listener)
        try:
            if since is None:
                yield from listener.timed(event_stream.ready(self._join_now(listener)))
            else:
                yield from self._catch_up(listener, since)
                self._join_later(listener)
            yield from listener.chunks()
        finally:
            self._unregister(listener)

    def end(self) -> None:
        """End all streams, and accept no more listeners."""
        self._ending.set()
        with self._lock:
            for listener in self._listeners:
                listener.end()

    def _register(self, listener: Listener) -> None:
        """Add a listener, and start the reader thread for the first one."""
        with self._lock:
            if self._ending.is_set():
                raise FeedEnded
            if len(self._listeners) >= self._limit:
                raise TooManyListeners
            if self._count_for(listener.connection.caller) >= self._limit_per_caller:
                raise TooManyForCaller
            self._listeners.add(listener)
            if not self._has_reader:
                self._has_reader = True
                self._has_polled.clear()
                threading.Thread(target=self._read, name="feed", daemon=True).start()

    def _count_for(self, caller: str | None) -> int:
        """Return a caller's number of listeners; the limit does not apply to anonymous callers."""
        return sum(each.connection.caller == caller for each in self._listeners) if caller else 0

    def _unregister(self, listener: Listener) -> None:
        with self._lock:
            self._listeners.discard(listener)
            self._live.discard(listener)
            if listener in self._joining:
                self._joining.remove(listener)

    def _join_later(self, listener: Listener) -> None:
        """Have the reader send what the listener missed since it caught up, and make it live."""
        with self._lock:
            self._joining.append(listener)

    def _join_now(self, listener: Listener) -> str:
        """Make a new listener live; return the position from which on it gets events.

        The reader's current or next poll starts at that position, so no event is missed.
        """
        self._has_polled.wait(START_LIMIT)
        with self._lock:
            if self._failure is not None:
                raise type(self._failure)(*self._failure.args) from self._failure
            if not self._has_polled.is_set():
                raise StoreUnavailable("the first read of change events has not ended yet")
            self._live.add(listener)
            return self._position

    def _catch_up(self, listener: Listener, since: str) -> Iterator[bytes]:
        """Yield the events after ``since``; after the first chunk, retry failed reads."""
        listener.position = since
        chunk, has_more = self._next_chunk(listener)
        yield from listener.timed(chunk or event_stream.HEARTBEAT)
        while has_more and not listener.has_ended:
            try:
                chunk, has_more = self._next_chunk(listener)
            except StoreError as error:
                logger.info("A listener waits for the store: %s", error)
                chunk = event_stream.HEARTBEAT
                self._ending.wait(LONGEST_PAUSE)
            yield from listener.timed(chunk)

    def _next_chunk(self, listener: Listener) -> tuple[bytes, bool]:
        """Return the events after a listener's position and whether there are more; advance it."""
        chunk, batch = self._read_after(listener.position)
        listener.position = batch.position
        return chunk, batch.has_more

    def _read_after(self, position: str, wait: float = 0.0) -> tuple[bytes, ChangeBatch]:
        """Return the events after a position, or a reset if the store no longer has the position.

        Args:
            position: where to begin.
            wait: seconds that the store may wait for an event.
        """
        try:
            batch = self._hive.changes_after(position, ZERGLINGS_PER_BATCH, wait=wait)
        except UnknownPosition:
            batch = self._hive.changes_after(None)
            return event_stream.reset(batch.position), batch
        return event_stream.encode_batch(batch), batch

    def _read(self) -> None:
        """Poll the store and broadcast its events, until there are no listeners."""
        position: str | None = None
        pause = 0.0
        try:
            while self._check_listeners():
                try:
                    if position is None:
                        position = self._hive.changes_after(None).position
                        self._broadcast(event_stream.reset(position), position)
                    self._join_resumed()
                    chunk, batch = self._read_after(position, WAIT)
                    self._broadcast(chunk, batch.position)
                    position, pause = batch.position, 0.0 if batch.has_more else COALESCE_SECONDS
                except StoreError as error:
                    self._note_failure(error)
                    if isinstance(error, NotBootstrapped):  # a new database has new positions
                        position = None
                    pause = min(LONGEST_PAUSE, 2 * max(pause, COALESCE_SECONDS))
                self._ending.wait(pause)
        except BaseException:
            self._end_listeners()
            raise

    def _check_listeners(self) -> bool:
        """Drop stalled listeners and end disconnected ones; return whether to go on reading."""
        with self._lock:
            stalled = [listener for listener in self._listeners if listener.is_stalled()]
            for listener in self._listeners:
                if listener.connection.should_end():
                    listener.end()
            has_reader = bool(self._listeners) and not self._ending.is_set()
            self._has_reader = has_reader
        for listener in stalled:
            listener.drop("has stalled")
        return has_reader

    def _broadcast(self, chunk: bytes, position: str) -> None:
        """Queue a chunk for all live listeners unless it is empty; ``position`` is its end."""
        with self._lock:
            listeners = list(self._live)
            self._position, self._failure = position, None
        self._has_polled.set()
        for listener in listeners if chunk else ():
            listener.enqueue(chunk)

    def _note_failure(self, error: StoreError) -> None:
        if self._failure is None:
            logger.warning("Event streams pause while the store fails: %s", error)
        with self._lock:
            self._failure = error
        self._has_polled.set()

    def _join_resumed(self) -> None:
        """Send resumed listeners what they missed since they caught up, and make them live.

        This happens between two polls, so that each listener gets the events in order: these are
        newer than what it has caught up with, and the next poll's events are newer still.
        """
        by_position: dict[str, list[Listener]] = {}
        with self._lock:
            for listener in self._joining:
                by_position.setdefault(listener.position, []).append(listener)
        for position, listeners in islice(by_position.items(), POSITIONS_PER_POLL):
            self._join_at(position, listeners)

    def _join_at(self, position: str, listeners: Sequence[Listener]) -> None:
        has_more = True
        while has_more:
            chunk, batch = self._read_after(position)
            position, has_more = batch.position, batch.has_more
            for listener in listeners:
                listener.position = position
                if chunk:
                    listener.enqueue(chunk)
        with self._lock:
            for listener in listeners:
                if listener in self._joining:
                    self._joining.remove(listener)
                    self._live.add(listener)

    def _end_listeners(self) -> None:
        """End all streams after a crash of the reader; clients then reconnect."""
        with self._lock:
            self._has_reader = False
            for listener in self._listeners:
                listener.end()


@cache
def configured_feed() -> Feed:
    """Return this process's feed. It reads the hive that the settings choose."""
    return Feed(configured_hive(), limit=settings.OVERMIND_STREAMS)
