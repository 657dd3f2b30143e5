"""Tests of the links between regions, on which the campaign and the benchmark rely."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator

import pytest

from bench.regions.links import Link, Links

SENT = b"M" * (1 << 20)
"""More than fits into the buffers of a connection."""

TIMEOUT = 10.0


@pytest.fixture
def link() -> Iterator[Link]:
    """A link to a server that answers each connection with ``SENT`` and closes it."""
    with socket.create_server(("127.0.0.1", 0)) as server, Links() as links:
        thread = threading.Thread(target=_serve, args=(server,))
        thread.start()
        yield links.to(*server.getsockname())
        server.shutdown(socket.SHUT_RDWR)
        thread.join()


def _serve(server: socket.socket) -> None:
    while True:
        try:
            connection, _ = server.accept()
        except OSError:  # the server was shut down
            return
        with connection:
            if connection.recv(1):
                connection.sendall(SENT)


def connect(link: Link) -> socket.socket:
    return socket.create_connection(("127.0.0.1", link.port), TIMEOUT)


def answer(connection: socket.socket) -> bytes:
    """Send a request and return everything that comes back."""
    connection.sendall(b"?")
    return b"".join(iter(lambda: connection.recv(1 << 16), b""))


def breaks(connection: socket.socket) -> bool:
    """Whether a connection ends without an answer."""
    try:
        return answer(connection) == b""
    except ConnectionError:
        return True


def test_a_link_forwards_everything(link: Link) -> None:
    with connect(link) as connection:
        assert answer(connection) == SENT


def test_a_cut_link_breaks_open_and_new_connections_until_it_is_restored(link: Link) -> None:
    with connect(link) as connection:
        link.cut()
        assert breaks(connection)
    with connect(link) as connection:
        assert breaks(connection)
    link.restore()
    with connect(link) as connection:
        assert answer(connection) == SENT
