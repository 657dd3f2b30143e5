"""The gunicorn worker: a gevent worker that enforces limits on its connections.

It drops waiting connections when nearly all slots are taken, bounds the time of slow clients,
answers malformed requests in JSON, and stops without failing a request.
"""

from __future__ import annotations

import os
import resource
import sys
import time
from contextlib import nullcontext, suppress
from socket import SO_SNDBUF, SOL_SOCKET
from typing import TYPE_CHECKING

import gevent.socket
from gevent.event import Event
from gevent.pool import Pool
from gevent.server import StreamServer
from gunicorn.http.errors import ParseException
from gunicorn.workers.ggevent import GeventWorker

from overmind_project.server.connection import Connection
from overmind_project.server.connections import Connections
from overmind_project.server.listening import without_ipv6_mapping
from overmind_project.server.malformed import FAILED, NoHost, error_response_for

if TYPE_CHECKING:
    import socket
    from contextlib import AbstractContextManager

    from gunicorn._types import _AddressType as Address
    from gunicorn.config import Config
    from gunicorn.glogging import Logger
    from gunicorn.http.message import Request

HEARTBEAT_SECONDS = 1.0
"""Seconds between two heartbeats, each of which also enforces the deadlines."""

STOPPING_HEARTBEAT_SECONDS = 0.1

SEND_BUFFER_BYTES = 128 * 1024
"""Kernel buffer for a peer that does not read; the default would grow to megabytes.

It allows 1.2 MiB a second at a round-trip time of 0.1 s.
"""

RESERVED_CONNECTIONS = 32
"""Slots that are kept free for new connections; an eighth of the slots if there are few."""

OTHER_FILES = 128
"""Open files besides the connections: those of the store, of the metrics and so on."""


