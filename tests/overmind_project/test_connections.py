"""Connections that have ended already, or cannot be accepted, harm no others."""

from __future__ import annotations

import errno
import logging
import socket
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from overmind_project.connection import Connection, Reason
from overmind_project.connections import Connections
from overmind_project.worker import _Listener


@pytest.fixture
def connections() -> Connections:
    return Connections(75, lambda _: None)


@pytest.fixture
def connection(connections: Connections) -> Iterator[Connection]:
    here, there = socket.socketpair()
    with there, connections.opened(here) as connection:
        yield connection
        connection.close()


def test_who_is_closed_already_can_be_dropped(connection: Connection) -> None:
    connection.close()
    assert connection.drop(Reason.CROWDED)


def test_who_is_closed_already_is_bidden_no_farewell(
    connection: Connection, connections: Connections
) -> None:
    connection.close()
    connection.bid_farewell()
    assert connections.count() == {"idle": 0, "reading": 0, "answering": 1}


def test_what_has_sent_least_makes_room_first(connections: Connections) -> None:
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


def test_an_error_of_accept_at_the_end_is_logged_and_cuts_nothing(
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
