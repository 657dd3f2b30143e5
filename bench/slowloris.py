"""``python -m bench.slowloris [CONNECTIONS]``: response times while connections are held unused.

For each habit of ``bench.attackers``, opens CONNECTIONS (default 500) that reconnect when closed,
and meanwhile makes 20 calls in a row, each over a new connection. Measures a service with 2,000
connection slots and one with 200, over the embedded store. Then measures the memory that an idle
connection takes.
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
SLOTS = (2000, 200)
CALLS = 20
IDLE = 1500
SETTLE = 1.0
"""Seconds of attack before the first call."""


def main() -> int:
    """Measure and print a line for each habit, then the memory."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else DEFAULT_CONNECTIONS
    with tempfile.TemporaryDirectory() as directory:
        store = Embedded(Path(directory))
        try:
            for slots in SLOTS:
                os.environ["OVERMIND_THREADS"] = str(slots)
                with overmind(store, f"slowloris-{slots}", ROOT) as server:
                    for habit in [*HABITS, "all"]:
                        _measure(server, habit, count, slots)
                    if slots > IDLE:
                        _measure_memory(server)
        except BenchError as error:
            sys.stderr.write(f"bench: {error}\n")
            return 1
    return 0


def _measure(server: Server, habit: str, count: int, slots: int) -> None:
    with attacking(server.port, habit, count) as attack:
        time.sleep(SETTLE)
        seconds = [call(server, number) for number in range(CALLS)]
        counts = attack.counts()
    sys.stdout.write(
        f"{slots} slots, {counts.open} connections, {habit}: {CALLS} calls,"
        f" median {sorted(seconds)[CALLS // 2] * 1000:.0f} ms,"
        f" longest {max(seconds) * 1000:.0f} ms; {counts.closed} were closed and reopened\n"
    )
    sys.stdout.flush()


def call(server: Server, number: int) -> float:
    """Make a call over a new connection; return its duration in seconds.

    Raises:
        BenchError: the call failed or had another status than expected.
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


def _measure_memory(server: Server) -> None:
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
