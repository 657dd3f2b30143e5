"""A process that serves: gunicorn's gevent worker that watches over its connections.

It makes room when they are nearly all taken, puts up with slow peers for a bounded time, answers
in JSON what is no request, and stops without failing a request. Knows nothing of what is served.
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
from overmind_project.server.listening import plain
from overmind_project.server.malformed import FAILED, NoHost, refusal_of

if TYPE_CHECKING:
    import socket
    from contextlib import AbstractContextManager

    from gunicorn._types import _AddressType as Address
    from gunicorn.config import Config
    from gunicorn.glogging import Logger
    from gunicorn.http.message import Request

LOOK_EVERY = 1.0
"""Seconds between two heartbeats, and two looks at who has waited for too long."""

LOOK_EVERY_WHILE_STOPPING = 0.1

UNREAD_BYTES = 128 * 1024
"""What is kept for a peer that does not read, of which the kernel by itself would keep megabytes.

It allows 1.2 MiB a second where a packet and its acknowledgement take 0.1 s."""

RESERVE = 32
"""Places that are kept free for newcomers, or an eighth of few."""

OTHER_FILES = 128
"""Open files besides the connections: the store's, those that metrics are counted in, and so on."""


class Worker(GeventWorker):
    """Serves the connections of one process."""

    stopping: Event
    """Set as soon as the process is to stop."""

    @classmethod
    def check_config(cls, cfg: Config, log: Logger) -> None:
        """Refuse what this worker would silently leave out."""
        if cfg.is_ssl:
            sys.exit("overmind: TLS ends in front of the service, not in it")

    def init_process(self) -> None:
        """Serve until told to stop."""
        self.stopping = Event()
        super().init_process()

    def run(self) -> None:
        """Accept and answer until told to stop; then finish what has begun."""
        # It looks for the place to count in when it is imported.
        from overmind_project.server import connection_metrics as metrics

        self._note_dropped = metrics.note_dropped
        self._connections = Connections(
            self.cfg.keepalive, lambda reason: metrics.note_dropped(reason.value)
        )
        places = _Places(self._connections, self._places())
        listeners = [self._listening(listener, places) for listener in self.sockets]
        while self.alive:
            self._look_after()
            metrics.note_open(self._connections.count())
            self._wait_for_signal(LOOK_EVERY)
        self.stopping.set()
        self._connections.stop()
        for listener in listeners:
            listener.finish(self.log)
        self._finish(places)

    def _places(self) -> int:
        """Return how many connections there may be: as many as wanted, if files can be opened."""
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        needed = self.worker_connections + OTHER_FILES
        if soft < needed:
            soft = min(needed, hard)
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        places = min(self.worker_connections, max(1, soft - OTHER_FILES))
        if places < self.worker_connections:
            self.log.warning("Serves %s connections at once: no more files may be open", places)
        return places

    def _listening(self, listener: socket.socket, places: Pool) -> _Listener:
        def handle(client: socket.socket, address: Address) -> None:
            self.handle(server, client, address)

        # Those that it accepts inherit it.
        listener.setsockopt(SOL_SOCKET, SO_SNDBUF, UNREAD_BYTES)
        server = _Listener(listener, handle, spawn=places)
        # Other processes are to have some too; and who has been accepted stands in its row
        # before the next one needs room, for which an upload would have to go otherwise.
        server.max_accept = 1
        server.start()
        return server

    def _look_after(self) -> None:
        self.notify()
        self._connections.look_after()

    def _wait_for_signal(self, seconds: float) -> None:
        with suppress(TimeoutError):
            gevent.socket.wait_read(self.PIPE[0], timeout=seconds)
            os.read(self.PIPE[0], 4096)

    def _finish(self, places: Pool) -> None:
        """Wait until the last connection is closed, but for a bounded time."""
        end = time.monotonic() + self.cfg.graceful_timeout
        while not places.join(timeout=LOOK_EVERY_WHILE_STOPPING):
            self._look_after()
            if time.monotonic() > end:
                self.log.warning("Cut off %s connections that did not end in time", len(places))
                places.kill(timeout=1)
                return

    def timeout_ctx(self) -> AbstractContextManager[None]:  # type: ignore[override]  # the stubs are wrong
        """Bound nothing: connections are looked after all together, which costs them less."""
        return nullcontext()

    def handle(self, listener: _Listener, client: socket.socket, addr: Address) -> None:  # type: ignore[override]  # see below
        """Serve a connection."""
        if isinstance(addr, tuple):
            addr = (plain(addr[0]), *addr[1:])
        with self._connections.opened(client) as connection:
            super().handle(listener, connection, addr)  # type: ignore[arg-type]  # asked for its name

    def handle_request(  # type: ignore[override]  # gets what handle() made
        self, listener_name: Address, req: Request, sock: Connection, addr: Address
    ) -> bool:
        """Answer a request.

        Raises:
            NoHost: it is none that may be answered.
        """
        sock.begin(req)
        if req.version != (1, 0) and not any(name == "HOST" for name, _ in req.headers):
            raise NoHost
        try:
            return super().handle_request(listener_name, req, sock, addr)
        finally:
            sock.end()

    def handle_error(  # type: ignore[override]  # gets what handle() made
        self,
        req: Request | None,
        client: Connection,
        addr: Address,
        exc: BaseException,
    ) -> None:
        """Tell a peer what was wrong, with its request or with the service."""
        if not isinstance(exc, Exception):
            return  # the process ends
        refusal = refusal_of(exc)
        if refusal is None:
            self.log.error("Error handling a request", exc_info=exc)
        elif isinstance(exc, ParseException):
            self.log.warning("Refused what is no request: %s", type(exc).__name__)
            self._note_dropped("malformed")
        has_body = req is None or req.method != "HEAD"
        with suppress(OSError):
            client.sendall((refusal or FAILED).encoded(has_body=has_body))
            client.bid_farewell()


class _Places(Pool):
    """The greenlets that serve connections: as many as there are places."""

    def __init__(self, connections: Connections, size: int) -> None:
        super().__init__(size)
        self._connections = connections
        self._nearly_all = size - min(RESERVE, size // 8)

    def full(self) -> bool:
        """Whether none can be accepted now; asked before each, so it makes room in time."""
        if len(self) - self._connections.leaving >= self._nearly_all:
            self._connections.make_room()
        return super().full()


class _Listener(StreamServer):
    """Accepts connections."""

    def getsockname(self) -> Address:
        """Return where it listens, or did: gunicorn asks when a connection is first looked at."""
        return self.address

    def finish(self, log: Logger) -> None:
        """Accept all that have come, and no more: what is left when it closes would be reset."""
        try:
            while accepted := self.do_read():
                self.full()  # makes room where there is none, or the next line would wait for it
                self.do_handle(*accepted)
        except OSError as error:
            # Those that have been accepted are to be served all the same.
            log.warning("Accepted no more connections before the end: %s", error)
        self.close()
