"""The gunicorn worker: serves connections with gevent, and enforces limits on them.

It drops waiting connections when nearly all slots are taken, bounds the time of slow clients, and
stops without failing a request. gunicorn's own gevent worker has none of this.
"""

from __future__ import annotations

import resource
import signal
import sys
import time
from collections import Counter
from operator import attrgetter
from socket import SO_SNDBUF, SOL_SOCKET
from typing import TYPE_CHECKING

import gevent
from gevent.event import Event
from gevent.lock import BoundedSemaphore
from gevent.pool import Group
from gevent.socket import wait_read
from gunicorn.workers.ggevent import GeventWorker

from overmind_project.server.balance import ConnectionCounts
from overmind_project.server.connection import Connection, Phase, Reason
from overmind_project.server.handler import Handler
from overmind_project.server.listening import without_ipv6_mapping

if TYPE_CHECKING:
    import socket

    from _typeshed.wsgi import WSGIApplication, WSGIEnvironment
    from gunicorn.config import Config
    from gunicorn.glogging import Logger

HEARTBEAT_SECONDS = 1.0
"""Seconds between two heartbeats, each of which also enforces the deadlines."""

STOPPING_HEARTBEAT_SECONDS = 0.1

SEND_BUFFER_BYTES = 128 * 1024
"""Kernel buffer for a peer that does not read; the default would grow to megabytes.

It allows 1.2 MiB a second at a round-trip time of 0.1 s.
"""

ROOM_SHARE = 64
"""Under pressure, this fraction of the slots is freed at once: each search takes time."""

RESERVED_CONNECTIONS = 32
"""Slots that are kept free for new connections; an eighth of the slots if there are few."""

OTHER_FILES = 128
"""Open files besides the connections: those of the store, of the metrics and so on."""


