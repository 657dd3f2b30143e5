"""Tests that a closed connection or a failed accept does not affect other connections."""

from __future__ import annotations

import errno
import logging
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass

import pytest
from gunicorn.http.unreader import Unreader

from overmind_project.middleware.body import SWARM_LIMIT
from overmind_project.server.connection import Connection, Reason
from overmind_project.server.connections import Connections
from overmind_project.server.worker import _Listener


@pytest.fixture
def connections() -> Connections:
    return Connections(75, lambda _: None)


@pytest.fixture
def connection(connections: Connections) -> Iterator[Connection]:
    here, there = socket.socketpair()
    with there, connections.opened(here) as connection:
        yield connection
        connection.close()


def test_a_closed_connection_can_be_dropped(connection: Connection) -> None:
    connection.close()
    assert connection.drop(Reason.CROWDED)


def test_draining_a_closed_connection_is_not_an_error(
    connection: Connection, connections: Connections
) -> None:
    connection.close()
    connection.drain()
    assert connections.count() == {"idle": 0, "reading": 0, "answering": 1}


@dataclass
class Begun:
    """A request of whose body so many bytes arrived with the head."""

    came: int

    def __post_init__(self) -> None:
        self.unreader = Unreader()
        self.unreader.buf.write(bytes(self.came))


@pytest.mark.parametrize(
    ("came", "seconds"),
    [(0, 10), (4096, 11), (65536, 26), (SWARM_LIMIT // 2, 33.5), (SWARM_LIMIT, 41.5)],
)
def test_a_long_body_must_be_sent_at_a_higher_rate(
    connections: Connections, came: int, seconds: float
) -> None:
    here, there = socket.socketpair()
    with there, Connection(here, connections) as connection:
        connection.begin(Begun(came))  # type: ignore[arg-type]  # as much of a request as is read
        there.send(b" ")
        assert connection.recv(8192) == b" "
        assert connection.deadline - connection.since == pytest.approx(seconds)


def test_one_byte_chunks_have_no_more_time_than_the_longest_body(
    connections: Connections,
) -> None:
    here, there = socket.socketpair()
    with there, Connection(here, connections) as connection:
        connection.begin(Begun(2 * SWARM_LIMIT - 1))  # type: ignore[arg-type]  # as above
        there.send(b" ")
        connection.recv(8192)
        assert connection.deadline - connection.since == pytest.approx(41.5)


def test_connections_that_sent_least_are_dropped_first(connections: Connections) -> None:
    ranks = {"upload": 10, "body": 1, "head": 0}
    with ExitStack() as stack:
        waiting = {}
        for name, rank in ranks.items():
            here, there = socket.socketpair()
            stack.enter_context(there)
            waiting[name] = stack.enter_context(Connection(here, connections))
            connections.wait(waiting[name], rank)
        for name in ("head", "body", "upload"):
            assert waiting[name].dropped is None
            connections.make_room()
            assert waiting[name].dropped is Reason.CROWDED


def test_a_failed_accept_during_shutdown_is_logged(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(_: _Listener) -> None:
        raise OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setattr(_Listener, "do_read", fail)
    with socket.create_server(("127.0.0.1", 0)) as bound:
        listener = _Listener(bound, lambda *_: None)
        listener.finish(logging.getLogger("overmind.test"))  # type: ignore[arg-type]  # warns alike
        assert listener.closed
    assert "Too many open files" in caplog.text
