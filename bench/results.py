"""The measurements of a run, and the ratios computed from them."""

from __future__ import annotations

import statistics
from collections.abc import Callable
from dataclasses import dataclass, field

from bench.cells import Cells, Sample
from bench.histories import Life
from bench.lists import ListCost
from bench.memory import Memory

READ_SHARE = 0.8
ONE_REPLICA = {"replicas-random": "replicas-one", "replicas-path": "replicas-one"}
RAW_PARTNER = {"reads": "gets", "moves": "pairs", "hot": "pairs", "spawns": "puts"}


@dataclass(slots=True)
class Results:
    """The measurements of a run; parts that were not measured are empty."""

    cells: Cells = field(default_factory=Cells)
    lists: list[ListCost] = field(default_factory=list)
    lives: list[Life] = field(default_factory=list)
    memory: dict[str, Memory] = field(default_factory=dict)
    remarks: list[str] = field(default_factory=list)


def median_of(samples: list[Sample], figure: Callable[[Sample], float | None]) -> float | None:
    """Return the median of a figure over the rounds, or None if no round has it."""
    found = [value for sample in samples if (value := figure(sample)) is not None]
    return statistics.median(found) if found else None


def rates(cells: Cells, kind: str, connections: int) -> list[float]:
    """Return the rate of each round."""
    return [sample.figures.rate for sample in cells.of(kind, connections)]


def raw_rates(cells: Cells, kind: str, connections: int) -> list[float]:
    """Return the raw store's rate in each round, for its counterpart of ``kind``.

    The counterpart of the mix is four GETs and one pair, one after another.
    """
    if kind == "mix":
        gets, pairs = rates(cells, "gets", connections), rates(cells, "pairs", connections)
        return [
            1 / (READ_SHARE / get + (1 - READ_SHARE) / pair)
            for get, pair in zip(gets, pairs, strict=False)
            if get and pair
        ]
    return rates(cells, RAW_PARTNER.get(kind, ""), connections)


def ratio(over: list[float], under: list[float]) -> float | None:
    """Divide the rates of each round; return the median quotient, or None if there are none."""
    pairs = zip(over, under, strict=False)
    quotients = [above / below for above, below in pairs if below]
    return statistics.median(quotients) if quotients else None


def over_raw(cells: Cells, kind: str, connections: int) -> float | None:
    """Return the rate of a kind divided by the raw store's."""
    return ratio(rates(cells, kind, connections), raw_rates(cells, kind, connections))


def over_baseline(cells: Cells, kind: str, connections: int) -> float | None:
    """Return the rate of a kind divided by the baseline's."""
    return ratio(rates(cells, kind, connections), rates(cells, f"baseline-{kind}", connections))


def over_base(cells: Cells, kind: str, connections: int) -> float | None:
    """Return the rate of a kind divided by that of the other checkout."""
    return ratio(rates(cells, kind, connections), rates(cells, f"base-{kind}", connections))


def cpu_over_base(cells: Cells, kind: str, connections: int) -> float | None:
    """Return the service's CPU time per request divided by that of the other checkout."""
    own, other = (
        [sample.cpu or 0.0 for sample in cells.of(name, connections)]
        for name in (kind, f"base-{kind}")
    )
    return ratio(own, other)


def over_one(cells: Cells, kind: str, connections: int) -> float | None:
    """Return the rate of several replicas divided by that of one."""
    one = ONE_REPLICA.get(kind, "")
    return ratio(rates(cells, kind, connections), rates(cells, one, connections))


def store_cpu_over_one(cells: Cells, kind: str, connections: int) -> float | None:
    """Return the store's CPU time per request of several replicas divided by that of one."""
    own, one = (
        [sample.store_cpu or 0.0 for sample in cells.of(name, connections)]
        for name in (kind, ONE_REPLICA.get(kind, ""))
    )
    return ratio(own, one)
