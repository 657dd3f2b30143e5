"""``python -m bench.streams [STREAMS]``: the cost of open event streams to other requests.

Loads the service with 64 connections, alternately without streams and with STREAMS (default 200)
streams, each of which receives every move. The load is first the mix, in which a fifth of the
requests are moves, and then moves only. Afterwards opens streams up to the limit. The readers run
on the same cores as the service, in a separate process that discards the events.

Needs wrk. Uses the embedded store, or CouchDB with STORE_URL=http://admin:password@host:port.
"""

from __future__ import annotations

import multiprocessing
import os
import secrets
import selectors
import socket
import statistics
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from pathlib import Path

from bench.cells import Rig, Sample, rig
from bench.errors import BenchError
from bench.kinds import KINDS
from bench.memory import Memory, watched
from bench.plan import ROOT
from bench.service import HOST, Server
from bench.stores import Benched, CouchDB, Embedded

DEFAULT_STREAMS = 200
LIMIT = 300
"""Maximum number of open streams of the service."""

CONNECTIONS = 64
SECONDS = 8
ROUNDS = 3
OPEN_LIMIT = 20.0
"""Seconds to wait for a stream to open."""

REQUEST = b"GET /events HTTP/1.1\r\nHost: bench\r\nAccept: text/event-stream\r\n\r\n"
KINDS_MEASURED = ("mix", "moves")


def main() -> int:
    """Run the benchmark and print its figures."""
    streams = int(sys.argv[1]) if len(sys.argv) > 1 else DEFAULT_STREAMS
    os.environ["OVERMIND_STREAMS"] = str(LIMIT)
    with tempfile.TemporaryDirectory() as directory:
        url = os.environ.get("STORE_URL", "").rstrip("/")
        store: Benched = CouchDB(url) if url else Embedded(Path(directory))
        try:
            _measure(store, streams)
        except BenchError as error:
            sys.stderr.write(f"bench: {error}\n")
            return 1
    return 0


def _measure(store: Benched, streams: int) -> None:
    prefix = f"overmind-bench-{secrets.token_hex(4)}"
    with rig(store, prefix, ROOT, frozenset({"service"})) as started:
        (server,) = started.targets["service"].servers
        sys.stdout.write(f"{store.name}, {CONNECTIONS} connections, {ROUNDS} x {SECONDS} s\n")
        _load(started, "mix", "warming up")
        rest = Memory.of(server)
        for kind in KINDS_MEASURED:
            without: list[Sample] = []
            beside: list[Sample] = []
            for _ in range(ROUNDS):
                without.append(_load(started, kind, "no stream"))
                with _listening(server, streams) as readers, watched(server) as peak:
                    beside.append(_load(started, kind, f"{streams} streams"))
                    received = _received(readers)
            _report(kind, "no stream", without)
            _report(kind, f"{streams} streams ({received / 2**20:.1f} MiB received)", beside)
        sys.stdout.write(f"memory: {rest.rss:.0f} MiB at rest, {peak.rss:.0f} at most beside\n")
        _overfill(server)


def _load(started: Rig, kind: str, what: str) -> Sample:
    chosen = next(known for known in KINDS if known.name == kind)
    sample = started.measure(chosen, CONNECTIONS, SECONDS, started.populate("service", 1000))
    sys.stderr.write(f"{kind}, {what}: {sample.figures.rate:.0f}/s, {sample.figures.p99_ms} ms\n")
    return sample


def _report(kind: str, what: str, samples: list[Sample]) -> None:
    figures = [sample.figures for sample in samples]
    sys.stdout.write(
        f"{kind}, {what}: {statistics.median(f.rate for f in figures):.0f}/s, "
        f"p50 {statistics.median(f.p50_ms for f in figures):.1f} ms, "
        f"p99 {statistics.median(f.p99_ms for f in figures):.1f} ms, "
        f"errors {sum(f.errors for f in figures)}\n"
    )


@contextmanager
def _listening(server: Server, streams: int) -> Iterator[Connection]:
    """Keep streams open in another process during the block; yield a pipe to that process."""
    here, there = multiprocessing.get_context("spawn").Pipe()
    readers = multiprocessing.get_context("spawn").Process(
        target=_listen, args=(there, server.port, streams), daemon=True
    )
    readers.start()
    try:
        if not here.poll(OPEN_LIMIT + 5) or here.recv() != streams:
            raise BenchError("not all streams were opened")
        yield here
    finally:
        readers.terminate()
        readers.join()


def _received(readers: Connection) -> int:
    """Return the bytes that all streams together have received."""
    readers.send(None)
    if not readers.poll(OPEN_LIMIT):
        raise BenchError("the readers do not answer")
    received: int = readers.recv()
    return received


def _listen(pipe: Connection, port: int, streams: int) -> None:
    selector = selectors.DefaultSelector()
    for _ in range(streams):
        stream = _opened(port)
        stream.setblocking(False)
        selector.register(stream, selectors.EVENT_READ)
    pipe.send(streams)
    selector.register(pipe, selectors.EVENT_READ)
    received = 0
    while True:
        for key, _ in selector.select():
            if isinstance(key.fileobj, socket.socket):
                received += len(key.fileobj.recv(1 << 16))
            else:
                pipe.recv()
                pipe.send(received)


def _opened(port: int) -> socket.socket:
    stream = socket.create_connection((HOST, port), timeout=OPEN_LIMIT)
    stream.sendall(REQUEST)
    if not stream.recv(4096).startswith(b"HTTP/1.1 200"):
        raise BenchError("a stream was refused")
    return stream


def _overfill(server: Server) -> None:
    """Open streams up to the limit; print the answers to more streams and to other requests."""
    open_ones = [_opened(server.port) for _ in range(LIMIT)]
    statuses = []
    for path in ["/events"] * 20 + ["/zerglings?limit=1"] * 20:
        connection = server.connect()
        connection.request("GET", path)
        statuses.append(connection.getresponse().status)
        connection.close()
    sys.stdout.write(
        f"{LIMIT} streams open, the limit: 20 more got {sorted(set(statuses[:20]))}, "
        f"20 other requests {sorted(set(statuses[20:]))}; {Memory.of(server).rss:.0f} MiB\n"
    )
    for stream in open_ones:
        stream.close()


if __name__ == "__main__":
    sys.exit(main())
