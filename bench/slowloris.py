"""``python -m bench.slowloris [CONNECTIONS]``: who is served while others hold connections in vain.

Opens CONNECTIONS (default 500) of each habit of ``bench.attackers``, which connect again as soon as
they are closed, to a service with places for 2,000 and to one with places for 200; makes 20 calls
in a row meanwhile, each over a connection of its own; and then measures what an idle connection
takes of memory. Over the embedded store.
"""

from __future__ import annotations

import os
import socket
import sys
import tempfile
import time
from pathlib import Path

from bench import process
from bench.attackers import HABITS, attacking
from bench.errors import BenchError
from bench.plan import ROOT
from bench.service import HOST, Server, overmind
from bench.stores import Embedded

DEFAULT_CONNECTIONS = 500
PLACES = (2000, 200)
CALLS = 20
IDLE = 1500
SETTLE = 1.0
"""Seconds in which an attack comes to its height."""


def main() -> int:
    """Measure and print a line for each habit, then the memory."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else DEFAULT_CONNECTIONS
    with tempfile.TemporaryDirectory() as directory:
        store = Embedded(Path(directory))
        try:
            for places in PLACES:
                os.environ["OVERMIND_THREADS"] = str(places)
                with overmind(store, f"slowloris-{places}", ROOT) as server:
                    for habit in [*HABITS, "all"]:
                        _measure(server, habit, count, places)
                    if places > IDLE:
                        _weigh(server)
        except BenchError as error:
            sys.stderr.write(f"bench: {error}\n")
            return 1
    return 0


def _measure(server: Server, habit: str, count: int, places: int) -> None:
    with attacking(server.port, habit, count) as attack:
        time.sleep(SETTLE)
        seconds = [call(server, number) for number in range(CALLS)]
        told = attack.told()
    sys.stdout.write(
        f"{places} places, {told.open} connections, {habit}: {CALLS} calls,"
        f" median {sorted(seconds)[CALLS // 2] * 1000:.0f} ms,"
        f" longest {max(seconds) * 1000:.0f} ms; {told.closed} were closed and came again\n"
    )
    sys.stdout.flush()


def call(server: Server, number: int) -> float:
    """Make a call over a new connection; return the seconds that it took.

    Raises:
        BenchError: it was not answered well.
    """
    method, path, good = (("GET", "/healthz", 200), ("POST", "/zerglings/", 201))[number % 2]
    began = time.perf_counter()
    connection = server.connect()
    try:
        connection.request(method, path)
        status = connection.getresponse().status
    except OSError as error:
        raise BenchError(f"{method} {path} was not answered: {error}") from error
    finally:
        connection.close()
    if status != good:
        raise BenchError(f"{method} {path} was answered {status}")
    return time.perf_counter() - began


def _weigh(server: Server) -> None:
    before = process.rss(server.workers)
    idle = [socket.create_connection((HOST, server.port)) for _ in range(IDLE)]
    for connection in idle:
        connection.sendall(HABITS["idle"].first)
        connection.recv(4096)
    after = process.rss(server.workers)
    for connection in idle:
        connection.close()
    kibibytes = (after - before) * 1024 / IDLE
    sys.stdout.write(
        f"memory: {before:.0f} MiB, with {IDLE} idle connections {after:.0f} MiB:"
        f" {kibibytes:.1f} KiB each\n"
    )


if __name__ == "__main__":
    sys.exit(main())
