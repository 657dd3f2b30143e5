"""Measures each kind of request at each number of connections; each combination is a cell.

Every round measures each cell once, one after another, so that a change in the machine's speed
affects all kinds alike.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from bench import process
from bench.documents import Document, without_extra_fields, zergling
from bench.kinds import ZERGLINGS, Kind, Side
from bench.load import Figures, Load, run
from bench.service import Server, baseline, overmind, replicas
from bench.shares import shares
from bench.stores import Benched, CouchDB

REPLICAS = 3
PROBE = "/healthz"
SETTLE_LIMIT = 20.0
SETTLE_EVERY = 0.2
"""Seconds to wait at most for the servers to become idle, and between two checks."""

IDLE_SHARE = 0.1
"""Share of one core below which the servers together count as idle."""

WARM_UP_SECONDS = 1
WARM_UP_CONNECTIONS = 8


@dataclass(frozen=True, slots=True)
class Sample:
    """One run of a cell. CPU is in seconds per 1,000 successes, None if not measurable."""

    figures: Figures
    cpu: float | None
    store_cpu: float | None


@dataclass(slots=True)
class Cells:
    """The samples of every cell, one per round."""

    samples: dict[tuple[str, int], list[Sample]] = field(default_factory=dict)

    def add(self, kind: str, connections: int, sample: Sample) -> None:
        """Add the sample of one round to a cell."""
        self.samples.setdefault((kind, connections), []).append(sample)

    def of(self, kind: str, connections: int) -> list[Sample]:
        """Return a cell's samples, or an empty list if it was not measured."""
        return self.samples.get((kind, connections), [])


@dataclass(frozen=True, slots=True)
class Target:
    """What to load: the URLs, the form of the documents, the database and the server processes.

    ``origins`` has one base URL for each of ``servers``; the raw store has an origin only.
    """

    origins: tuple[str, ...]
    collection: str
    ending: str
    form: Callable[[Document], Document]
    database: str
    servers: tuple[Server, ...] = ()
    headers: dict[str, str] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        database: str,
        *servers: Server,
        form: Callable[[Document], Document] = dict,
    ) -> Target:
        """Return the target for servers on one database: services, or the baseline."""
        origins = tuple(server.origin for server in servers)
        return cls(origins, "/zerglings", "/", form, database, servers)

    def cpu_seconds(self) -> float | None:
        """Return the CPU time that all servers have used, or None if there are none."""
        return sum(server.cpu_seconds() for server in self.servers) if self.servers else None

    def path(self, zergling_id: str) -> str:
        """Return the path of one zergling."""
        return f"{self.collection}/{zergling_id}{self.ending}"


class Rig:
    """The running targets: the service, and with CouchDB the replicas, raw store and baseline."""

    def __init__(self, store: Benched, targets: dict[Side, Target], directory: Path) -> None:
        self._store = store
        self.targets = targets
        self._directory = directory

    def populate(self, side: Side, count: int) -> list[str]:
        """Write new zerglings directly to a target's store; return their paths."""
        target = self.targets[side]
        documents = [zergling() for _ in range(count)]
        self._store.fill(target.database, map(target.form, documents))
        return [target.path(document["_id"]) for document in documents] or [PROBE]

    def measure(self, kind: Kind, connections: int, seconds: int, paths: Sequence[str]) -> Sample:
        """Run one cell once."""
        target = self.targets[kind.side]
        divided = shares(kind.spread, len(target.origins), connections, paths)
        loads = [
            Load(
                script=kind.script,
                url=origin + target.collection + target.ending,
                connections=share.connections,
                seconds=seconds,
                paths=self._file(share.paths),
                headers=target.headers,
                thread_each=kind.thread_each,
            )
            for origin, share in zip(target.origins, divided, strict=False)
        ]
        self._settle()
        before = self._cpu(target)
        figures = run(loads)
        after = self._cpu(target)
        thousands = max(figures.good, 1) / 1000
        own, stores = (
            None if then is None or now is None else (now - then) / thousands
            for then, now in zip(before, after, strict=True)
        )
        return Sample(figures, own, stores)

    def _settle(self) -> None:
        """Wait until the servers have worked off the queues that the previous load left."""
        servers = [server for target in self.targets.values() for server in target.servers]
        end = time.monotonic() + SETTLE_LIMIT
        used = sum(server.cpu_seconds() for server in servers)
        while time.monotonic() < end:
            time.sleep(SETTLE_EVERY)
            before, used = used, sum(server.cpu_seconds() for server in servers)
            if used - before < IDLE_SHARE * SETTLE_EVERY:
                return

    def _cpu(self, target: Target) -> tuple[float | None, float | None]:
        pid = self._store.pid
        return target.cpu_seconds(), process.cpu_seconds(pid) if pid else None

    def _file(self, paths: Sequence[str]) -> Path:
        with tempfile.NamedTemporaryFile("w", dir=self._directory, delete=False) as file:
            file.writelines(f"{path}\n" for path in paths)
        return Path(file.name)


