"""A connection: a socket that says whenever it waits for its peer, and can be told to give up.

Dropping is waking: the greenlet that waits finds that nothing more comes, and ends as it does when
the peer hangs up. Knows nothing of requests but when they begin and end.
"""

from __future__ import annotations

import errno
import socket
import struct
import time
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from enum import Enum
from typing import TYPE_CHECKING, Protocol

import gevent
import gevent.socket
from gevent import monkey
from gunicorn.http.errors import LimitRequestHeaders

from overmind_project.server.malformed import CrowdedOut, HeadTooSlow, TooMuchFraming

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer as Buffer
    from gunicorn.http.message import Request

HEAD_SECONDS = 10.0
"""Time for the head of a request, from its first byte on; for the first one from the accept on."""

HEAD_BYTES = 64 * 1024
"""Largest head of a request, however its bytes are spread over fields."""

BODY_SECONDS = 10.0
BODY_RATE = 4096
"""A body may take so many seconds, and one more for each so many bytes of it that have come."""

LONG_BODY = 64 * 1024
LONG_BODY_RATE = 128 * 1024
"""From so many bytes on it has to come at this rate: 2 MiB are there after 42 seconds."""

LONGEST_BODY = 2 * 1024 * 1024
"""What comes beyond is nothing but the framing of chunks, and buys no more time."""

MOST_FRAMED = 2 * LONGEST_BODY
"""Bytes that a body may come to with the framing of its chunks, each of which costs to be read."""

IN_ONE_GO = 8 * 1024
"""Bytes of a body after which others have a turn before more of it is taken."""

PIECE = 64 * 1024
"""Bytes of a body that are taken at once; gunicorn would read a mebibyte ahead."""

ANSWER_RANK = BODY_RATE.bit_length()
"""An answer that is not taken has to make room before a body of which so much has come."""

SEND_SECONDS = 30.0
"""Time for which a peer may take nothing of its answer; streams of events have less."""

FAREWELL_SECONDS = 2.0
FAREWELL_BYTES = 16 * 1024 * 1024
"""What is still taken in of a refused request, so that its sender gets to read why."""

_ABORT = struct.pack("ii", 1, 0)
"""SO_LINGER: do not keep what the peer does not take."""


class Reason(Enum):
    """Why a connection is dropped."""

    IDLE = "idle"
    CROWDED = "crowded"
    SLOW_HEAD = "slow_head"
    SLOW_BODY = "slow_body"
    STALLED = "stalled"


class Phase(Enum):
    """What a connection would read next."""

    IDLE = "idle"
    HEAD = "head"
    BODY = "body"
    NOTHING = "nothing"


class WaitingList(Protocol):
    """Where a connection notes that it waits for its peer: its process's ``Connections``."""

    is_crowded: bool
    heads: OrderedDict[Connection, None]
    idle: OrderedDict[Connection, None]

    def wait_idle(self, connection: Connection) -> None:
        """Note that a connection waits for its next request."""

    def wait(self, connection: Connection, rank: int) -> OrderedDict[Connection, None]:
        """Note that a connection waits in the midst of a request; return the row it waits in."""


