"""Everything a run has found out, and the ratios that follow from it."""

from __future__ import annotations

import statistics
from collections.abc import Callable
from dataclasses import dataclass, field

from bench.cells import Cells, Sample
from bench.histories import Life
from bench.lists import ListCost
from bench.memory import Memory

READ_SHARE = 0.8
RAW_PARTNER = {"reads": "gets", "moves": "pairs", "hot": "pairs", "spawns": "puts"}


@dataclass(slots=True)
class Results:
    """What was measured; whatever was not is empty."""

    cells: Cells = field(default_factory=Cells)
    lists: list[ListCost] = field(default_factory=list)
    lives: list[Life] = field(default_factory=list)
    memory: dict[str, Memory] = field(default_factory=dict)
    remarks: list[str] = field(default_factory=list)


def median_of(samples: list[Sample], figure: Callable[[Sample], float | None]) -> float | None:
    """Return the median of a figure over the rounds, None if no round has it."""
    found = [value for sample in samples if (value := figure(sample)) is not None]
    return statistics.median(found) if found else None


def rates(cells: Cells, kind: str, connections: int) -> list[float]:
    """Return the rate of each round."""
    return [sample.figures.rate for sample in cells.of(kind, connections)]


def raw_rates(cells: Cells, kind: str, connections: int) -> list[float]:
    """Return what the raw store did in each round of what ``kind`` costs it at least.

    Of the mix that is four reads to one pair, one after another.
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
    """Return the median of the quotients of the same rounds, None if there are none."""
    pairs = zip(over, under, strict=False)
    quotients = [above / below for above, below in pairs if below]
    return statistics.median(quotients) if quotients else None


def over_raw(cells: Cells, kind: str, connections: int) -> float | None:
    """Return the rate of a kind over the raw store's."""
    return ratio(rates(cells, kind, connections), raw_rates(cells, kind, connections))


def over_baseline(cells: Cells, kind: str, connections: int) -> float | None:
    """Return the rate of a kind over the plain service's."""
    return ratio(rates(cells, kind, connections), rates(cells, f"baseline-{kind}", connections))
