"""Serves one client connection of a fault proxy: forwards each request, or injects its fault."""

from __future__ import annotations

import base64
import http.client
import random
import socket
import struct
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, closing, suppress
from http.server import BaseHTTPRequestHandler
from typing import TYPE_CHECKING

from tests.support.faults import (
    Answer,
    CutBody,
    Delay,
    Drip,
    Hang,
    Judged,
    Kind,
    ResetAfter,
    ResetBefore,
    Twice,
    WrongType,
)

if TYPE_CHECKING:
    from tests.support.fault_listener import Listener

UPSTREAM_TIMEOUT_SECONDS = 30.0
POLL_SECONDS = 0.02
BODILESS = {204, 304}
HOP_BY_HOP = {
    "connection",
    "content-length",
    "expect",
    "keep-alive",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
}

Forwarded = ResetAfter | CutBody | Drip | Hang | WrongType


class Handler(BaseHTTPRequestHandler):
    """Handles one client connection."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: Listener
    generation = 0

    def setup(self) -> None:
        super().setup()
        self.generation = self.server.proxy.generation

    def log_message(self, *_: object) -> None:
        """Log nothing: tests read `FaultProxy.requests`."""

    def handle_one_request(self) -> None:
        self.raw_requestline = self.rfile.readline(65537)
        if not self.raw_requestline or not self.parse_request():
            self.close_connection = True
            return
        try:
            body = self._read_body()
            if self.generation < self.server.proxy.generation:
                self._record(None)
                self._wait_for(threading.Event())
            self._react(self._fault(), body)
        except (OSError, http.client.HTTPException):
            self._reset()

    def _fault(self) -> Kind | None:
        username = None
        scheme, _, credentials = self.headers.get("Authorization", "").partition(" ")
        if scheme.lower() == "basic":
            username = base64.b64decode(credentials).decode().partition(":")[0]
        return self.server.proxy.take(self.command, self.path, username)

    def _react(self, fault: Kind | None, body: bytes | None) -> None:
        match fault:
            case Answer():
                self._answer(fault)
            case Judged():
                self._react(fault.judge(body or b""), body)
            case ResetBefore():
                self._record(None)
                self._reset()
            case Hang(forward=False):
                self._record(None)
                self._wait_for(fault.release)
                self._reset()
            case Delay():
                if self.server.closed.wait(fault.seconds + random.uniform(0, fault.jitter)):
                    raise ConnectionAbortedError
                self._forward(None, body)
            case Twice():
                self._forward(None, body, first=True)
                self._forward(None, body)
            case _:
                self._forward(fault, body)

    def _forward(self, fault: Forwarded | None, body: bytes | None, *, first: bool = False) -> None:
        # One connection per request, so none can be stale.
        upstream = http.client.HTTPConnection(
            *self.server.proxy.upstream, timeout=UPSTREAM_TIMEOUT_SECONDS
        )
        with closing(upstream), ExitStack() as held:
            try:
                upstream.connect()
                held.enter_context(self.server.holding(upstream.sock))
                response = held.enter_context(self._ask(upstream, body))
            except (OSError, http.client.HTTPException):
                self._record(None)
                raise
            if first:
                self._record(response.status)
                response.read()
            else:
                self._relay(fault, response)

    def _ask(
        self, upstream: http.client.HTTPConnection, body: bytes | None
    ) -> http.client.HTTPResponse:
        upstream.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
        for name, value in _end_to_end(self.headers.items()):
            upstream.putheader(name, value)
        upstream.putheader("Connection", "close")
        if body is not None:
            upstream.putheader("Content-Length", str(len(body)))
        upstream.endheaders(body)
        return upstream.getresponse()

    def _relay(self, fault: Forwarded | None, response: http.client.HTTPResponse) -> None:
        if fault is None and response.length is None:
            self._stream(response)
            return
        body = response.read()
        self._record(response.status)
        if isinstance(fault, ResetAfter):
            self._reset()
            return
        if isinstance(fault, Hang):
            self._wait_for(fault.release)
        # A HEAD or a 304 has the length of a body that is not sent.
        length = response.getheader("Content-Length") if not body else str(len(body))
        framing = {} if length is None else {"Content-Length": length}
        if isinstance(fault, WrongType):
            framing["Content-Type"] = fault.content_type
            del response.headers["Content-Type"]
        self._send_head(response, framing)
        if isinstance(fault, CutBody):
            body = body[: fault.bytes_kept]
            self.close_connection = True
        if isinstance(fault, Drip):
            self._drip(body, fault.every)
        else:
            self.wfile.write(body)

    def _drip(self, body: bytes, every: float) -> None:
        """Send a body byte by byte."""
        for start in range(len(body)):
            if self.server.closed.wait(every):
                raise ConnectionAbortedError
            self.wfile.write(body[start : start + 1])

    def _stream(self, response: http.client.HTTPResponse) -> None:
        """Pass on a body of unknown length as it arrives, such as a changes feed."""
        self._record(response.status)
        self._send_head(response, {"Transfer-Encoding": "chunked"})
        for chunk in iter(lambda: response.read1(65536), b""):
            self.wfile.write(b"%x\r\n%b\r\n" % (len(chunk), chunk))
        self.wfile.write(b"0\r\n\r\n")

    def _send_head(self, response: http.client.HTTPResponse, framing: Mapping[str, str]) -> None:
        self.send_response_only(response.status, response.reason)
        for name, value in [*_end_to_end(response.getheaders()), *framing.items()]:
            self.send_header(name, value)
        self.end_headers()

    def _answer(self, answer: Answer) -> None:
        self._record(answer.status)
        self.send_response_only(answer.status)
        for name, value in answer.headers.items():
            self.send_header(name, value)
        if answer.status not in BODILESS:
            self.send_header("Content-Length", str(len(answer.body)))
        self.end_headers()
        if self.command != "HEAD" and answer.status not in BODILESS:
            self.wfile.write(answer.body)

    def _read_body(self) -> bytes | None:
        if "chunked" in self.headers.get("Transfer-Encoding", "").lower():
            return b"".join(self._read_chunks())
        length = self.headers.get("Content-Length")
        return None if length is None else self._read_exactly(int(length))

    def _read_chunks(self) -> Iterator[bytes]:
        while size := int(self._read_line().partition(b";")[0], 16):
            yield self._read_exactly(size)
            self._read_line()
        while self._read_line().strip():
            pass  # trailers

    def _read_line(self) -> bytes:
        line = self.rfile.readline(65537)
        if not line.endswith(b"\n"):
            raise ConnectionAbortedError
        return line

    def _read_exactly(self, size: int) -> bytes:
        data = self.rfile.read(size)
        if len(data) < size:
            raise ConnectionAbortedError
        return data

    def _wait_for(self, release: threading.Event) -> None:
        while not release.wait(POLL_SECONDS):
            if self.server.closed.is_set():
                raise ConnectionAbortedError

    def _record(self, status: int | None) -> None:
        self.server.proxy.record(self.command, self.path, status)

    def _reset(self) -> None:
        """Close the connection with an RST instead of a FIN."""
        self.close_connection = True
        with suppress(OSError):
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def _end_to_end(headers: Iterable[tuple[str, str]]) -> Iterator[tuple[str, str]]:
    """Return the headers that a proxy passes on: all but the hop-by-hop headers."""
    return ((name, value) for name, value in headers if name.lower() not in HOP_BY_HOP)