class Worker(GeventWorker):
    """Serves the connections of one process."""

    stopping: Event
    """Set as soon as the process begins to stop."""

    @classmethod
    def check_config(cls, cfg: Config, log: Logger) -> None:
        """Reject settings that this worker would silently ignore."""
        if cfg.is_ssl:
            sys.exit(
                "overmind: TLS is not supported; terminate it at a proxy in front of the service"
            )

    def init_process(self) -> None:
        """Serve until the process is stopped."""
        self.stopping = Event()
        super().init_process()

    def run(self) -> None:
        """Accept and answer until the process is stopped; then finish open requests."""
        # Import it late: it needs the worker's metrics slot.
        from overmind_project.server import connection_metrics as metrics

        self._note_dropped = metrics.note_dropped
        self._connections = Connections(
            self.cfg.keepalive, lambda reason: metrics.note_dropped(reason.value)
        )
        pool = _ConnectionPool(self._connections, self._connection_limit())
        listeners = [self._start_listener(listener, pool) for listener in self.sockets]
        while self.alive:
            self._heartbeat()
            metrics.note_open(self._connections.count())
            self._wait_for_signal(HEARTBEAT_SECONDS)
        self.stopping.set()
        self._connections.stop()
        for listener in listeners:
            listener.finish(self.log)
        self._finish(pool)

    def _connection_limit(self) -> int:
        """Return the limit of connections, which the limit of open files may lower."""
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        needed = self.worker_connections + OTHER_FILES
        if soft < needed:
            soft = min(needed, hard)
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        limit = min(self.worker_connections, max(1, soft - OTHER_FILES))
        if limit < self.worker_connections:
            self.log.warning(
                "Serves only %s connections at once: the limit of open files is too low", limit
            )
        return limit

    def _start_listener(self, listener: socket.socket, pool: Pool) -> _Listener:
        def handle(client: socket.socket, address: Address) -> None:
            self.handle(server, client, address)

        # Accepted sockets inherit the option.
        listener.setsockopt(SOL_SOCKET, SO_SNDBUF, SEND_BUFFER_BYTES)
        server = _Listener(listener, handle, spawn=pool)
        # Accept one connection at a time, so that other processes get their share. Each connection
        # is then registered before the next one needs room; otherwise an upload might be dropped in
        # its place.
        server.max_accept = 1
        server.start()
        return server

    def _heartbeat(self) -> None:
        self.notify()
        self._connections.enforce_deadlines()

    def _wait_for_signal(self, seconds: float) -> None:
        with suppress(TimeoutError):
            gevent.socket.wait_read(self.PIPE[0], timeout=seconds)
            os.read(self.PIPE[0], 4096)

    def _finish(self, pool: Pool) -> None:
        """Wait for the connections to end, at most `graceful_timeout` seconds."""
        end = time.monotonic() + self.cfg.graceful_timeout
        while not pool.join(timeout=STOPPING_HEARTBEAT_SECONDS):
            self._heartbeat()
            if time.monotonic() > end:
                self.log.warning("Cut off %s connections that did not end in time", len(pool))
                pool.kill(timeout=1)
                return

    def timeout_ctx(self) -> AbstractContextManager[None]:  # type: ignore[override]  # the stubs are wrong
        """Set no timeout: `Connections` enforces all deadlines together, which costs less."""
        return nullcontext()

    def handle(self, listener: _Listener, client: socket.socket, addr: Address) -> None:  # type: ignore[override]  # always gets a _Listener
        """Serve one connection."""
        if isinstance(addr, tuple):
            addr = (without_ipv6_mapping(addr[0]), *addr[1:])
        with self._connections.opened(client) as connection:
            super().handle(listener, connection, addr)  # type: ignore[arg-type]  # gunicorn calls its getsockname()

    def handle_request(  # type: ignore[override]  # gets the Connection from handle()
        self, listener_name: Address, req: Request, sock: Connection, addr: Address
    ) -> bool:
        """Answer a request.

        Raises:
            NoHost: an HTTP/1.1 request has no Host header.
        """
        sock.begin(req)
        if req.version != (1, 0) and not any(name == "HOST" for name, _ in req.headers):
            raise NoHost
        try:
            return super().handle_request(listener_name, req, sock, addr)
        finally:
            sock.end()

    def handle_error(  # type: ignore[override]  # gets the Connection from handle()
        self,
        req: Request | None,
        client: Connection,
        addr: Address,
        exc: BaseException,
    ) -> None:
        """Send the error response, for a malformed request or an error of the service."""
        if not isinstance(exc, Exception):
            return  # the worker is exiting
        response = error_response_for(exc)
        if response is None:
            self.log.error("Error handling a request", exc_info=exc)
        elif isinstance(exc, ParseException):
            self.log.warning("Malformed request: %s", type(exc).__name__)
            self._note_dropped("malformed")
        has_body = req is None or req.method != "HEAD"
        with suppress(OSError):
            client.sendall((response or FAILED).encoded(has_body=has_body))
            client.drain()


class _ConnectionPool(Pool):
    """The greenlets that serve connections, one for each slot."""

    def __init__(self, connections: Connections, size: int) -> None:
        super().__init__(size)
        self._connections = connections
        self._soft_limit = size - min(RESERVED_CONNECTIONS, size // 8)

    def full(self) -> bool:
        """Return whether no connection can be accepted.

        Called before each accept, so it makes room in time.
        """
        if len(self) - self._connections.closing >= self._soft_limit:
            self._connections.make_room()
        return super().full()


class _Listener(StreamServer):
    """Accepts connections."""

    def getsockname(self) -> Address:
        """Return the listen address. gunicorn also needs it after the socket is closed."""
        return self.address

    def finish(self, log: Logger) -> None:
        """Accept all pending connections before closing; the kernel would reset them."""
        try:
            while accepted := self.do_read():
                self.full()  # makes room if needed; otherwise the next line would block
                self.do_handle(*accepted)
        except OSError as error:
            # Accepted connections are served in any case.
            log.warning("Could not accept all waiting connections before closing: %s", error)
        self.close()
