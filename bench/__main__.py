"""``make bench``: run the planned measurements, print the tables and write all figures as JSON."""

from __future__ import annotations

import http.client
import os
import platform
import secrets
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn

import orjson

from bench.cells import Rig, measure_cells, rig
from bench.errors import BenchError
from bench.histories import measure_histories
from bench.kinds import KINDS, Kind, Side
from bench.lists import measure_list
from bench.load import find_wrk
from bench.memory import Memory, watched
from bench.plan import Plan, plan_from
from bench.results import Results
from bench.service import Server
from bench.stores import Benched, CouchDB, Embedded
from bench.table import as_json, markdown

LOADED = 64
ENDINGS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
FAILURES = (BenchError, OSError, http.client.HTTPException, subprocess.TimeoutExpired)
MIX = next(kind for kind in KINDS if kind.name == "mix")
NAMES: dict[Side, str] = {"service": "the service", "baseline": "the baseline"}
NO_STORE_CPU = "The store's CPU time is not shown: its process (beam.smp) cannot be seen from here."
NO_COUCHDB = "No raw store, no baseline and no replicas: they need CouchDB, see STORE_URL."


def main() -> int:
    """Run the benchmarks; return 0 if all planned measurements succeeded, else 1."""
    try:
        find_wrk()
        plan = plan_from(os.environ)
        with _bounded(plan.deadline), _store(plan) as store:
            results = Results()
            try:
                is_complete = _measure(plan, store, results)
            finally:
                _publish(plan, store, results)
    except BenchError as error:
        sys.stderr.write(f"bench: {error}\n")
        return 1
    return 0 if is_complete else 1


def _measure(plan: Plan, store: Benched, results: Results) -> bool:
    """Run all parts; a part that fails adds a remark, and the next part runs."""
    if not isinstance(store, CouchDB):
        results.remarks += [NO_COUCHDB]
    elif store.pid is None:
        results.remarks += [NO_STORE_CPU]
    prefix = f"overmind-bench-{secrets.token_hex(4)}"
    parts: list[tuple[str, Callable[[], None]]] = [
        ("load", lambda: _measure_load(plan, store, prefix, results)),
        ("histories", lambda: _measure_histories(plan, store, prefix, results)),
        ("lists", lambda: _measure_lists(plan, store, prefix, results)),
    ]
    is_complete = True
    for name, measure in parts:
        try:
            measure()
        except FAILURES as error:
            is_complete = False
            results.remarks.append(f"NOT MEASURED, {name}: {error or type(error).__name__}")
    return is_complete


def _measure_load(plan: Plan, store: Benched, prefix: str, results: Results) -> None:
    kinds = [kind for kind in KINDS if plan.has(kind.name)]
    if not kinds and not plan.has("memory"):
        return
    with rig(store, prefix, plan.checkout, _sides(plan, kinds), plan.base) as started:
        if plan.has("memory"):
            _measure_memory(started, results, "at rest after the start")
        results.cells = measure_cells(started, kinds, plan.connections, plan.seconds, plan.rounds)
        if plan.has("memory"):
            _measure_memory_under_load(started, results, plan.seconds)
            _measure_memory(started, results, "at rest after the load")


def _sides(plan: Plan, kinds: list[Kind]) -> frozenset[Side]:
    sides = {kind.side for kind in kinds}
    return frozenset(sides | ({"baseline"} if plan.has("memory") else set()))


def _measure_memory(started: Rig, results: Results, when: str) -> None:
    for _, name, server in _watched(started):
        results.memory[f"{name} {when}"] = Memory.of(server)


def _measure_memory_under_load(started: Rig, results: Results, seconds: int) -> None:
    for side, name, server in _watched(started):
        sys.stderr.write(f"memory of {name} under load\n")
        mix = Kind(MIX.name, side, MIX.script)
        paths = started.populate(side, MIX.zerglings)
        with watched(server) as peak:
            started.measure(mix, LOADED, seconds, paths)
        results.memory[f"{name} at {LOADED} connections, 80 % reads"] = peak


def _watched(started: Rig) -> Iterator[tuple[Side, str, Server]]:
    """Return the servers whose memory is measured, with their names in the results."""
    for side, name in NAMES.items():
        if side in started.targets:
            (server,) = started.targets[side].servers
            yield side, name, server


def _measure_histories(plan: Plan, store: Benched, prefix: str, results: Results) -> None:
    if plan.has("histories"):
        results.lives, remarks = measure_histories(
            store, f"{prefix}-histories", plan.checkout, plan.moves, plan.merges
        )
        results.remarks += remarks


def _measure_lists(plan: Plan, store: Benched, prefix: str, results: Results) -> None:
    if plan.has("lists"):
        for exponent in range(3, plan.lists + 1):
            results.lists.append(measure_list(store, prefix, plan.checkout, 10**exponent))


def _publish(plan: Plan, store: Benched, results: Results) -> None:
    sys.stdout.write(f"{_headline(plan, store)}\n\n{markdown(results)}")
    sys.stdout.flush()
    plan.out.parent.mkdir(parents=True, exist_ok=True)
    whole = as_json(results, _facts(plan, store))
    plan.out.write_bytes(orjson.dumps(whole, option=orjson.OPT_INDENT_2))
    sys.stderr.write(f"Every figure: {plan.out}\n")


def _headline(plan: Plan, store: Benched) -> str:
    facts = _facts(plan, store)
    return (
        f"{facts['store']}, {facts['cores']} cores, Python {facts['python']}; "
        f"medians of {plan.rounds} × {plan.seconds} s a cell"
    )


def _facts(plan: Plan, store: Benched) -> dict[str, Any]:
    return {
        "store": store.name,
        "cores": os.cpu_count(),
        "machine": platform.platform(),
        "python": platform.python_version(),
        "seconds": plan.seconds,
        "rounds": plan.rounds,
    }


@contextmanager
def _store(plan: Plan) -> Iterator[Benched]:
    if plan.store_url:
        yield CouchDB(plan.store_url)
        return
    with tempfile.TemporaryDirectory() as directory:
        yield Embedded(Path(directory))


@contextmanager
def _bounded(seconds: int) -> Iterator[None]:
    """Exit with cleanup after ``seconds``, or on one of the signals in ``ENDINGS``."""

    def on_alarm(*_: object) -> NoReturn:
        sys.exit(f"bench: timed out after {seconds} seconds")

    def on_end(number: int, _: object) -> NoReturn:
        for ending in ENDINGS:  # a second signal would interrupt the cleanup
            signal.signal(ending, signal.SIG_IGN)
        sys.exit(128 + number)

    signal.signal(signal.SIGALRM, on_alarm)
    for ending in ENDINGS:
        signal.signal(ending, on_end)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)


if __name__ == "__main__":
    sys.exit(main())