@contextmanager
def rig(
    store: Benched,
    prefix: str,
    checkout: Path,
    sides: frozenset[Side] | None = None,
    base: Path | None = None,
) -> Iterator[Rig]:
    """Start the targets over new databases, and drop the databases at the end.

    Args:
        store: where the databases are.
        prefix: the service's database; the names of the others begin with it.
        checkout: the directory of the service's code.
        sides: the targets besides the service; None means all that the store allows.
        base: the directory of the code to compare with, None for no such target.
    """
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        server = stack.enter_context(overmind(store, prefix, checkout))
        targets: dict[Side, Target] = {"service": Target.of(prefix, server)}
        if base is not None and (sides is None or "base" in sides):
            name = f"{prefix}-base"
            targets["base"] = Target.of(name, stack.enter_context(overmind(store, name, base)))
        if isinstance(store, CouchDB):
            if sides is None or "replicas" in sides:
                name = f"{prefix}-replicas"
                several = stack.enter_context(replicas(store, name, checkout, REPLICAS))
                targets["replicas"] = Target.of(name, *several)
            if sides is None or "raw" in sides:
                stack.enter_context(_raw_database(store, f"{prefix}-raw", prefix))
                targets["raw"] = _raw_target(store, f"{prefix}-raw")
            if sides is None or "baseline" in sides:
                name = f"{prefix}-baseline"
                workers = len(server.workers)
                plain = stack.enter_context(baseline(store, name, prefix, workers))
                targets["baseline"] = Target.of(name, plain, form=without_extra_fields)
        yield Rig(store, targets, directory)


def measure_cells(
    rig: Rig, kinds: Sequence[Kind], connections: Sequence[int], seconds: int, rounds: int
) -> Cells:
    """Measure every kind that has a running target, at every number of connections.

    Replicas are not measured with fewer connections than there are replicas.

    Args:
        rig: the running targets.
        kinds: the kinds of requests.
        connections: the numbers of connections.
        seconds: duration of each sample.
        rounds: samples per cell.
    """
    cells = Cells()
    kinds = [kind for kind in kinds if kind.side in rig.targets]
    _warm_up(rig, kinds)
    for number in range(1, rounds + 1):
        # New zerglings in each round, so that all start with equally many revisions and commands.
        paths = {side: rig.populate(side, ZERGLINGS) for side in rig.targets}
        for level in connections:
            for kind in kinds:
                if level < len(rig.targets[kind.side].origins):
                    continue
                is_new = kind.needs_new_zerglings
                chosen = rig.populate(kind.side, kind.zerglings) if is_new else paths[kind.side]
                sample = rig.measure(kind, level, seconds, chosen)
                cells.add(kind.name, level, sample)
                sys.stderr.write(
                    f"round {number}: {kind.name} at {level}: {sample.figures.rate:.0f}/s\n"
                )
    return cells


def _warm_up(rig: Rig, kinds: Sequence[Kind]) -> None:
    paths = {side: rig.populate(side, ZERGLINGS) for side in rig.targets}
    for kind in kinds:
        rig.measure(kind, WARM_UP_CONNECTIONS, WARM_UP_SECONDS, paths[kind.side])


def _raw_target(store: CouchDB, database: str) -> Target:
    scheme, _, rest = store.url.partition("://")
    host, _, path = rest.partition("/")
    collection = "/".join(["", *filter(None, [path]), database])
    return Target((f"{scheme}://{host}",), collection, "", dict, database, headers=store.headers)


@contextmanager
def _raw_database(store: CouchDB, name: str, model: str) -> Iterator[None]:
    try:
        store.create_like(name, model)
        yield
    finally:
        store.drop(name)
