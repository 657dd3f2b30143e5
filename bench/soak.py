"""``python -m bench.soak``: a long mixed load, well below the capacity of the service.

Records the duration of each request, and samples memory, descriptors, threads and sockets of the
service's processes. For comparison, also records the duration of single writes directly to the
store. Prints slopes, the 99th percentile of each minute, errors, and acknowledged commands that
were lost. ``manage.py heal`` runs every minute, so that dead zerglings do not make lists longer.

Variables: SOAK_MINUTES (default 30), SOAK_CLIENTS (default 16), and
STORE_URL=http://admin:password@host:port (default: the embedded store).
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
"""Seconds of load before the measurement, to fill caches and open connections."""

SAMPLES = 360
"""Number of samples in all; each costs the kernel some milliseconds."""

STORE_EVERY = 0.25
"""Seconds between two direct writes to the store."""

HEAL_EVERY = 60.0
"""Seconds between two runs of ``manage.py heal``, which removes dead zerglings."""

HEAL_LIMIT = 300.0
"""Timeout of a run of heal, in seconds."""

LEAST_PAUSE = 0.25
"""Minimum seconds between two samples."""


def main() -> int:
    """Run the soak and print its report; return 0 on success, see ``soak_report.report``."""
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
            _direct_writes(store, f"{name}-alone") as written,
            load.running(),
            _healing(store.environment(name)),
        ):
            time.sleep(settle)
            with _sampling(server, seconds) as samples:
                began = time.monotonic()
                time.sleep(seconds)
        lost = load.lost()
        span = Span(seconds, within(load.timed, began, seconds), within(written, began, seconds))
        return report(store.name, clients, samples, span, load.counts, lost)


@contextmanager
def _direct_writes(store: Benched, name: str) -> Iterator[list[Timed]]:
    """Write documents directly to another database of the store; yield their durations.

    If these are slow too, the machine or the store is slow, not the service.
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
def _healing(environment: Mapping[str, str]) -> Iterator[None]:
    """Remove dead zerglings every ``HEAL_EVERY`` seconds during the block."""
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
def _sampling(server: Server, seconds: float) -> Iterator[list[Sample]]:
    """Sample a server's processes during the block; yield the growing list of samples."""
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
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # clean up as for Ctrl-C
    sys.exit(main())
