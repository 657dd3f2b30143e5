"""Tests for the connections of a worker: deadlines, dropping, accepting."""

from __future__ import annotations

import errno
import gc
import logging
import socket
import weakref
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, cast

import gevent
import pytest
from gevent.socket import create_connection, socketpair

from overmind_project.middleware.body import SWARM_LIMIT
from overmind_project.server.connection import Connection, Phase, Reason
from overmind_project.server.handler import Handler
from overmind_project.server.request import Request
from overmind_project.server.worker import Worker

if TYPE_CHECKING:
    from gunicorn.glogging import Logger

KEEPALIVE = 75.0


class Server:
    """The worker as a connection sees it."""

    is_stopping = is_crowded = False
    log = logging.getLogger("overmind.test")

    def application(self, environ: dict[str, Any], start_response: Any, /) -> list[bytes]:
        start_response("204 No Content", [])
        return []

    def note_dropped(self, reason: str) -> None:
        """Do not count."""

    def make_room(self) -> None:
        raise AssertionError


@pytest.fixture
def server() -> Server:
    return Server()


@pytest.fixture
def connection(server: Server) -> Iterator[Connection]:
    here, there = socketpair()
    with here, there:
        yield Connection(here, server)


def waiting(connection: Connection, phase: Phase, received: int = 0) -> Connection:
    """Return the connection as it is while it waits for its peer, since second 0."""
    connection.phase, connection.received = phase, received
    connection.since = 0.0
    return connection


