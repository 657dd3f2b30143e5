"""Clients that hold connections without using them, in a separate process.

Each client reconnects as soon as its connection is closed.
"""

from __future__ import annotations

import multiprocessing
import random
import selectors
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from multiprocessing.connection import Connection
from typing import NamedTuple

from bench.errors import BenchError

DRIBBLE_EVERY = 1.0
"""Seconds between two sends on a connection."""

SMALL_WINDOW = 4096
"""Receive buffer, in bytes, of an attacker that does not read."""

START_LIMIT = 20.0
HOST = "127.0.0.1"


class Habit(NamedTuple):
    """The behaviour of one kind of attacker.

    ``first`` is sent after connecting, ``dribble`` every ``DRIBBLE_EVERY`` seconds. ``reads`` says
    whether the attacker reads the response.
    """

    first: bytes
    dribble: bytes = b""
    reads: bool = True


LARGEST = "/static/drf_spectacular_sidecar/swagger-ui-dist/swagger-ui-bundle.js"

HABITS = {
    "heads": Habit(b"GET /zerglings/ HTTP/1.1\r\nHost: x\r\nX-Slow: ", b"z"),
    "bodies": Habit(b"POST /zerglings/ HTTP/1.1\r\nHost: x\r\nContent-Length: 60000\r\n\r\n", b" "),
    "chunks": Habit(
        b"POST /zerglings/ HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"1\r\n \r\n",
    ),
    "unread": Habit(f"GET {LARGEST} HTTP/1.1\r\nHost: x\r\n\r\n".encode(), reads=False),
    "silent": Habit(b""),
    "idle": Habit(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"),
}
"""The kinds of attackers by name. ``attacking`` also accepts ``all``, a random mix of them."""


class Counts(NamedTuple):
    """Numbers of connections: open now, made so far, and closed so far."""

    open: int
    made: int
    closed: int


class Attack:
    """A running attack."""

    def __init__(self, pipe: Connection) -> None:
        self._pipe = pipe

    def counts(self) -> Counts:
        """Return the attackers' connection counts.

        Raises:
            BenchError: the attackers' process does not answer.
        """
        self._pipe.send(None)
        if not self._pipe.poll(START_LIMIT):
            raise BenchError("the attackers do not answer")
        counts: Counts = self._pipe.recv()
        return counts


@contextmanager
def attacking(port: int, habit: str, count: int) -> Iterator[Attack]:
    """Attack a port of this machine with ``count`` connections while the block runs.

    The block starts once all connections are open. ``habit`` is a key of ``HABITS`` or ``all``.

    Raises:
        BenchError: the connections did not open within ``START_LIMIT`` seconds.
    """
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    attackers = context.Process(target=_attack, args=(there, port, habit, count), daemon=True)
    attackers.start()
    try:
        if not here.poll(START_LIMIT) or here.recv() is not None:
            raise BenchError("not all attackers have connected")
        yield Attack(here)
    finally:
        attackers.terminate()
        attackers.join()


class _Attackers:
    def __init__(self, port: int, habit: str) -> None:
        self._port = port
        self._habits = list(HABITS.values()) if habit == "all" else [HABITS[habit]]
        self._selector = selectors.DefaultSelector()
        self.made = self.closed = 0
        self._open: dict[socket.socket, Habit] = {}

    def connect(self) -> None:
        habit = random.choice(self._habits)
        attacker = socket.socket()
        if not habit.reads:
            attacker.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SMALL_WINDOW)
        attacker.connect((HOST, self._port))
        attacker.setblocking(False)
        attacker.send(habit.first)
        self._open[attacker] = habit
        if habit.reads:
            self._selector.register(attacker, selectors.EVENT_READ)
        self.made += 1

    def look(self, seconds: float) -> None:
        """Read available data for up to ``seconds``, and replace closed connections."""
        for key, _ in self._selector.select(seconds):
            attacker = key.fileobj
            assert isinstance(attacker, socket.socket)  # nosec B101 # noqa: S101 - nothing else is registered
            if not _received(attacker):
                self._again(attacker)

    def dribble(self) -> None:
        """Send the next bytes on each connection, and replace closed connections."""
        for attacker, habit in list(self._open.items()):
            try:
                if habit.dribble:
                    attacker.send(habit.dribble)
                elif not habit.reads and attacker.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
                    self._again(attacker)
            except BlockingIOError:
                pass
            except OSError:
                self._again(attacker)

    def _again(self, attacker: socket.socket) -> None:
        if self._open.pop(attacker).reads:
            self._selector.unregister(attacker)
        attacker.close()
        self.closed += 1
        self.connect()

    def counts(self) -> Counts:
        return Counts(len(self._open), self.made, self.closed)


def _received(attacker: socket.socket) -> bytes:
    with suppress(ConnectionError):
        return attacker.recv(1 << 16)
    return b""


def _attack(pipe: Connection, port: int, habit: str, count: int) -> None:
    attackers = _Attackers(port, habit)
    for _ in range(count):
        attackers.connect()
    pipe.send(None)
    next_at = time.monotonic() + DRIBBLE_EVERY
    while True:
        attackers.look(max(0.0, min(0.05, next_at - time.monotonic())))
        if time.monotonic() >= next_at:
            attackers.dribble()
            next_at += DRIBBLE_EVERY
        if pipe.poll():
            pipe.recv()
            pipe.send(attackers.counts())
