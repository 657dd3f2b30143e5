"""The feed: one reader of a hive's news for all who listen in this process.

A listener that resumes catches up by itself; then the reader brings it up to date between two of
its own readings, so that it misses nothing and never hears what is older than what it has heard.
Knows nothing of HTTP.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Generator, Iterator
from functools import cache
from typing import Protocol

from django.conf import settings

from zerglings import event_stream
from zerglings.hive import Hive, configured_hive
from zerglings.news import News
from zerglings.storage.base import StoreError, UnknownPosition

logger = logging.getLogger(__name__)

WAIT = 1.0
"""Seconds that the store is asked to wait for news, and a new listener may wait for its turn."""

PAGE = 200
"""Zerglings to read at once at most."""

GATHER = 0.1
"""Seconds between two readings: what happens meanwhile is told together."""

HEARTBEAT_EVERY = 15.0
"""Seconds of silence after which a listener gets a heartbeat."""

BACKLOG_LIMIT = 1024 * 1024
"""Bytes that may wait for a listener; one that is further behind is dropped."""

STALL_LIMIT = 20.0
"""Seconds that a listener may take for one piece; one that takes longer is dropped."""

LONGEST_PAUSE = 5.0
"""Seconds until a store that does not answer is asked again, at most."""


class TooManyListeners(Exception):
    """No more may listen in this process."""


class Line(Protocol):
    """What connects a listener."""

    def is_dead(self) -> bool:
        """Whether nobody is there any more."""

    def hang_up(self) -> None:
        """Break it, so that it no longer holds up who speaks on it."""


class Listener:
    """Somebody who is told the news on a line, piece by piece."""

    def __init__(self, line: Line) -> None:
        self.position = ""
        self.line = line
        self._pieces: deque[bytes] = deque()
        self._size = 0
        self._signal = threading.Event()
        self._busy_since: float | None = None
        self._is_over = False

    def give(self, piece: bytes) -> None:
        """Have a piece wait for the listener; drop it if too much is waiting already."""
        self._pieces.append(piece)
        self._size += len(piece)
        if self._size > BACKLOG_LIMIT:
            self.drop("is too slow")
        self._signal.set()

    def pieces(self) -> Iterator[bytes]:
        """Yield what is given, and heartbeats while nothing is, until it is over."""
        while not self._is_over:
            self._signal.wait(HEARTBEAT_EVERY)
            self._signal.clear()
            if not self._pieces and not self._is_over:
                yield from self.taking([event_stream.HEARTBEAT])
            while self._pieces and not self._is_over:
                piece = self._pieces.popleft()
                self._size -= len(piece)
                yield from self.taking([piece])

    def taking(self, pieces: list[bytes]) -> Iterator[bytes]:
        """Yield pieces, noting for how long each is being taken."""
        for piece in pieces:
            self._busy_since = time.monotonic()
            yield piece
            self._busy_since = None

    def end(self) -> None:
        """Have it be over after the piece that is being taken."""
        self._is_over = True
        self._pieces.clear()
        self._signal.set()

    def drop(self, why: str) -> None:
        """End it at once."""
        if not self._is_over:
            logger.info("A listener %s and was dropped", why)
        self.end()
        self.line.hang_up()

    def is_stalled(self) -> bool:
        """Whether it has been taking one piece for too long."""
        since = self._busy_since
        return since is not None and time.monotonic() - since > STALL_LIMIT


class Feed:
    """Tells the news of one hive to many. Safe to use from many threads at once.

    Args:
        hive: what is told about.
        limit: how many may listen at once.
    """

    def __init__(self, hive: Hive, *, limit: int) -> None:
        self._hive = hive
        self._limit = limit
        self._lock = threading.Lock()
        self._present: set[Listener] = set()
        self._newcomers: list[Listener] = []
        self._listening: set[Listener] = set()
        self._ending = threading.Event()
        self._is_read = False

    def listen(self, since: str | None, line: Line) -> Generator[bytes]:
        """Yield the news as server-sent events, from a position on or else from now on.

        Args:
            since: the id of an event.
            line: what connects the listener.

        Raises:
            TooManyListeners: nobody else may listen now.
            StoreUnavailable: the store does not answer; not raised later than by the first piece.
        """
        listener = Listener(line)
        self._enter(listener)
        try:
            yield from listener.taking([self._beginning(listener, since)])
            yield from self._caught_up(listener)
            self._join(listener)
            yield from listener.pieces()
        finally:
            self._leave(listener)

    def end(self) -> None:
        """End all listening for good."""
        self._ending.set()
        with self._lock:
            for listener in self._present:
                listener.end()

    def _enter(self, listener: Listener) -> None:
        with self._lock:
            if len(self._present) >= self._limit or self._ending.is_set():
                raise TooManyListeners
            self._present.add(listener)
            if not self._is_read:
                self._is_read = True
                threading.Thread(target=self._read, name="feed", daemon=True).start()

    def _leave(self, listener: Listener) -> None:
        with self._lock:
            self._present.discard(listener)
            self._listening.discard(listener)
            if listener in self._newcomers:
                self._newcomers.remove(listener)

    def _join(self, listener: Listener) -> None:
        with self._lock:
            self._newcomers.append(listener)

    def _beginning(self, listener: Listener, since: str | None) -> bytes:
        """Return the first piece."""
        if since is None:
            listener.position = self._hive.news(None).position
            return event_stream.ready(listener.position)
        listener.position = since
        piece, _ = self._advanced(listener)
        return piece or event_stream.HEARTBEAT

    def _caught_up(self, listener: Listener) -> Iterator[bytes]:
        """Yield what there is to be told now; if the store fails, the rest comes after joining."""
        has_more = True
        while has_more:
            try:
                piece, has_more = self._advanced(listener)
            except StoreError as error:
                logger.info("A listener waits for the store: %s", error)
                return
            yield from listener.taking([piece] if piece else [])

    def _advanced(self, listener: Listener) -> tuple[bytes, bool]:
        """Return what is to be told a listener next, and whether there is more."""
        try:
            news = self._hive.news(listener.position, PAGE)
            piece = event_stream.told(news)
        except UnknownPosition:
            news = self._hive.news(None)
            piece = event_stream.reset(news.position)
        listener.position = news.position
        return piece, news.has_more

    def _read(self) -> None:
        """Read the news while anybody is present."""
        position: str | None = None
        pause = 0.0
        try:
            while self._look_after_listeners():
                try:
                    position = position or self._hive.news(None).position
                    self._admit_newcomers()
                    news = self._read_on(position)
                    position, pause = news.position, 0.0 if news.has_more else GATHER
                except StoreError as error:
                    if pause <= GATHER:
                        logger.warning("There is no news while the store fails: %s", error)
                    pause = min(LONGEST_PAUSE, 2 * max(pause, GATHER))
                self._ending.wait(pause)
        finally:
            self._give_up()

    def _look_after_listeners(self) -> bool:
        """Drop who stalls or has gone; return whether anybody is left to read for."""
        with self._lock:
            stalled = [listener for listener in self._present if listener.is_stalled()]
            for listener in self._present:
                if listener.line.is_dead():
                    listener.end()
            self._is_read = bool(self._present) and not self._ending.is_set()
        for listener in stalled:
            listener.drop("has stalled")
        return self._is_read

    def _read_on(self, position: str) -> News:
        """Tell what happens after a position, or that it is lost; return what was told."""
        try:
            news = self._hive.news(position, PAGE, wait=WAIT)
        except UnknownPosition:
            news = self._hive.news(None)
            self._tell(event_stream.reset(news.position))
        if news.events:
            self._tell(event_stream.told(news))
        return news

    def _admit_newcomers(self) -> None:
        while self._newcomers:
            listener = self._newcomers[0]
            has_more = True
            while has_more:
                piece, has_more = self._advanced(listener)
                if piece:
                    listener.give(piece)
            with self._lock:
                if listener in self._newcomers:
                    self._newcomers.remove(listener)
                    self._listening.add(listener)

    def _tell(self, piece: bytes) -> None:
        with self._lock:
            listeners = list(self._listening)
        for listener in listeners:
            listener.give(piece)

    def _give_up(self) -> None:
        """Leave nobody waiting for a reader that has crashed or was told to end."""
        with self._lock:
            if self._is_read or self._ending.is_set():
                self._is_read = False
                for listener in self._present:
                    listener.end()


@cache
def configured_feed() -> Feed:
    """Return this process's feed, of the hive that the settings choose."""
    return Feed(configured_hive(), limit=settings.OVERMIND_STREAMS)
