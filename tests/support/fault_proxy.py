"""An HTTP proxy on a loopback port that fails on demand and keeps a list of what it saw.

For tests of how a client of an HTTP service behaves when the service, or the way to it, breaks.
It knows HTTP/1.x and nothing of the service behind it.
"""

from __future__ import annotations

import http.client
import socket
import socketserver
import struct
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler
from typing import Self

from tests.support.faults import Answer, CutBody, Delay, Fault, Hang, Kind, ResetAfter, ResetBefore

UPSTREAM_TIMEOUT_SECONDS = 30.0
CLOSE_DEADLINE_SECONDS = 1.0
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


@dataclass(frozen=True)
class SeenRequest:
    """A request that was carried out or met a fault.

    `path` has the query with it. `status` is the upstream's or the canned answer's, even if the
    client never got it; None if there was no answer.
    """

    method: str
    path: str
    status: int | None


class FaultProxy:
    """A proxy in front of `upstream_host:upstream_port`; without faults it only forwards.

    An upstream that cannot be reached, or that breaks off, resets the client's connection.
    """

    def __init__(self, upstream_host: str, upstream_port: int) -> None:
        self.upstream = (upstream_host, upstream_port)
        self.port = 0
        self._lock = threading.Lock()
        self._requests: list[SeenRequest] = []
        self._faults: list[Fault] = []
        self._uses: list[int] = []
        self._listener: _Listener | None = None

    @property
    def url(self) -> str:
        """The base address, without a slash at the end; known once the proxy has started."""
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> Self:
        """Listen on a free port, which stays this proxy's own over down() and up()."""
        self.up()
        return self

    def stop(self) -> None:
        """Close everything; what is held or under way is dropped."""
        self.down()

    def up(self) -> None:
        """Listen (again). Nothing happens if the proxy listens already."""
        if self._listener is None:
            self._listener = _Listener(self)
            self.port = self._listener.server_address[1]
            self._listener.open()

    def down(self) -> None:
        """Close the listener and every connection, as a killed server would."""
        if self._listener is not None:
            self._listener.close()
            self._listener = None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def requests(self) -> list[SeenRequest]:
        """A snapshot of the requests seen so far; each is there before its client has an answer."""
        with self._lock:
            return list(self._requests)

    def clear(self) -> None:
        """Forget the requests seen; the faults stay."""
        with self._lock:
            self._requests.clear()

    @property
    def faults(self) -> Sequence[Fault]:
        """Tried in order: the first that matches and is not used up decides about a request."""
        with self._lock:
            return tuple(self._faults)

    @faults.setter
    def faults(self, faults: Sequence[Fault]) -> None:
        with self._lock:
            self._faults = list(faults)
            self._uses = [0] * len(faults)

    @property
    def fault(self) -> Fault | None:
        """The first of `faults`; assigning replaces them all, None by no fault at all."""
        return next(iter(self.faults), None)

    @fault.setter
    def fault(self, fault: Fault | None) -> None:
        self.faults = [] if fault is None else [fault]

    def take(self, method: str, path: str) -> Kind | None:
        """Return what shall go wrong with this request, and count the use of it."""
        with self._lock:
            for index, fault in enumerate(self._faults):
                unused = fault.times is None or self._uses[index] < fault.times
                if unused and fault.matches(method, path):
                    self._uses[index] += 1
                    return fault.kind
        return None

    def record(self, method: str, path: str, status: int | None) -> None:
        """Add a request to the list."""
        with self._lock:
            self._requests.append(SeenRequest(method, path, status))


class _Listener(socketserver.TCPServer):
    """One life of the proxy, from up() to down(): its socket, its connections, its threads."""

    allow_reuse_address = True
    request_queue_size = 128

    def __init__(self, proxy: FaultProxy) -> None:
        self.proxy = proxy
        self.closed = threading.Event()
        self._lock = threading.Lock()
        self._sockets: set[socket.socket] = set()
        self._threads: list[threading.Thread] = []
        super().__init__(("127.0.0.1", proxy.port), _Handler)

    def open(self) -> None:
        self._spawn(self.serve_forever, POLL_SECONDS)

    def close(self) -> None:
        self.shutdown()
        self.server_close()
        self.closed.set()
        with self._lock:
            for held in self._sockets:
                with suppress(OSError):
                    held.shutdown(socket.SHUT_RDWR)
        deadline = time.monotonic() + CLOSE_DEADLINE_SECONDS
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))
        if any(thread.is_alive() for thread in self._threads):
            raise RuntimeError("a connection of the fault proxy did not end")

    @contextmanager
    def holding(self, connection: socket.socket) -> Iterator[None]:
        """Have close() end the connection, which wakes the thread that waits for it."""
        with self._lock:
            self._sockets.add(connection)
        try:
            if self.closed.is_set():
                raise ConnectionAbortedError
            yield
        finally:
            with self._lock:
                self._sockets.discard(connection)

    def process_request(self, request: object, client_address: object) -> None:
        self._threads = [thread for thread in self._threads if thread.is_alive()]
        self._spawn(self._serve_connection, request, client_address)

    def _spawn(self, target: Callable[..., None], *args: object) -> None:
        thread = threading.Thread(target=target, args=args, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _serve_connection(self, connection: socket.socket, client_address: object) -> None:
        # Closed without a shutdown() before, which would make an orderly end of a reset.
        with connection, suppress(ConnectionError), self.holding(connection):
            self.finish_request(connection, client_address)


class _Handler(BaseHTTPRequestHandler):
    """One connection of a client."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Listener

    def log_message(self, *_: object) -> None:
        """Say nothing: a test reads `FaultProxy.requests`."""

    def handle_one_request(self) -> None:
        self.raw_requestline = self.rfile.readline(65537)
        if not self.raw_requestline or not self.parse_request():
            self.close_connection = True
            return
        try:
            body = self._read_body()
            self._react(self.server.proxy.take(self.command, self.path), body)
        except (OSError, http.client.HTTPException):
            self._reset()

    def _react(self, fault: Kind | None, body: bytes | None) -> None:
        match fault:
            case Answer():
                self._answer(fault)
            case ResetBefore():
                self._record(None)
                self._reset()
            case Hang(forward=False):
                self._record(None)
                self._wait_for(fault.release)
                self._reset()
            case Delay():
                if self.server.closed.wait(fault.seconds):
                    raise ConnectionAbortedError
                self._forward(None, body)
            case _:
                self._forward(fault, body)

    def _forward(self, fault: ResetAfter | CutBody | Hang | None, body: bytes | None) -> None:
        # A connection for each request: none can have gone stale.
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

    def _relay(
        self, fault: ResetAfter | CutBody | Hang | None, response: http.client.HTTPResponse
    ) -> None:
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
        # A HEAD or a 304 tells the length of a body that does not come.
        length = response.getheader("Content-Length") if not body else str(len(body))
        self._send_head(response, {} if length is None else {"Content-Length": length})
        if isinstance(fault, CutBody):
            body = body[: fault.bytes_kept]
            self.close_connection = True
        self.wfile.write(body)

    def _stream(self, response: http.client.HTTPResponse) -> None:
        """Pass on a body of unknown length as it comes, which may be slowly (a feed of changes)."""
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
        """Have the connection end by an RST instead of an orderly FIN."""
        self.close_connection = True
        with suppress(OSError):
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def _end_to_end(headers: Iterable[tuple[str, str]]) -> Iterator[tuple[str, str]]:
    """Leave out what belongs to one connection: each side of the proxy has its own."""
    return ((name, value) for name, value in headers if name.lower() not in HOP_BY_HOP)
