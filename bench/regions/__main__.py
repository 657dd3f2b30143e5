"""``python -m bench.regions URL URL [URL]``: the speed of regions, and what replication costs.

Takes the URLs of two or three running CouchDBs, with an account of their admin. Each gets one
service; they replicate both ways through links on this machine.

1. Commands per second in each region, and CouchDB's processor time per command, with and without
   replication. Each region moves zerglings of its own, with wrk.
2. Replication lag under a steady load: the time from the acknowledgement of a command in one region
   until another shows it.
3. Time to convergence after disconnections of 10 s and 1 min under that load (``REGION_OUTAGES``,
   in seconds; ``10,60,600`` adds ten minutes). All regions move the same zerglings. It is the time
   until each region shows every command that was acknowledged before the links were restored.

Variables: REGION_SECONDS (10) for each measurement of 1, REGION_PROBES (100) for 2, REGION_RATE
(20) steady commands per second and region.
"""

from __future__ import annotations

import os
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from bench import process
from bench.documents import zergling
from bench.errors import BenchError
from bench.load import Figures, Load, run
from bench.regions.rig import Region, Rig, rig
from bench.regions.steady import Caller, closing_all, spawn, steady, wait_until_merged
from bench.soak_report import percentile

CONNECTIONS = 16
"""Of wrk in each region."""

OWN, SHARED = 200, 20
"""Zerglings that a region moves alone, and that all regions move."""

PROBE_PAUSE = 0.005
"""Seconds between two looks whether a command has arrived."""


@dataclass(frozen=True)
class Settings:
    """What to measure, see the module's docstring."""

    seconds: int
    probes: int
    rate: float
    outages: tuple[float, ...]


def main() -> int:
    """Run the measurements and print the figures."""
    try:
        settings = _settings()
        with rig(sys.argv[1:], replicating=False) as started:
            for line in _measure(started, settings):
                sys.stdout.write(f"{line}\n")
                sys.stdout.flush()
    except BenchError as error:
        sys.stderr.write(f"bench: {error}\n")
        return 1
    return 0


def _settings() -> Settings:
    given = {
        name: os.environ.get(f"REGION_{name}") or default
        for name, default in {
            "SECONDS": "10",
            "PROBES": "100",
            "RATE": "20",
            "OUTAGES": "10,60",
        }.items()
    }
    try:
        outages = tuple(float(each) for each in given["OUTAGES"].split(","))
        return Settings(int(given["SECONDS"]), int(given["PROBES"]), float(given["RATE"]), outages)
    except ValueError as error:
        raise BenchError(f"REGION_…: {error}") from None


def _measure(started: Rig, settings: Settings) -> Iterator[str]:
    regions = started.regions
    yield f"{len(regions)} regions on {regions[0].couch.name}, {os.cpu_count()} cores"
    yield from _measure_speed(regions, settings.seconds, "without replication")
    started.replicate()
    yield from _measure_speed(regions, settings.seconds, "with replication")
    ids = spawn(regions, SHARED)
    yield _measure_lag(regions, ids, settings)
    for outage in settings.outages:
        yield _measure_convergence(started, ids, outage, settings.rate)


def _measure_speed(regions: Sequence[Region], seconds: int, what: str) -> Iterator[str]:
    """Load all regions at once."""
    with tempfile.TemporaryDirectory() as directory, ThreadPoolExecutor(len(regions)) as pool:
        loads = [_load(region, seconds, Path(directory)) for region in regions]
        before = [_cpu(region) for region in regions]
        figures = list(pool.map(lambda load: run([load]), loads))
        spent = [_cpu(region) - then for region, then in zip(regions, before, strict=True)]
    for region, figure in zip(regions, figures, strict=True):
        yield (
            f"{what}, {region.name}: {figure.rate:.0f} commands/s, p50 {figure.p50_ms:.0f} ms,"
            f" p99 {figure.p99_ms:.0f} ms, {figure.errors} errors"
        )
    yield f"{what}: {_cost(spent, figures)} ms of CouchDB's processor time per command"


def _load(region: Region, seconds: int, directory: Path) -> Load:
    documents = [zergling() for _ in range(OWN)]
    region.couch.fill(region.database, documents)
    paths = directory / region.name
    paths.write_text("".join(f"/zerglings/{document['_id']}\n" for document in documents))
    url = f"http://127.0.0.1:{region.service.port}/zerglings/"
    return Load("move", url, CONNECTIONS, seconds, paths)


def _cpu(region: Region) -> float:
    return process.cpu_seconds(region.couch.pid) if region.couch.pid else 0.0


def _cost(spent: Sequence[float], figures: Sequence[Figures]) -> str:
    commands = sum(figure.good for figure in figures)
    return f"{1000 * sum(spent) / commands:.2f}" if all(spent) and commands else "unknown"


def _measure_lag(regions: Sequence[Region], ids: Sequence[str], settings: Settings) -> str:
    """Command a zergling in each region in turn, and wait until the next region shows it."""
    lags: list[float] = []
    (probe,) = spawn(regions, 1)
    with steady(regions, ids, every=1 / settings.rate), closing_all(regions) as callers:
        for number in range(settings.probes):
            here, there = (callers[(number + step) % len(callers)] for step in (0, 1))
            here.command(probe, "R")
            began = time.monotonic()
            lags.append(there.wait_for(probe, number + 1, PROBE_PAUSE) - began)
    return (
        f"lag at {settings.rate:g} commands/s in each region: median {median(lags):.2f} s,"
        f" p99 {percentile(lags, 0.99):.2f} s, longest {max(lags):.2f} s"
    )


def _measure_convergence(started: Rig, ids: Sequence[str], outage: float, rate: float) -> str:
    with steady(started.regions, ids, every=1 / rate) as movers:
        started.cut(started.pairs)
        before = _total(movers)
        time.sleep(outage)  # the disconnection itself
        during = _total(movers) - before
        started.restore(started.pairs)
        seconds = wait_until_merged(movers, ids)
    statuses = sum((mover.statuses for mover in movers), Counter[int]())
    return (
        f"apart for {outage:g} s, {during} commands: converged after {seconds:.1f} s;"
        f" answers {dict(statuses)}, the longest after {max(m.longest for m in movers):.2f} s"
    )


def _total(callers: Sequence[Caller]) -> int:
    return sum(caller.moved.total() for caller in callers)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # clean up as for Ctrl-C
    sys.exit(main())
