"""The feed: one reader of a hive's news for all who listen in this process.

A listener that resumes catches up by itself; the reader then lets it in between two of its own
readings, so that it misses nothing and never hears what is older than what it has heard. Knows
nothing of HTTP.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Generator, Iterator, Sequence
from functools import cache
from itertools import islice

from django.conf import settings

from zerglings.feed import event_stream
from zerglings.feed.listeners import Line, Listener
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
"""Seconds that the store is asked to wait for news, and one that resumes may wait for its turn."""

PAGE = 200
"""Zerglings to read at once at most."""

COALESCE_SECONDS = 0.1
"""Seconds between two readings: what happens meanwhile is told together."""

START_LIMIT = 4.0
"""Seconds that the first listener waits for the store."""

ADMISSIONS = 8
"""Places from which those who resume may be let in between two readings."""

LONGEST_PAUSE = 1.0
"""Seconds until a store that does not answer is asked again, at most."""


class TooManyListeners(Exception):
    """No more may listen in this process."""


class TooManyOfOne(Exception):
    """No more may listen for this caller in this process."""


class FeedEnded(Exception):
    """Nobody may listen in this process any more."""


class Feed:
    """Tells the news of one hive to many. Safe to use from many threads at once.

    Args:
        hive: what is told about.
        limit: how many may listen at once; half of them, but one at least, for one caller.
    """

    def __init__(self, hive: Hive, *, limit: int) -> None:
        self._hive = hive
        self._limit = limit
        self._limit_each = max(1, limit // 2)
        self._lock = threading.Lock()
        self._present: set[Listener] = set()
        self._newcomers: list[Listener] = []
        self._listening: set[Listener] = set()
        self._ending = threading.Event()
        self._is_read = False
        self._is_informed = threading.Event()
        self._position = ""
        self._failure: StoreError | None = None

    def listen(self, since: str | None, line: Line) -> Generator[bytes]:
        """Yield the news as server-sent events, from a position on or else from now on.

        Args:
            since: the id of an event.
            line: what connects the listener.

        Raises:
            TooManyListeners, TooManyOfOne, FeedEnded: nobody else may listen, or not for this one.
            StoreUnavailable: the store does not answer; not raised later than by the first piece.
        """
        listener = Listener(line)
        self._enter(listener)
        try:
            if since is None:
                yield from listener.taking(event_stream.ready(self._join_at_once(listener)))
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
            if self._ending.is_set():
                raise FeedEnded
            if len(self._present) >= self._limit:
                raise TooManyListeners
            if self._count_of(listener.line.caller) >= self._limit_each:
                raise TooManyOfOne
            self._present.add(listener)
            if not self._is_read:
                self._is_read = True
                self._is_informed.clear()
                threading.Thread(target=self._read, name="feed", daemon=True).start()

    def _count_of(self, caller: str | None) -> int:
        """Return how many listen for a caller; those who are nobody's are not counted."""
        return sum(each.line.caller == caller for each in self._present) if caller else 0

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
            if self._failure is not None:
                raise type(self._failure)(*self._failure.args) from self._failure
            if not self._is_informed.is_set():
                raise StoreUnavailable("there is no news yet")
            self._listening.add(listener)
            return self._position

    def _resumed(self, listener: Listener, since: str) -> Iterator[bytes]:
        """Yield what a listener has missed; once it has begun, a store that fails is waited for."""
        listener.position = since
        piece, has_more = self._advanced(listener)
        yield from listener.taking(piece or event_stream.HEARTBEAT)
        while has_more and not listener.is_over:
            try:
                piece, has_more = self._advanced(listener)
            except StoreError as error:
                logger.info("A listener waits for the store: %s", error)
                piece = event_stream.HEARTBEAT
                self._ending.wait(LONGEST_PAUSE)
            yield from listener.taking(piece)

    def _advanced(self, listener: Listener) -> tuple[bytes, bool]:
        """Return what is to be told a listener next, and whether there is more."""
        piece, news = self._after(listener.position)
        listener.position = news.position
        return piece, news.has_more

    def _after(self, position: str, wait: float = 0.0) -> tuple[bytes, ChangeBatch]:
        """Return what is to be told of what happens after a place, or that the place is lost."""
        try:
            news = self._hive.changes_after(position, PAGE, wait=wait)
        except UnknownPosition:
            news = self._hive.changes_after(None)
            return event_stream.reset(news.position), news
        return event_stream.told(news), news

    def _read(self) -> None:
        """Read the news while anybody is present."""
        position: str | None = None
        pause = 0.0
        try:
            while self._look_after_listeners():
                try:
                    if position is None:
                        position = self._hive.changes_after(None).position
                        self._tell(event_stream.reset(position), position)
                    self._admit_newcomers()
                    piece, news = self._after(position, WAIT)
                    self._tell(piece, news.position)
                    position, pause = news.position, 0.0 if news.has_more else COALESCE_SECONDS
                except StoreError as error:
                    self._fail(error)
                    if isinstance(error, NotBootstrapped):  # whatever comes back begins anew
                        position = None
                    pause = min(LONGEST_PAUSE, 2 * max(pause, COALESCE_SECONDS))
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
            is_read = bool(self._present) and not self._ending.is_set()
            self._is_read = is_read
        for listener in stalled:
            listener.drop("has stalled")
        return is_read

    def _tell(self, piece: bytes, position: str) -> None:
        """Tell everybody what has happened before a position; b"" is nothing."""
        with self._lock:
            listeners = list(self._listening)
            self._position, self._failure = position, None
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

        It is read now, so it is not older than anything that they have heard, and what is read next
        is not older than this.
        """
        by_place: dict[str, list[Listener]] = {}
        with self._lock:
            for listener in self._newcomers:
                by_place.setdefault(listener.position, []).append(listener)
        for place, listeners in islice(by_place.items(), ADMISSIONS):
            self._admit(listeners, place)

    def _admit(self, listeners: Sequence[Listener], position: str) -> None:
        has_more = True
        while has_more:
            piece, news = self._after(position)
            position, has_more = news.position, news.has_more
            for listener in listeners:
                listener.position = position
                if piece:
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
