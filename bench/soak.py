"""``python -m bench.soak``: mixed load for a long time, well below what the service could do.

Looks every few seconds at the memory, descriptors, threads and sockets of the service's processes,
and notes how long each request took, and how long the store takes by itself for one document beside
them. In the end it prints slopes, the 99th percentiles of each minute, and whether all that was
acknowledged is there. ``manage.py heal`` runs each minute, so that
the dead do not make lists longer. SOAK_MINUTES (default 30), SOAK_CLIENTS (default 16) and
STORE_URL=http://admin:password@host:port (default: the embedded store) say how and where.
"""

from __future__ import annotations

import os
import secrets
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from bench.documents import zergling
from bench.errors import BenchError
from bench.plan import ROOT
from bench.service import Server, manage, overmind
from bench.soak_load import Load
from bench.soak_report import Sample, Span, Timed, report, within
from bench.stores import Benched, CouchDB, Embedded

DEFAULT_MINUTES = 30.0
DEFAULT_CLIENTS = 16
SETTLE = 20.0
"""Seconds of load before the first figure: caches fill and the first connections are made."""

SAMPLES = 360
"""Looks in all; each costs the kernel some milliseconds."""

STORE_EVERY = 0.25
"""Seconds between two documents that are written to the store without the service."""

HEAL_EVERY = 60.0
"""Seconds between two runs of heal, which takes away the dead."""

HEAL_LIMIT = 60.0
"""Seconds that heal may take."""

LEAST_PAUSE = 0.25
"""Seconds between two looks at least."""


def main() -> int:
    """Measure and print; 0 if there was no error and nothing was lost."""
    try:
        minutes = _number("SOAK_MINUTES", DEFAULT_MINUTES)
        clients = int(_number("SOAK_CLIENTS", DEFAULT_CLIENTS))
        with tempfile.TemporaryDirectory(prefix="overmind-soak-") as directory:
            url = os.environ.get("STORE_URL", "").rstrip("/")
            store: Benched = CouchDB(url) if url else Embedded(Path(directory))
            return _soak(store, minutes * 60, clients)
    except BenchError as error:
        sys.stderr.write(f"bench: {error}\n")
        return 1


def _number(name: str, default: float) -> float:
    text = os.environ.get(name, "")
    try:
        value = float(text) if text else default
    except ValueError:
        value = 0.0
    if value <= 0:
        raise BenchError(f"{name}: not a number above 0")
    return value


def _soak(store: Benched, seconds: float, clients: int) -> int:
    settle = min(SETTLE, seconds / 4)
    name = f"overmind-bench-{secrets.token_hex(4)}"
    with overmind(store, name, ROOT) as server:
        load = Load(server, clients)
        with (
            _written(store, f"{name}-alone") as written,
            load.running(),
            _healed(store.environment(name)),
        ):
            time.sleep(settle)
            with _watched(server, seconds) as samples:
                began = time.monotonic()
                time.sleep(seconds)
        lost = load.lost()
        span = Span(seconds, within(load.timed, began, seconds), within(written, began, seconds))
        return report(store.name, clients, samples, span, load.counts, lost)


@contextmanager
def _written(store: Benched, name: str) -> Iterator[list[Timed]]:
    """Write to another database all the time, past the service; give how long each document took.

    What is slow there, the machine or the store has made slow.
    """
    took: list[Timed] = []
    ended = threading.Event()

    def write() -> None:
        while not ended.wait(STORE_EVERY):
            began = time.monotonic()
            store.fill(name, [zergling()])
            now = time.monotonic()
            took.append((now, now - began))

    try:
        manage("bootstrap_couch", environment=store.environment(name))
        with ThreadPoolExecutor(1) as pool:
            writing = pool.submit(write)
            try:
                yield took
            finally:
                ended.set()
            writing.result()
    finally:
        store.drop(name)


@contextmanager
def _healed(environment: Mapping[str, str]) -> Iterator[None]:
    """Have those who died removed again and again during the block."""
    admin = {
        f"COUCHDB_ADMIN_{name}": environment[f"COUCHDB_{name}"]
        for name in ("USERNAME", "PASSWORD")
        if f"COUCHDB_{name}" in environment
    }
    ended = threading.Event()

    def heal() -> None:
        while not ended.wait(HEAL_EVERY):
            manage("heal", "--grace", "0", environment={**environment, **admin}, limit=HEAL_LIMIT)

    with ThreadPoolExecutor(1) as pool:
        healing = pool.submit(heal)
        try:
            yield
        finally:
            ended.set()
        healing.result()


@contextmanager
def _watched(server: Server, seconds: float) -> Iterator[list[Sample]]:
    """Give what is seen of a server during the block."""
    samples: list[Sample] = []
    ended = threading.Event()
    every = max(LEAST_PAUSE, seconds / SAMPLES)

    def watch() -> None:
        while not ended.wait(every):
            samples.append(Sample.of(server.pid))

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield samples
    finally:
        ended.set()
        thread.join()


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # cleans up as for Ctrl-C
    sys.exit(main())
