"""The feed: one reader of a hive's news for all who listen in this process.

A listener that resumes catches up by itself; the reader then lets it in between two of its own
readings, so that it misses nothing and never hears what is older than what it has heard. Knows
nothing of HTTP.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Generator, Iterator, Sequence
from functools import cache

from django.conf import settings

from zerglings import event_stream
from zerglings.hive import Hive, configured_hive
from zerglings.listeners import Line, Listener
from zerglings.news import News
from zerglings.storage.base import StoreError, StoreUnavailable, UnknownPosition

logger = logging.getLogger(__name__)

WAIT = 1.0
"""Seconds that the store is asked to wait for news, and a new listener may wait for its turn."""

PAGE = 200
"""Zerglings to read at once at most."""

GATHER = 0.1
"""Seconds between two readings: what happens meanwhile is told together."""

START_LIMIT = 4.0
"""Seconds that the first listener waits for the store."""

REMEMBERED = 64
"""Readings whose ends are remembered."""

SINGLE_ADMISSIONS = 8
"""Listeners, each of whom needs a reading of its own to join, between two readings of the feed."""

LONGEST_PAUSE = 1.0
"""Seconds until a store that does not answer is asked again, at most."""


class TooManyListeners(Exception):
    """No more may listen in this process."""


class _Trail:
    """The places that the feed has come to lately, and when."""

    def __init__(self) -> None:
        self._places: deque[tuple[float, str]] = deque(maxlen=REMEMBERED)

    def note(self, position: str) -> None:
        """Remember where a reading that has just ended has led to."""
        self._places.append((time.monotonic(), position))

    def before(self, moment: float) -> str | None:
        """Return the last place that was reached before a moment, None if that is forgotten."""
        return next((place for when, place in reversed(self._places) if when <= moment), None)


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
        self._is_informed = threading.Event()
        self._position = ""
        self._failure: StoreError | None = None
        self._trail = _Trail()

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
            if since is None:
                yield from listener.taking([event_stream.ready(self._join_at_once(listener))])
            else:
                yield from self._resumed(listener, since)
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
                self._is_informed.clear()
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

    def _join_at_once(self, listener: Listener) -> str:
        """Have one join that has heard nothing yet; return the place that it joins at.

        What is being read now begins there, so nothing is missed.
        """
        self._is_informed.wait(START_LIMIT)
        with self._lock:
            if self._failure is not None or not self._is_informed.is_set():
                raise StoreUnavailable("there is no news") from self._failure
            self._listening.add(listener)
            return self._position

    def _resumed(self, listener: Listener, since: str) -> Iterator[bytes]:
        """Yield what a listener has missed; if the store fails, the rest comes after joining."""
        listener.position = since
        piece, has_more = self._advanced(listener)
        yield from listener.taking([piece or event_stream.HEARTBEAT])
        while has_more:
            try:
                piece, has_more = self._advanced(listener)
            except StoreError as error:
                logger.info("A listener waits for the store: %s", error)
                return
            yield from listener.taking([piece] if piece else [])

    def _advanced(self, listener: Listener) -> tuple[bytes, bool]:
        """Return what is to be told a listener next, and whether there is more."""
        listener.asked_at = time.monotonic()
        piece, listener.position, has_more = self._piece_after(listener.position)
        return piece, has_more

    def _piece_after(self, position: str) -> tuple[bytes, str, bool]:
        """Return what happened after a place, the next place, and whether there is more."""
        try:
            news = self._hive.news(position, PAGE)
        except UnknownPosition:
            news = self._hive.news(None)
            return event_stream.reset(news.position), news.position, False
        return event_stream.told(news), news.position, news.has_more

    def _read(self) -> None:
        """Read the news while anybody is present."""
        position: str | None = None
        pause = 0.0
        try:
            while self._look_after_listeners():
                try:
                    if position is None:
                        position = self._hive.news(None).position
                        self._trail = _Trail()
                        self._tell(b"", position)
                    self._admit_newcomers()
                    news = self._read_on(position)
                    position, pause = news.position, 0.0 if news.has_more else GATHER
                except StoreError as error:
                    self._fail(error)
                    pause = min(LONGEST_PAUSE, 2 * max(pause, GATHER))
                self._ending.wait(pause)
        except BaseException:
            self._give_up()
            raise

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
            self._trail = _Trail()
            self._tell(event_stream.reset(news.position), news.position)
        else:
            self._tell(event_stream.told(news), news.position)
        return news

    def _tell(self, piece: bytes, position: str) -> None:
        """Tell everybody what has happened before a position; b"" is nothing."""
        with self._lock:
            listeners = list(self._listening)
            self._position, self._failure = position, None
        self._trail.note(position)
        self._is_informed.set()
        for listener in listeners if piece else ():
            listener.give(piece)

    def _fail(self, error: StoreError) -> None:
        if self._failure is None:
            logger.warning("There is no news while the store fails: %s", error)
        with self._lock:
            self._failure = error
        self._is_informed.set()

    def _admit_newcomers(self) -> None:
        """Tell those who resume what they missed since they asked themselves, and let them join.

        It is read now, so it is not older than anything that they have heard. Whoever asked after
        the feed had come to a place has missed nothing that happened before it.
        """
        with self._lock:
            newcomers = sorted(self._newcomers, key=lambda listener: listener.asked_at)
        single = [n for n in newcomers if self._trail.before(n.asked_at) is None]
        for listener in single[:SINGLE_ADMISSIONS]:
            self._admit([listener], listener.position)
        if others := newcomers[len(single) :]:
            self._admit(others, self._trail.before(others[0].asked_at) or "")

    def _admit(self, listeners: Sequence[Listener], position: str) -> None:
        has_more = True
        while has_more:
            piece, position, has_more = self._piece_after(position)
            for listener in listeners if piece else ():
                listener.give(piece)
        with self._lock:
            for listener in listeners:
                if listener in self._newcomers:
                    self._newcomers.remove(listener)
                    self._listening.add(listener)

    def _give_up(self) -> None:
        """Leave nobody waiting for a reader that has crashed."""
        with self._lock:
            self._is_read = False
            for listener in self._present:
                listener.end()


@cache
def configured_feed() -> Feed:
    """Return this process's feed, of the hive that the settings choose."""
    return Feed(configured_hive(), limit=settings.OVERMIND_STREAMS)
