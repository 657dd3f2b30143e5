"""An accepted connection with deadlines, which can be dropped while it waits for its peer.

A dropped socket is shut down. That wakes the greenlet that waits for it, which then ends as if
the peer had closed the connection. This module depends on the beginning and the end of a request,
and not on its content.
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

from overmind_project.server import limits
from overmind_project.server.malformed import CrowdedOut, HeadTooSlow, TooMuchFraming

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer as Buffer
    from gunicorn.http.message import Request

_ABORT = struct.pack("ii", 1, 0)
"""The SO_LINGER value with which closing discards the data that the peer has not read."""


class Reason(Enum):
    """Why a connection is dropped."""

    IDLE = "idle"
    CROWDED = "crowded"
    SLOW_HEAD = "slow_head"
    SLOW_BODY = "slow_body"
    STALLED = "stalled"


class Phase(Enum):
    """What the next read belongs to."""

    IDLE = "idle"
    HEAD = "head"
    BODY = "body"
    NOTHING = "nothing"


class WaitingConnections(Protocol):
    """The lists of waiting connections; implemented by the process's `Connections`."""

    is_crowded: bool
    heads: OrderedDict[Connection, None]
    idle: OrderedDict[Connection, None]

    def wait_idle(self, connection: Connection) -> None:
        """Register a connection that waits for its next request."""

    def wait(self, connection: Connection, rank: int) -> OrderedDict[Connection, None]:
        """Register a connection that waits in the middle of a request; return its queue."""


