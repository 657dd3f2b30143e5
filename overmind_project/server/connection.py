"""One accepted connection: its socket, its phase, and the limits on waiting for its peer.

A connection has its own greenlet. The worker enforces the time limits of all connections together,
with `overdue` and `drop`. This module does not know HTTP; `handler` does.
"""

from __future__ import annotations

import socket
import struct
import time
from collections.abc import Callable
from contextlib import suppress
from enum import Enum
from typing import Protocol

import gevent
from gevent.socket import wait_read, wait_write

from overmind_project.server import limits
from overmind_project.server.errors import Disconnected, body_too_slow, crowded_out, head_too_slow

_ABORT = struct.pack("ii", 1, 0)
"""The SO_LINGER value with which closing discards the data that the peer has not read."""


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
    def is_stopping(self) -> bool:
        """Whether the process is stopping."""

    @property
    def is_crowded(self) -> bool:
        """Whether connections must close to make room for others."""

    def make_room(self) -> None:
        """Drop connections that wait for their peers."""


class Connection:
    """A connection and its state.

    Args:
        accepted: its socket.
        server: the worker.

    Attributes:
        phase: its current phase.
        since: when the time of the phase began, in monotonic seconds.
        received: bytes received of the request that is being read.
        dropped: why it was dropped; None if it was not.
        is_closing: whether it was dropped to make room, so that its slot will soon be free.
    """

    def __init__(self, accepted: socket.socket, server: Server) -> None:
        self._socket = accepted
        self._socket.settimeout(0.0)
        self._server = server
        self.begin(Phase.HEAD)
        self.dropped: Reason | None = None
        self.is_closing = False

    def begin(self, phase: Phase, *, received: int = 0, since: float | None = None) -> None:
        """Begin a phase.

        Args:
            phase: the phase.
            received: bytes of its request that were received before.
            since: when its time began, in monotonic seconds; by default now.
        """
        self.phase = phase
        self.received = received
        self.since = time.monotonic() if since is None else since

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
        if self.is_silent and self.has_data():
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
                self.begin(Phase.SENDING)
                self._wait(wait_write)
                self.phase = Phase.ANSWERING
            except OSError as error:
                raise Disconnected("the peer has disconnected") from error
            if not rest:
                return
            if self.dropped is not None:
                raise Disconnected("the peer does not read the response")

    def receive(self) -> bytes:
        """Return the next bytes of a request; nothing at the end of the connection.

        Raises:
            RequestError: the connection was dropped while a request was being read.
        """
        data = self._wait_for_bytes()
        if self.dropped is Reason.IDLE:
            return b""
        if self.dropped is not None and (self.phase is Phase.BODY or self.received):
            if self.dropped is Reason.CROWDED:
                raise crowded_out()
            raise body_too_slow() if self.phase is Phase.BODY else head_too_slow()
        if self.phase is Phase.IDLE and data:
            self.begin(Phase.HEAD)
        self.received += len(data)
        return data

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

    def has_data(self) -> bool:
        """Whether bytes have arrived that were not read yet."""
        try:
            return bool(self._socket.recv(1, socket.MSG_PEEK))
        except OSError:
            return False

    def _wait(self, wait: Callable[[int], object]) -> None:
        if self._server.is_crowded:
            self._server.make_room()
        wait(self._socket.fileno())

    def must_close(self) -> bool:
        """Return whether the response that begins has to be the last one."""
        return self._server.is_stopping or self._server.is_crowded or self.dropped is not None

    def drain(self) -> None:
        """Close the sending side, then read and discard what still arrives, for a bounded time.

        Without this, a peer that is still sending gets a reset instead of the response.
        """
        self.dropped = None
        self.begin(Phase.DRAINING)
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

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()
