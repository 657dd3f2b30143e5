"""One accepted connection: reads requests, calls the WSGI application and sends its responses.

A connection has its own greenlet. The worker enforces the time limits of all connections together,
with `overdue` and `drop`.
"""

from __future__ import annotations

import socket
import struct
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from contextvars import copy_context
from enum import Enum
from typing import TYPE_CHECKING, Protocol

import gevent
from gevent.socket import wait_read, wait_write

from overmind_project.server import limits
from overmind_project.server.errors import (
    Disconnected,
    RequestError,
    body_too_slow,
    crowded_out,
    failed,
    head_too_slow,
)
from overmind_project.server.request import Request, RequestParser
from overmind_project.server.response import Response

if TYPE_CHECKING:
    import logging

    from _typeshed.wsgi import WSGIApplication, WSGIEnvironment
    from gunicorn.glogging import Logger

_ABORT = struct.pack("ii", 1, 0)
"""The SO_LINGER value with which closing discards the data that the peer has not read."""

_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


class Phase(Enum):
    """The current phase of a connection."""

    IDLE = "idle"  # waits for its next request
    HEAD = "head"
    BODY = "body"
    ANSWERING = "answering"
    SENDING = "sending"  # waits for the peer to read the response
    DRAINING = "draining"  # discards the rest of a rejected request


class Reason(Enum):
    """Why a connection is dropped."""

    IDLE = "idle"
    CROWDED = "crowded"
    SLOW_HEAD = "slow_head"
    SLOW_BODY = "slow_body"
    STALLED = "stalled"


_OVERDUE = {
    Phase.IDLE: Reason.IDLE,
    Phase.HEAD: Reason.SLOW_HEAD,
    Phase.BODY: Reason.SLOW_BODY,
    Phase.SENDING: Reason.STALLED,
    Phase.DRAINING: Reason.IDLE,
}
"""Why a connection is dropped after its deadline."""


class Server(Protocol):
    """The part of the worker that a connection uses."""

    @property
    def application(self) -> WSGIApplication:
        """The WSGI application."""

    @property
    def is_stopping(self) -> bool:
        """Whether the process is stopping."""

    @property
    def is_crowded(self) -> bool:
        """Whether connections must close to make room for others."""

    @property
    def log(self) -> logging.Logger | Logger:
        """The server's log."""

    def note_dropped(self, reason: str) -> None:
        """Count a connection that is closed for this reason."""

    def make_room(self) -> None:
        """Drop connections that wait for their peers."""


