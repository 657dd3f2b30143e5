"""Clients that send requests continuously while the service shuts down, and count failures.

Some clients keep their connections; others open one for each request. A request fails if its
connection breaks. Connections that are refused, or closed between requests, are no failures.
"""

from __future__ import annotations

import http.client
import select
import socket
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

HOST = "127.0.0.1"
ANSWER_TIMEOUT = 30.0
REFUSALS_IN_A_ROW = 3
"""Consecutive refused connections after which a client stops."""

RETRY_AFTER = 0.02
"""Seconds between two attempts to connect."""


@dataclass
class Seen:
    """Counts of what the clients observed.

    ``answered`` counts responses by status, ``failed`` failures by kind of client and error,
    ``farewells`` responses with ``Connection: close``, ``refused`` refused connections.
    """

    answered: Counter[int] = field(default_factory=Counter)
    failed: Counter[str] = field(default_factory=Counter)
    farewells: int = 0
    refused: int = 0

    def add(self, other: Seen) -> None:
        """Add another client's counts."""
        self.answered += other.answered
        self.failed += other.failed
        self.farewells += other.farewells
        self.refused += other.refused


@dataclass(frozen=True)
class Call:
    """The request that the clients repeat."""

    method: str
    path: str
    body: str | None = None


class _Client(threading.Thread):
    def __init__(self, port: int, call: Call, over: threading.Event, *, keeps: bool) -> None:
        super().__init__(daemon=True)
        self._call = call
        self._over = over
        self._keeps = keeps
        self._connection = http.client.HTTPConnection(HOST, port, timeout=ANSWER_TIMEOUT)
        self.seen = Seen()

    def run(self) -> None:
        refused_in_a_row = 0
        while not self._over.is_set() and refused_in_a_row < REFUSALS_IN_A_ROW:
            if self._is_connected():
                refused_in_a_row = 0
                self._ask()
            else:
                refused_in_a_row += 1
                self.seen.refused += 1
                self._over.wait(RETRY_AFTER)
        self._connection.close()

    def _is_connected(self) -> bool:
        """Reconnect if the connection was closed; return whether there is a connection."""
        if self._connection.sock is not None and _is_readable(self._connection.sock):
            self._connection.close()
        try:
            if self._connection.sock is None:
                self._connection.connect()
        except ConnectionRefusedError:
            return False
        except OSError as error:  # the service accepted the connection and then broke it
            self._fail(error)
        return self._connection.sock is not None

    def _ask(self) -> None:
        try:
            self._connection.request(self._call.method, self._call.path, self._call.body)
            response = self._connection.getresponse()
            response.read()
        except (OSError, http.client.HTTPException) as error:
            self._fail(error)
            return
        self.seen.answered[response.status] += 1
        if response.getheader("Connection") == "close":
            self.seen.farewells += 1
        if not self._keeps:
            self._connection.close()

    def _fail(self, error: Exception) -> None:
        kind = "kept" if self._keeps else "new"
        self.seen.failed[f"{kind}: {type(error).__name__}"] += 1
        self._connection.close()


def _is_readable(connection: socket.socket) -> bool:
    return bool(select.select([connection], [], [], 0)[0])


@contextmanager
def rushing(port: int, call: Call, *, keeping: int, coming: int) -> Iterator[Seen]:
    """Run clients during the block; the yielded counts are filled in when it ends.

    Args:
        port: the service's port on this machine.
        call: the request to repeat.
        keeping: number of clients that keep their connections.
        coming: number of clients that open a connection for each request.
    """
    over = threading.Event()
    clients = [_Client(port, call, over, keeps=True) for _ in range(keeping)]
    clients += [_Client(port, call, over, keeps=False) for _ in range(coming)]
    seen = Seen()
    for client in clients:
        client.start()
    try:
        yield seen
    finally:
        over.set()
        for client in clients:
            client.join()
            seen.add(client.seen)