class Connection(gevent.socket.socket):
    """An accepted socket that registers whenever it waits for its peer, and that can be dropped."""

    __slots__ = (
        "_connections",
        "_drains_at_end",
        "_has_sent",
        "_phase",
        "_received",
        "_request",
        "deadline",
        "dropped",
        "overdue",
        "since",
    )

    def __init__(self, accepted: socket.socket, connections: WaitingConnections) -> None:
        super().__init__(accepted.family, accepted.type, accepted.proto, fileno=accepted.detach())
        self._connections = connections
        self._request: Request | None = None
        self._phase = Phase.HEAD
        self._received = 0
        self._has_sent = self._drains_at_end = False
        self.dropped: Reason | None = None
        self.since = time.monotonic()
        # After the deadline (monotonic seconds) it is dropped for the reason `overdue`.
        self.deadline, self.overdue = self.since + limits.HEAD_SECONDS, Reason.SLOW_HEAD

    def begin(self, request: Request) -> None:
        """Note that a request's head is complete, so it is answered from here on."""
        self._connections.heads.pop(self, None)
        self._request = request
        self._phase = Phase.BODY
        self._received = _read_ahead(request)
        self._has_sent = False
        self.overdue = Reason.SLOW_HEAD
        if self._connections.is_crowded or self.dropped is not None:
            request.force_close()

    def end(self) -> None:
        """Note that the request is answered; the next one may have arrived already."""
        ahead = 0 if self._request is None else _read_ahead(self._request)
        self._request = None
        self._phase = Phase.IDLE
        if ahead:
            self._begin_head(ahead)
        if self._drains_at_end:
            self.drain()

    def _begin_head(self, received: int) -> None:
        self._phase = Phase.HEAD
        self._received = received
        self.since = time.monotonic()
        self.deadline, self.overdue = self.since + limits.HEAD_SECONDS, Reason.SLOW_HEAD

    def stop_reading(self) -> None:
        """Make this response the last one, because the rest of the request will not be read."""
        self._drains_at_end = True
        if self._request is not None:
            self._request.force_close()

    def close_after_response(self) -> None:
        """Make this response the last one and announce it, unless it has begun."""
        if self._request is not None and not self._has_sent:
            self._request.force_close()

    @property
    def is_reading(self) -> bool:
        """Whether a request is being read rather than answered."""
        return self.overdue is not Reason.STALLED

    @property
    def is_silent(self) -> bool:
        """Whether a request is expected of which nothing has been received yet."""
        return self._phase is Phase.HEAD and not self._received

    def recv(self, size: int, flags: int = 0, /) -> bytes:
        """Return the next bytes, or b"" if the peer has closed or the connection was dropped.

        Raises:
            HeadTooSlow: the head is not complete in time.
            LimitRequestHeaders: the head is too long.
            CrowdedOut: the connection was dropped to make room for others.
            TooMuchFraming: the framing of the body's chunks is too long.
            TimeoutError: the body arrives too slowly.
        """
        if self._phase is Phase.IDLE:
            return self._recv_idle(size, flags)
        if self._phase is Phase.HEAD:
            return self._recv_head(size, flags)
        return self._recv_body(size, flags)

    def _recv_idle(self, size: int, flags: int) -> bytes:
        self.since, self.overdue = time.monotonic(), Reason.IDLE
        self._connections.wait_idle(self)
        try:
            data = super().recv(size, flags)
        finally:
            self._connections.idle.pop(self, None)
        self._begin_head(len(data))
        return data

    def _recv_head(self, size: int, flags: int) -> bytes:
        self._connections.wait(self, 0)
        data = super().recv(size, flags)
        if self.dropped is not None and (self._received or not data):
            if self.dropped is Reason.SLOW_HEAD and self._received:
                raise HeadTooSlow
            if self.dropped is Reason.CROWDED and self._received:
                raise CrowdedOut
            return b""
        self._received += len(data)
        if self._received > limits.MAX_HEAD_BYTES:
            raise LimitRequestHeaders("the head is too long")
        return data

    def _recv_body(self, size: int, flags: int) -> bytes:
        now = time.monotonic()
        if self.overdue is not Reason.SLOW_BODY:
            self.since, self.overdue = now, Reason.SLOW_BODY
        at_slow_rate = min(self._received, limits.LONG_BODY)
        at_fast_rate = min(self._received, limits.MAX_BODY_BYTES) - at_slow_rate
        self.deadline = (
            self.since
            + limits.BODY_SECONDS
            + at_slow_rate / limits.BODY_RATE
            + at_fast_rate / limits.LONG_BODY_RATE
        )
        queue = self._connections.wait(self, 1 + self._received.bit_length())
        try:
            if self._received > limits.BYTES_BEFORE_YIELD:
                # recv does not yield to other greenlets if data has arrived, so yield here.
                gevent.socket.wait_read(self.fileno())
            data = super().recv(min(size, limits.READ_BYTES), flags)
        finally:
            queue.pop(self, None)
        if self.dropped is Reason.CROWDED:
            raise CrowdedOut
        if self.dropped is not None:
            raise TimeoutError
        self._received += len(data)
        if self._received > limits.MAX_FRAMED_BYTES:
            raise TooMuchFraming
        return data

    def send(self, data: Buffer, flags: int = 0, /) -> int:
        """Send some of the data, and wait for the peer if the buffer is full.

        Returns:
            The number of bytes sent.

        Raises:
            OSError: the peer has disconnected, or the connection was dropped.
        """
        self._has_sent = True
        while True:
            try:
                return super().send(data, flags, 0.0)  # type: ignore[call-arg]  # gevent's takes a timeout, the stubs' does not
            except BlockingIOError:
                self._wait_for_room()

    def sendall(self, data: Buffer, flags: int = 0, /) -> None:
        """Send all of the data.

        Raises:
            OSError: the peer has disconnected, or the connection was dropped.
        """
        rest = memoryview(data)
        while rest:
            rest = rest[self.send(rest, flags) :]

    def _wait_for_room(self) -> None:
        self.deadline, self.overdue = time.monotonic() + limits.SEND_SECONDS, Reason.STALLED
        queue = self._connections.wait(self, limits.RESPONSE_RANK)
        try:
            gevent.socket.wait_write(self.fileno())
        finally:
            queue.pop(self, None)
        if self.dropped is not None:
            raise ConnectionResetError(errno.ECONNRESET, "the peer does not read the response")

    def drop(self, reason: Reason) -> bool:
        """Shut the connection down, which wakes the greenlet that waits for it.

        Returns:
            False if its next request has arrived meanwhile, so that it was not dropped; else True.
        """
        with (
            suppress(OSError),
            _plain_socket(self) as plain,
        ):  # the peer may have disconnected already
            if (self._phase is Phase.IDLE or self.is_silent) and _has_data(plain):
                return False
            self.dropped = reason
            if self.overdue is Reason.STALLED:
                plain.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _ABORT)
                plain.shutdown(socket.SHUT_RDWR)
            else:
                plain.shutdown(socket.SHUT_RD)
        return True

    def drain(self) -> None:
        """Close the sending side, then read and discard what still arrives, for a bounded time."""
        self._phase, self.dropped = Phase.NOTHING, None
        self.deadline, self.overdue = time.monotonic() + limits.DRAIN_SECONDS, Reason.IDLE
        queue = self._connections.wait(self, 0)
        discarded = 0
        try:
            with _plain_socket(self) as plain:
                plain.shutdown(socket.SHUT_WR)
            while self.dropped is None and discarded < limits.DRAIN_BYTES:
                data = super().recv(limits.DRAIN_BYTES >> 8)
                if not data:
                    break
                discarded += len(data)
                gevent.sleep(0)
        except OSError:
            pass  # the peer has disconnected
        finally:
            queue.pop(self, None)


def _read_ahead(request: Request) -> int:
    """Return the number of bytes that have been read beyond the parsed part of a request."""
    return len(request.unreader.buf.getbuffer())


@contextmanager
def _plain_socket(connection: socket.socket) -> Iterator[socket.socket]:
    """Yield the connection as a plain socket; gevent's would raise errors in the waiting greenlet.

    Raises:
        OSError: the connection is closed already.
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
