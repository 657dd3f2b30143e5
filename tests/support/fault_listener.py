"""The listening socket and the connection threads of a fault proxy."""

from __future__ import annotations

import socket
import socketserver
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from tests.support.fault_handler import POLL_SECONDS, Handler

if TYPE_CHECKING:
    from tests.support.fault_proxy import FaultProxy

CLOSE_DEADLINE_SECONDS = 1.0
HANDSHAKE_SECONDS = 5.0
SWALLOWED = 4
"""Enough connections to fill a backlog of 0; the system then ignores new ones."""


class BlackHole:
    """A port whose backlog is full, so that new connections get no reply, not even a refusal."""

    def __init__(self, port: int) -> None:
        self._sockets = [socket.socket()]
        (listener,) = self._sockets
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", port))
        listener.listen(0)
        for _ in range(SWALLOWED):
            self._sockets.append(socket.socket())
            self._sockets[-1].setblocking(False)
            self._sockets[-1].connect_ex(listener.getsockname())

    def close(self) -> None:
        """Refuse connections from now on."""
        for each in self._sockets:
            # Closed with an RST, so that no TIME_WAIT keeps the port in use.
            each.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            each.close()


class Listener(socketserver.TCPServer):
    """The proxy's socket, connections and threads from one up() to the next down()."""

    allow_reuse_address = True
    request_queue_size = 128

    def __init__(self, proxy: FaultProxy) -> None:
        self.proxy = proxy
        self.closed = threading.Event()
        self._lock = threading.Lock()
        self._sockets: set[socket.socket] = set()
        self._threads: list[threading.Thread] = []
        super().__init__((proxy.address, proxy.port), Handler)

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
        """Register the connection, so that close() ends it and wakes the thread that uses it."""
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
        # Closed without shutdown(), which would send a FIN where a fault asks for an RST.
        with (
            suppress(ConnectionError, ssl.SSLError, TimeoutError),
            self._encrypted(connection) as talk,
            self.holding(talk),
        ):
            self.finish_request(talk, client_address)

    def _encrypted(self, connection: socket.socket) -> socket.socket:
        if self.proxy.tls is None:
            return connection
        connection.settimeout(HANDSHAKE_SECONDS)
        with connection:
            talk = self.proxy.tls.wrap_socket(connection, server_side=True)
        talk.settimeout(None)
        return talk