class Connection:
    """A connection and its state.

    Args:
        accepted: its socket, which is closed at the end.
        environ: the WSGI values that all of its requests share.
        server: the worker.
    """

    def __init__(self, accepted: socket.socket, environ: WSGIEnvironment, server: Server) -> None:
        self._socket = accepted
        self._socket.settimeout(0.0)
        self._server = server
        self._environ = environ | {"gunicorn.socket": accepted}
        self._parser = RequestParser()
        self._begin(Phase.HEAD)
        self._body_since = 0.0
        self.received = 0
        """Bytes received of the request that is being read."""
        self.dropped: Reason | None = None
        self.is_closing = False
        """Whether it was dropped to make room, so that its slot will soon be free."""

    def serve(self) -> None:
        """Answer all requests; close the socket at the end."""
        request = None
        try:
            while (request := self._read_head()) is not None:
                # A copy of the context, so that no context variable outlives its request.
                if not copy_context().run(self._answer, request):
                    break
                request = None
        except RequestError as error:
            if error.is_malformed:
                log = self._server.log
                log.warning("Malformed request: %s", error)
            self._note(error)
            with suppress(Disconnected):
                self.send(error.encoded(has_body=request is None or request.method != "HEAD"))
            self._drain()
        except Disconnected:
            pass
        finally:
            self._socket.close()
            self._parser.close()

    def _note(self, error: RequestError) -> None:
        if error.is_malformed:
            self._server.note_dropped("malformed")

    def overdue(self, now: float, keepalive: float) -> Reason | None:
        """Return why the connection has to be dropped now; None if no limit is exceeded.

        Args:
            now: monotonic seconds.
            keepalive: seconds for which it may wait for its next request.
        """
        if not self.can_be_dropped:
            return None
        if self._server.is_stopping and self.is_silent:
            return Reason.IDLE if self.since + limits.LINGER_SECONDS <= now else None
        return _OVERDUE[self.phase] if self.since + self._seconds(keepalive) <= now else None

    @property
    def can_be_dropped(self) -> bool:
        """Whether it waits for its peer and has not been dropped yet."""
        return self.phase is not Phase.ANSWERING and self.dropped is None

    @property
    def is_silent(self) -> bool:
        """Whether it waits for a request and has received none of its bytes."""
        return self.phase is Phase.IDLE or (self.phase is Phase.HEAD and not self.received)

    def _seconds(self, keepalive: float) -> float:
        """Return how long the present phase may last."""
        match self.phase:
            case Phase.IDLE:
                return keepalive
            case Phase.HEAD:
                return limits.HEAD_SECONDS
            case Phase.SENDING:
                return limits.SEND_SECONDS
            case Phase.DRAINING:
                return limits.DRAIN_SECONDS
            case _:
                slow = min(self.received, limits.LONG_BODY)
                fast = min(self.received, limits.MAX_BODY_BYTES) - slow
                bonus = slow / limits.BODY_RATE + fast / limits.LONG_BODY_RATE
                return limits.BODY_SECONDS + bonus

    @property
    def rank(self) -> tuple[int, float]:
        """The order in which waiting connections are dropped to make room; the lowest first.

        Idle connections come first, then those that receive a head or are being drained. Last come
        the bodies, in order of the received bytes (by powers of two), then of age. A response that
        is being sent ranks like a body of `BODY_RATE` bytes. A client that sends little cannot
        displace one that makes progress.
        """
        match self.phase:
            case Phase.IDLE:
                group = 0
            case Phase.BODY:
                group = 2 + self.received.bit_length()
            case Phase.SENDING:
                group = 2 + limits.BODY_RATE.bit_length()
            case _:
                group = 1
        return group, self.since

    def drop(self, reason: Reason) -> bool:
        """Shut a connection down, which wakes its greenlet if it waits for the peer.

        A request that has arrived completely is still answered.

        Returns:
            False if its next request has arrived meanwhile, so that it was not dropped; else True.
        """
        if self.is_silent and self._has_data():
            return False
        self.dropped = reason
        self.is_closing = self.is_closing or reason is Reason.CROWDED
        with suppress(OSError):  # the peer may have disconnected already
            if self.phase is Phase.SENDING:
                self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _ABORT)
                self._socket.shutdown(socket.SHUT_RDWR)
            else:
                self._socket.shutdown(socket.SHUT_RD)
        return True

    def send(self, data: bytes) -> None:
        """Send all of the data, waiting for the peer if the buffer is full.

        Raises:
            Disconnected: the peer has disconnected, or the connection was dropped.
        """
        rest = memoryview(data)
        while True:
            try:
                rest = rest[self._socket.send(rest) :]
            except BlockingIOError:
                self._begin(Phase.SENDING)
                self._wait(wait_write)
                self.phase = Phase.ANSWERING
            except OSError as error:
                raise Disconnected("the peer has disconnected") from error
            if not rest:
                return
            if self.dropped is not None:
                raise Disconnected("the peer does not read the response")

    def read_body(self, request: Request, size: int) -> bytes:
        """Return the next bytes of a body: `size`, or fewer at its end.

        Raises:
            RequestError: the body is malformed or too slow, or the connection had to make room.
            Disconnected: the peer has disconnected.
        """
        try:
            while len(request.body) < size and not request.is_complete:
                if not self._parser.parse_body(request):
                    self._receive_body(request)
                elif request.is_chunked:
                    gevent.sleep(0)  # parsing the framing takes time
        except RequestError as error:
            self._note(error)
            raise
        finally:
            self.phase = Phase.ANSWERING
        data = bytes(request.body[:size])
        del request.body[:size]
        return data

    def _receive_body(self, request: Request) -> None:
        if request.expects_continue and not request.framed:
            self.send(_CONTINUE)
        self.phase, self.since, self.received = Phase.BODY, self._body_since, request.framed
        if not self._receive():
            raise Disconnected("the body broke off")

    def _read_head(self) -> Request | None:
        """Return the next request; None if the connection ends before it."""
        while (request := self._parser.next_request()) is None:
            if self._parser.buffer and self.phase is Phase.ANSWERING:
                self._begin(Phase.HEAD)
                self.received = len(self._parser.buffer)
            elif self.phase is Phase.ANSWERING:
                self._begin(Phase.IDLE)
                self.received = 0
            if not self._receive():
                return None
        if self.phase is Phase.ANSWERING:
            gevent.sleep(0)  # a client that sends many requests at once would starve the others
        self.phase = Phase.ANSWERING
        self._body_since = time.monotonic()
        return request

    def _receive(self) -> bool:
        """Add received bytes to the parser's buffer; return False at the end of the connection.

        Raises:
            RequestError: the connection was dropped while a request was being read.
        """
        data = self._wait_for_bytes()
        if self.dropped is Reason.IDLE:
            return False
        if self.dropped is not None and (self.phase is Phase.BODY or self.received):
            if self.dropped is Reason.CROWDED:
                raise crowded_out()
            raise body_too_slow() if self.phase is Phase.BODY else head_too_slow()
        if self.phase is Phase.IDLE and data:
            self._begin(Phase.HEAD)
        self.received += len(data)
        self._parser.buffer += data
        return bool(data)

    def _wait_for_bytes(self) -> bytes:
        """Wait for bytes and return them; nothing at the end of the connection.

        It yields even if bytes have arrived. Otherwise a fast client would starve the others.
        """
        while True:
            self._wait(wait_read)
            try:
                return self._socket.recv(limits.READ_BYTES)
            except BlockingIOError:
                pass  # woken without data
            except OSError:
                return b""

    def _has_data(self) -> bool:
        try:
            return bool(self._socket.recv(1, socket.MSG_PEEK))
        except OSError:
            return False

    def _wait(self, wait: Callable[[int], object]) -> None:
        if self._server.is_crowded:
            self._server.make_room()
        wait(self._socket.fileno())

    def _begin(self, phase: Phase) -> None:
        self.phase = phase
        self.since = time.monotonic()

    def _answer(self, request: Request) -> bool:
        """Answer a request; return whether the connection is kept.

        Raises:
            RequestError: the request is rejected without a call of the application.
        """
        environ = request.wsgi_environment(self._environ)
        environ["wsgi.input"] = Body(self, request)
        response = Response(request, self.send, self._closes)
        try:
            response.run(self._server.application, environ)
        except Disconnected:
            return False
        except Exception:
            log = self._server.log
            log.exception("Error handling a request")
            if response.has_begun:
                return False
            self.send(failed().encoded(has_body=request.method != "HEAD"))
            response.is_kept = False
        self.phase = Phase.ANSWERING
        if not request.is_complete or (not response.is_kept and self._has_data()):
            self._drain()
        return response.is_kept

    def _closes(self) -> bool:
        """Return whether the response that begins has to be the last one."""
        return self._server.is_stopping or self._server.is_crowded or self.dropped is not None

    def _drain(self) -> None:
        """Close the sending side, then read and discard what still arrives, for a bounded time.

        Without this, a peer that is still sending gets a reset instead of the response.
        """
        self.dropped = None
        self._begin(Phase.DRAINING)
        discarded = 0
        with suppress(OSError):  # the peer has disconnected
            self._socket.shutdown(socket.SHUT_WR)
            while self.dropped is None and discarded < limits.DRAIN_BYTES:
                try:
                    data = self._socket.recv(limits.READ_BYTES)
                except BlockingIOError:
                    self._wait(wait_read)
                    continue
                if not data:
                    break
                discarded += len(data)
                gevent.sleep(0)


class Body:
    """The `wsgi.input` of a request."""

    def __init__(self, connection: Connection, request: Request) -> None:
        self._connection = connection
        self._request = request

    def read(self, size: int = -1) -> bytes:
        """Return the next bytes; see `Connection.read_body`. All of them if `size` is negative."""
        return self._connection.read_body(self._request, sys.maxsize if size < 0 else size)
