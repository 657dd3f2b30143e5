"""`make crash`: kills processes at random under load, and prints a table of how each kill went.

OVERMIND_CRASH_COUCHDB is a command that starts a CouchDB (see `CouchDBProcess`); without it the
store is the peer of the tests, on its disk. The same seed gives the same kills.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import sys
import tempfile
import time
from collections.abc import Collection, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from tests.proof.crashes.campaign import Campaign, Pace, Report
from tests.proof.crashes.ground import CouchDBProcess, Ground, PeerProcess, Server
from tests.support.backends import Backend, couchdb_backend, sqlite_backend
from tests.support.service import Service

STORES = ("sqlite", "couchdb")


@contextmanager
def store_in(place: Path, kind: str) -> Iterator[tuple[Backend, Server | None]]:
    """Yield a bootstrapped store of a kind, with its process if it has one."""
    if kind == "sqlite":
        yield sqlite_backend(place), None
        return
    server = _started(place)
    try:
        with couchdb_backend(server.server) as backend:
            yield backend, server
    finally:
        server.stop()


def _started(place: Path) -> CouchDBProcess | PeerProcess:
    command = os.environ.get("OVERMIND_CRASH_COUCHDB")
    if not command:
        return PeerProcess(place)
    server = CouchDBProcess(command, place)
    server.start()
    return server


def crash(
    place: Path,
    kind: str,
    *,
    seconds: float,
    seed: int,
    services: int,
    workers: int,
    pace: Pace,
    blows: Collection[str] = (),
) -> Report:
    """Run a campaign on a new store, with some kinds of blows or all."""
    dice = random.Random(seed)
    with store_in(place, kind) as (backend, server), ExitStack() as stack:
        environment = backend.environment | {"WEB_CONCURRENCY": str(workers)}
        running = []
        for number in range(services):
            directory = place / f"service-{number}"
            directory.mkdir()
            running.append(stack.enter_context(Service(environment, directory)))
        ground = Ground(running, workers, server, dice)
        return Campaign(ground, backend, place, dice, pace, blows).run(seconds)


def main() -> int:
    """Run the campaigns of the arguments; return 1 if a fault was found."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.proof.crashes.crash", description=__doc__
    )
    parser.add_argument("--seconds", type=float, default=600, help="for each store (%(default)s)")
    parser.add_argument("--store", choices=STORES, action="append", help="which (both)")
    parser.add_argument("--seed", type=int, default=None, help="deal these blows again")
    parser.add_argument("--services", type=int, default=2, help="over the store (%(default)s)")
    parser.add_argument("--workers", type=int, default=2, help="of each service (%(default)s)")
    options = parser.parse_args()
    seed = options.seed if options.seed is not None else time.time_ns() % 10**6
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("stopped"))  # and clean up
    is_clean = True
    for kind in options.store or STORES:
        print(f"--- {kind}: {options.seconds:.0f} s, --seed {seed}", flush=True)  # noqa: T201 - the report
        with tempfile.TemporaryDirectory(prefix="overmind-crash-") as place:
            report = crash(
                Path(place),
                kind,
                seconds=options.seconds,
                seed=seed,
                services=options.services,
                workers=options.workers,
                pace=Pace(),
            )
        print("\n".join(report.lines()), flush=True)  # noqa: T201 - the report
        is_clean &= report.is_clean()
    return 0 if is_clean else 1


if __name__ == "__main__":
    sys.exit(main())