class Connection(gevent.socket.socket):
    """An accepted connection: a socket that says whenever it waits, and can be told to give up."""

    __slots__ = (
        "_connections",
        "_has_sent",
        "_is_refusing",
        "_phase",
        "_received",
        "_request",
        "deadline",
        "dropped",
        "overdue",
        "since",
    )

    def __init__(self, accepted: socket.socket, connections: WaitingList) -> None:
        super().__init__(accepted.family, accepted.type, accepted.proto, fileno=accepted.detach())
        self._connections = connections
        self._request: Request | None = None
        self._phase = Phase.HEAD
        self._received = 0
        self._has_sent = self._is_refusing = False
        self.dropped: Reason | None = None
        self.since = time.monotonic()
        self.deadline, self.overdue = self.since + HEAD_SECONDS, Reason.SLOW_HEAD

    def begin(self, request: Request) -> None:
        """A request's head is whole: from here on it is being answered."""
        self._connections.heads.pop(self, None)
        self._request = request
        self._phase = Phase.BODY
        self._received = _read_ahead(request)
        self._has_sent = False
        self.overdue = Reason.SLOW_HEAD
        if self._connections.is_crowded or self.dropped is not None:
            request.force_close()

    def end(self) -> None:
        """The request has been answered; another one may follow, or have begun already."""
        ahead = 0 if self._request is None else _read_ahead(self._request)
        self._request = None
        self._phase = Phase.IDLE
        if ahead:
            self._begin_head(ahead)
        if self._is_refusing:
            self.bid_farewell()

    def _begin_head(self, received: int) -> None:
        self._phase = Phase.HEAD
        self._received = received
        self.since = time.monotonic()
        self.deadline, self.overdue = self.since + HEAD_SECONDS, Reason.SLOW_HEAD

    def refuse(self) -> None:
        """Have this answer be the last one, because its request is not going to be read."""
        self._is_refusing = True
        if self._request is not None:
            self._request.force_close()

    def announce_end(self) -> None:
        """Have this answer be the last one, and say so, unless it has begun."""
        if self._request is not None and not self._has_sent:
            self._request.force_close()

    @property
    def is_reading(self) -> bool:
        """Whether a request is being read, not answered."""
        return self.overdue is not Reason.STALLED

    @property
    def is_silent(self) -> bool:
        """Whether nothing has come yet."""
        return self._phase is Phase.HEAD and not self._received

    def recv(self, size: int, flags: int = 0, /) -> bytes:
        """Return what comes next, b"" where nothing comes or it is not waited for any more.

        Raises:
            HeadTooSlow, LimitRequestHeaders: the head will not be read any further.
            CrowdedOut: the head or the body will not, since others need the place.
            TooMuchFraming: the body comes in too many chunks, or too long ones for what is in them.
            TimeoutError: the body does not come fast enough.
        """
        if self._phase is Phase.IDLE:
            return self._beginning(size, flags)
        if self._phase is Phase.HEAD:
            return self._more_of_head(size, flags)
        return self._more_of_body(size, flags)

    def _beginning(self, size: int, flags: int) -> bytes:
        self.since, self.overdue = time.monotonic(), Reason.IDLE
        self._connections.wait_idle(self)
        try:
            data = super().recv(size, flags)
        finally:
            self._connections.idle.pop(self, None)
        self._begin_head(len(data))
        return data

    def _more_of_head(self, size: int, flags: int) -> bytes:
        self._connections.wait(self, 0)
        data = super().recv(size, flags)
        if self.dropped is not None and (self._received or not data):
            if self.dropped is Reason.SLOW_HEAD and self._received:
                raise HeadTooSlow
            if self.dropped is Reason.CROWDED and self._received:
                raise CrowdedOut
            return b""
        self._received += len(data)
        if self._received > HEAD_BYTES:
            raise LimitRequestHeaders("the head is too long")
        return data

    def _more_of_body(self, size: int, flags: int) -> bytes:
        now = time.monotonic()
        if self.overdue is not Reason.SLOW_BODY:
            self.since, self.overdue = now, Reason.SLOW_BODY
        slow = min(self._received, LONG_BODY)
        fast = min(self._received, LONGEST_BODY) - slow
        self.deadline = self.since + BODY_SECONDS + slow / BODY_RATE + fast / LONG_BODY_RATE
        row = self._connections.wait(self, 1 + self._received.bit_length())
        try:
            if self._received > IN_ONE_GO:
                # What has come already would be taken without a look at anybody else.
                gevent.socket.wait_read(self.fileno())
            data = super().recv(min(size, PIECE), flags)
        finally:
            row.pop(self, None)
        if self.dropped is Reason.CROWDED:
            raise CrowdedOut
        if self.dropped is not None:
            raise TimeoutError
        self._received += len(data)
        if self._received > MOST_FRAMED:
            raise TooMuchFraming
        return data

    def send(self, data: Buffer, flags: int = 0, /) -> int:
        """Send some of the data, and return how much; wait for room as long as some is made.

        Raises:
            OSError: the peer has gone or was dropped.
        """
        self._has_sent = True
        while True:
            try:
                return super().send(data, flags, 0.0)  # type: ignore[call-arg]  # gevent's takes a time-out, the stubs' does not
            except BlockingIOError:
                self._wait_for_room()

    def sendall(self, data: Buffer, flags: int = 0, /) -> None:
        """Send all of the data.

        Raises:
            OSError: the peer has gone or was dropped.
        """
        rest = memoryview(data)
        while rest:
            rest = rest[self.send(rest, flags) :]

    def _wait_for_room(self) -> None:
        self.deadline, self.overdue = time.monotonic() + SEND_SECONDS, Reason.STALLED
        row = self._connections.wait(self, ANSWER_RANK)
        try:
            gevent.socket.wait_write(self.fileno())
        finally:
            row.pop(self, None)
        if self.dropped is not None:
            raise ConnectionResetError(errno.ECONNRESET, "the peer does not take its answer")

    def drop(self, reason: Reason) -> bool:
        """Have whoever waits on it give up; return whether this is so.

        A request that has come meanwhile is answered, but none after it.
        """
        with suppress(OSError), _same(self) as plain:  # the peer may have gone already
            if (self._phase is Phase.IDLE or self.is_silent) and _has_data(plain):
                return False
            self.dropped = reason
            if self.overdue is Reason.STALLED:
                plain.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _ABORT)
                plain.shutdown(socket.SHUT_RDWR)
            else:
                plain.shutdown(socket.SHUT_RD)
        return True

    def bid_farewell(self) -> None:
        """Say that nothing more follows, and take in what still comes, for a moment."""
        self._phase, self.dropped = Phase.NOTHING, None
        self.deadline, self.overdue = time.monotonic() + FAREWELL_SECONDS, Reason.IDLE
        row = self._connections.wait(self, 0)
        taken = 0
        try:
            with _same(self) as plain:
                plain.shutdown(socket.SHUT_WR)
            while self.dropped is None and taken < FAREWELL_BYTES:
                data = super().recv(FAREWELL_BYTES >> 8)
                if not data:
                    break
                taken += len(data)
                gevent.sleep(0)
        except OSError:
            pass  # it has gone
        finally:
            row.pop(self, None)


def _read_ahead(request: Request) -> int:
    """Return how many bytes have come behind what was parsed of a request."""
    return len(request.unreader.buf.getbuffer())


@contextmanager
def _same(connection: socket.socket) -> Iterator[socket.socket]:
    """Lend the connection as a plain socket: gevent's would throw errors at whoever waits.

    Raises:
        OSError: it is closed already.
    """
    number = connection.fileno()
    if number < 0:
        raise OSError(errno.EBADF, "the connection is closed")
    plain: socket.socket = monkey.get_original("socket", "socket")(fileno=number)
    try:
        yield plain
    finally:
        plain.detach()


def _has_data(plain: socket.socket) -> bool:
    try:
        return bool(plain.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT))
    except BlockingIOError:
        return False