class Worker(GeventWorker):
    """Serves the connections of one process."""

    application: WSGIApplication
    counts: ConnectionCounts
    """The numbers of open connections of all processes, and the place of this process in it."""
    place: int
    stopping: Event
    """Set as soon as the process begins to stop."""

    is_crowded = False
    """Whether all slots are taken by requests in progress, so that the next to wait is dropped."""

    @classmethod
    def check_config(cls, cfg: Config, log: Logger) -> None:
        """Reject TLS, which this worker does not support."""
        if cfg.is_ssl:
            sys.exit(
                "overmind: TLS is not supported; terminate it at a proxy in front of the service"
            )

    def init_process(self) -> None:
        """Serve until the process is stopped."""
        self.stopping = Event()
        super().init_process()

    def init_signals(self) -> None:
        """Stop gracefully on SIGTERM."""
        super().init_signals()
        gevent.signal_handler(signal.SIGTERM, self._begin_to_stop)

    def _begin_to_stop(self) -> None:
        self.alive = False
        self.stopping.set()

    @property
    def is_stopping(self) -> bool:
        """Whether the process is stopping."""
        return not self.alive

    def run(self) -> None:
        """Accept and answer until the process is stopped; then finish open requests."""
        # Import it late: prometheus_client must not be imported before `MetricsDirectory.open`.
        from overmind_project.server import connection_metrics as metrics

        self.note_dropped = metrics.note_dropped
        self.application = self.wsgi  # type: ignore[assignment]  # the stubs' type is narrower
        self._open: set[Connection] = set()
        self._greenlets = Group()
        self._slots = self._connection_limit()
        self._soft_limit = self._slots - min(RESERVED_CONNECTIONS, self._slots // 8)
        self._free = BoundedSemaphore(self._slots)
        for listener in self.sockets:
            listener.settimeout(0.0)
            # Accepted sockets inherit the option.
            listener.setsockopt(SOL_SOCKET, SO_SNDBUF, SEND_BUFFER_BYTES)
        self._note_open()
        accepting = [gevent.spawn(self._accept_all, each) for each in self.sockets]
        while self.alive:
            self._heartbeat()
            metrics.note_open(self._count())
            self.stopping.wait(HEARTBEAT_SECONDS)
        self.stopping.set()
        gevent.killall(accepting)
        self.counts.leave(self.place)
        for listener in self.sockets:
            self._accept_rest(listener)
        self._finish()

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

    def _accept_all(self, listener: socket.socket) -> None:
        """Accept connections for ever, one at a time, so that other processes get their share."""
        while True:
            wait_read(listener.fileno())
            self.counts.let_others_accept(self.place)
            if len(self._open) >= self._soft_limit:
                closing = sum(each.is_closing for each in self._open)
                if len(self._open) - closing >= self._soft_limit:
                    self.make_room()
            self._free.acquire()
            try:
                self._accept(listener)
            except BlockingIOError:  # another process was faster
                self._free.release()
            except OSError as error:
                self._free.release()
                self.log.warning("Could not accept a connection: %s", error)
                gevent.sleep(STOPPING_HEARTBEAT_SECONDS)

    def _accept_rest(self, listener: socket.socket) -> None:
        """Accept all pending connections before closing; the kernel would reset them."""
        try:
            while True:
                self._accept(listener, has_slot=False)
        except BlockingIOError:
            pass
        except OSError as error:
            # Accepted connections are served in any case.
            self.log.warning("Could not accept all waiting connections before closing: %s", error)
        listener.close()

    def _accept(self, listener: socket.socket, *, has_slot: bool = True) -> None:
        accepted, address = listener.accept()
        host, port = listener.getsockname()[:2]
        environ = {
            "SCRIPT_NAME": "",
            "SERVER_NAME": host,
            "SERVER_PORT": str(port),
            "REMOTE_ADDR": without_ipv6_mapping(address[0]),
            "wsgi.version": (1, 0),
            "wsgi.url_scheme": "http",
            "wsgi.errors": sys.stderr,
            "wsgi.multithread": True,
            "wsgi.multiprocess": self.cfg.workers > 1,
            "wsgi.run_once": False,
            "gunicorn.socket": accepted,
        }
        connection = Connection(accepted, self)
        self._open.add(connection)
        self._note_open()
        self._greenlets.spawn(self._serve, connection, environ, has_slot)

    def _serve(self, connection: Connection, environ: WSGIEnvironment, has_slot: bool) -> None:
        try:
            Handler(connection, environ, self).serve()
        except Exception:
            self.log.exception("Error handling a request")
        finally:
            self._open.discard(connection)
            self._note_open()
            if has_slot:
                self._free.release()

    def _note_open(self) -> None:
        if self.alive:
            self.counts.note(self.place, len(self._open))

    def make_room(self) -> None:
        """Drop some connections that wait for their peers; if there are none, the next one to wait.

        Connections that were dropped before and are still being drained end now.
        """
        if len(self._open) < self._soft_limit:  # others have ended meanwhile
            self.is_crowded = False
            return
        found = [each for each in self._open if each.can_be_dropped]
        for connection in found:
            if connection.is_closing:
                connection.drop(Reason.CROWDED)
        waiting = sorted((each for each in found if not each.is_closing), key=attrgetter("rank"))
        wanted = max(1, self._slots // ROOM_SHARE)
        self.is_crowded = True
        for connection in waiting:
            if connection.drop(Reason.CROWDED):
                self.is_crowded = False
                self.note_dropped(Reason.CROWDED.value)
                wanted -= 1
                if not wanted:
                    break

    def _heartbeat(self) -> None:
        self.notify()
        now = time.monotonic()
        for connection in list(self._open):
            reason = connection.overdue(now, self.cfg.keepalive)
            if reason is None or not connection.drop(reason):
                continue
            if reason is not Reason.IDLE:
                self.note_dropped(reason.value)

    def _count(self) -> dict[str, int]:
        """Return how many connections are idle, reading or answering."""
        phases = Counter(each.phase for each in self._open)
        idle, reading = phases[Phase.IDLE], phases[Phase.HEAD] + phases[Phase.BODY]
        return {"idle": idle, "reading": reading, "answering": len(self._open) - idle - reading}

    def _finish(self) -> None:
        """Wait for the connections to end, at most `graceful_timeout` seconds."""
        end = time.monotonic() + self.cfg.graceful_timeout
        while not self._greenlets.join(timeout=STOPPING_HEARTBEAT_SECONDS):
            self._heartbeat()
            if time.monotonic() > end:
                left = len(self._greenlets)
                self.log.warning("Cut off %s connections that did not end in time", left)
                self._greenlets.kill(timeout=1)
                return