@pytest.mark.parametrize(
    ("phase", "received", "seconds", "reason"),
    [
        (Phase.IDLE, 0, KEEPALIVE, Reason.IDLE),
        (Phase.HEAD, 0, 10, Reason.SLOW_HEAD),
        (Phase.HEAD, 5000, 10, Reason.SLOW_HEAD),
        (Phase.BODY, 0, 10, Reason.SLOW_BODY),
        (Phase.BODY, 4096, 11, Reason.SLOW_BODY),
        (Phase.BODY, 65536, 26, Reason.SLOW_BODY),
        (Phase.BODY, SWARM_LIMIT // 2, 33.5, Reason.SLOW_BODY),
        (Phase.BODY, SWARM_LIMIT, 41.5, Reason.SLOW_BODY),
        (Phase.BODY, 2 * SWARM_LIMIT, 41.5, Reason.SLOW_BODY),  # the rest is framing
        (Phase.SENDING, 0, 30, Reason.STALLED),
        (Phase.DRAINING, 0, 2, Reason.IDLE),
    ],
)
def test_each_phase_has_its_deadline(
    connection: Connection, phase: Phase, received: int, seconds: float, reason: Reason
) -> None:
    waiting(connection, phase, received)
    assert connection.overdue(seconds - 0.1, KEEPALIVE) is None
    assert connection.overdue(seconds + 0.1, KEEPALIVE) is reason


def test_a_connection_that_is_answered_is_never_overdue(connection: Connection) -> None:
    waiting(connection, Phase.ANSWERING)
    assert connection.overdue(1000.0, KEEPALIVE) is None


@pytest.mark.parametrize(("phase", "received"), [(Phase.IDLE, 0), (Phase.HEAD, 0)])
def test_silent_connections_are_closed_soon_while_the_process_stops(
    connection: Connection, server: Server, phase: Phase, received: int
) -> None:
    server.is_stopping = True
    assert waiting(connection, phase, received).overdue(1.1, KEEPALIVE) is Reason.IDLE


def test_a_closed_connection_can_be_dropped(server: Server) -> None:
    here, there = socketpair()
    with there:
        connection = Connection(here, server)
        here.close()
        assert connection.drop(Reason.CROWDED)


def test_a_connection_whose_next_request_has_arrived_is_not_dropped(server: Server) -> None:
    here, there = socketpair()
    with here, there:
        connection = waiting(Connection(here, server), Phase.IDLE)
        there.sendall(b"G")
        assert not connection.drop(Reason.CROWDED)
        assert connection.dropped is None


def test_connections_that_have_sent_least_are_dropped_first(server: Server) -> None:
    ordered = [
        (Phase.IDLE, 0),
        (Phase.HEAD, 5000),
        (Phase.BODY, 1),
        (Phase.BODY, 600),
        (Phase.SENDING, 0),
        (Phase.BODY, 60000),
    ]
    pairs = [socketpair() for _ in ordered]
    made = [
        waiting(Connection(pair[0], server), *state)
        for pair, state in zip(pairs, ordered, strict=True)
    ]
    shuffled = [made[index] for index in (3, 0, 5, 2, 4, 1)]
    assert sorted(shuffled, key=lambda each: each.rank) == made
    for pair in pairs:
        for each in pair:
            each.close()


@contextmanager
def worker_of(server: Server, *states: tuple[Phase, int], slots: int) -> Iterator[Worker]:
    """Yield a worker with connections in these states."""
    worker = object.__new__(Worker)
    worker._open = set()
    worker._slots = worker._soft_limit = slots
    worker.note_dropped = lambda reason: None
    with ExitStack() as sockets:
        for state in states:
            here, there = socketpair()
            sockets.enter_context(here)
            sockets.enter_context(there)
            worker._open.add(waiting(Connection(here, server), *state))
        yield worker


def test_room_is_made_by_those_that_have_sent_least(server: Server) -> None:
    states = [(Phase.BODY, 9), (Phase.BODY, 900), (Phase.ANSWERING, 0)]
    with worker_of(server, *states, slots=3) as worker:
        worker.make_room()
        dropped = [each.received for each in worker._open if each.dropped is Reason.CROWDED]
        assert (dropped, worker.is_crowded) == ([9], False)


def test_requests_in_progress_are_not_dropped(server: Server) -> None:
    with worker_of(server, (Phase.ANSWERING, 0), (Phase.ANSWERING, 0), slots=2) as worker:
        worker.make_room()
        assert worker.is_crowded, "the next connection that waits is dropped"
        assert {each.dropped for each in worker._open} == {None}


def test_nothing_is_dropped_once_there_is_room(server: Server) -> None:
    with worker_of(server, (Phase.HEAD, 0), slots=2) as worker:
        worker.is_crowded = True
        worker.make_room()
        assert not worker.is_crowded
        assert {each.dropped for each in worker._open} == {None}


def listening() -> gevent.socket.socket:
    """Return a listener on a free port."""
    listener = gevent.socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen()
    return listener


def served(server: Server, sent: bytes) -> bytes:
    """Serve one TCP connection whose client sends these bytes; return what it receives."""
    with listening() as listener:
        with create_connection(listener.getsockname()) as client:
            accepted, _ = listener.accept()
            serving = gevent.spawn(Handler(Connection(accepted, server), {}, server).serve)
            client.sendall(sent)
            received = b"".join(iter(lambda: client.recv(65536), b""))
        serving.get()
    return received


def test_the_last_response_arrives_although_more_requests_were_sent(server: Server) -> None:
    server.is_stopping = True
    request = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
    assert served(server, request * 5000).startswith(b"HTTP/1.1 204 No Content\r\n")


def test_a_body_has_its_time_in_all_and_not_for_each_part(
    connection: Connection, server: Server
) -> None:
    handler = Handler(connection, {}, server)
    handler._body_since = 1.0
    request = Request()
    request.length = 100
    parts = iter([b"a", b"b"])
    since = []

    def receive() -> bool:
        since.append(connection.since)
        request.body += next(parts)
        return True

    handler._receive = receive  # type: ignore[method-assign]  # instead of a socket
    handler._parser.parse_body = lambda request: False  # type: ignore[method-assign]  # as above
    assert [handler.read_body(request, 1) for _ in range(2)] == [b"a", b"b"]
    assert since == [1.0, 1.0]


def test_a_connection_leaves_nothing_to_the_garbage_collector(server: Server) -> None:
    here, there = socketpair()
    handler = Handler(Connection(here, server), {}, server)
    parser = weakref.ref(handler._parser)
    gc.disable()
    try:
        there.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        there.shutdown(socket.SHUT_WR)
        handler.serve()
        del handler
        assert parser() is None
    finally:
        gc.enable()
        there.close()


def test_context_variables_end_with_their_request(server: Server) -> None:
    variable: ContextVar[str] = ContextVar("variable", default="none")
    seen = []

    def application(environ: dict[str, Any], start_response: Any, /) -> list[bytes]:
        seen.append(variable.get())
        variable.set("set")
        start_response("204 No Content", [])
        return []

    server.application = application  # type: ignore[method-assign]  # of this instance
    served(server, b"GET / HTTP/1.1\r\nHost: x\r\n\r\n" * 2 + b"GET\r\n\r\n")
    assert seen == ["none", "none"]


class FailingListener:
    """A listener whose accept fails."""

    is_closed = False

    def accept(self) -> None:
        raise OSError(errno.EMFILE, "Too many open files")

    def close(self) -> None:
        self.is_closed = True


def test_a_failing_accept_at_the_end_is_logged_and_the_listener_closed(
    caplog: pytest.LogCaptureFixture,
) -> None:
    worker, listener = object.__new__(Worker), FailingListener()
    worker.log = cast("Logger", Server.log)
    worker._accept_rest(cast(socket.socket, listener))
    assert listener.is_closed
    assert "Too many open files" in caplog.text
