"""The performance goals of the service, and whether a run reached them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from bench.results import (
    Results,
    cpu_over_base,
    over_baseline,
    over_one,
    over_raw,
    rates,
    ratio,
    store_cpu_over_one,
)

LOADED = 64
"""Number of connections to which the goals for rates apply."""

LEAST_LIST = 1_000


@dataclass(frozen=True, slots=True)
class Goal:
    """A figure with a required bound and a better one, ``hope``.

    ``got`` is None if the run did not measure it. With ``at_most``, the bounds are maxima,
    otherwise minima.
    """

    figure: str
    got: float | None
    required: float
    hope: float
    at_most: bool = False
    unit: str = ""

    @property
    def verdict(self) -> str:
        """The best bound reached: ``hope``, ``yes`` (required), ``no``, or ``-`` if unmeasured."""
        if self.got is None:
            return "-"
        if self._meets(self.hope):
            return "hope"
        return "yes" if self._meets(self.required) else "no"

    def _meets(self, bound: float) -> bool:
        assert self.got is not None  # nosec B101 # noqa: S101 - for the type checker
        return self.got <= bound if self.at_most else self.got >= bound


def goals(results: Results) -> list[Goal]:
    """Return all goals with the figures of a run."""
    return [
        *_rates(results),
        *_processor_times(results),
        *_replicas(results),
        *_latencies(results),
        *_lives(results),
        *_lists(results),
    ]


def _rates(results: Results) -> Iterator[Goal]:
    cells = results.cells
    at = f"{LOADED} connections: "
    hot = ratio(rates(cells, "hot", LOADED), rates(cells, "moves", LOADED))
    yield Goal(f"{at}moves over raw GET + PUT pairs", over_raw(cells, "moves", LOADED), 2.2, 2.6)
    yield Goal(f"{at}moves over the baseline's", over_baseline(cells, "moves", LOADED), 5, 7)
    yield Goal(f"{at}reads over raw GETs", over_raw(cells, "reads", LOADED), 0.75, 0.9)
    yield Goal(f"{at}spawns over raw PUTs", over_raw(cells, "spawns", LOADED), 1.35, 1.6)
    yield Goal(f"{at}moves of a hot zergling over moves of 1,000", hot, 1, 3)


def _processor_times(results: Results) -> Iterator[Goal]:
    bounds = {"probes": (0.5, 0.4)} | dict.fromkeys(("reads", "moves", "spawns"), (0.65, 0.5))
    for kind, (required, hope) in bounds.items():
        got = cpu_over_base(results.cells, kind, LOADED)
        figure = f"{LOADED} connections: CPU of {kind} over that of the base"
        yield Goal(figure, got, required, hope, at_most=True)


def _replicas(results: Results) -> Iterator[Goal]:
    cells, kind = results.cells, "replicas-random"
    at = f"{LOADED} connections: three replicas over one: "
    yield Goal(f"{at}moves", over_one(cells, kind, LOADED), 0.9, 1)
    got = store_cpu_over_one(cells, kind, LOADED)
    yield Goal(f"{at}store CPU of a move", got, 1.3, 1.1, at_most=True)


def _latencies(results: Results) -> Iterator[Goal]:
    loaded, alone = results.cells.of("moves", LOADED), results.cells.of("moves", 1)
    p99, p50 = ([getattr(s.figures, name) for s in loaded] for name in ("p99_ms", "p50_ms"))
    yield Goal(
        f"{LOADED} connections: p99 of a move over its p50", ratio(p99, p50), 2, 1.6, at_most=True
    )
    moves = [sample.figures.p50_ms for sample in alone]
    new = [sample.figures.p50_ms for sample in results.cells.of("puts", 1)]
    same = [sample.figures.put_p50_ms or 0.0 for sample in results.cells.of("pairs", 1)]
    yield Goal("1 connection: a move over a raw PUT (p50)", ratio(moves, new), 2, 1.6, at_most=True)
    yield Goal(
        "1 connection: a move over the PUT of a raw pair (p50)",
        ratio(moves, same),
        2,
        1.6,
        at_most=True,
    )


def _lives(results: Results) -> Iterator[Goal]:
    medians = {life.past: life.p50 for life in results.lives}
    young, old = medians.get("100 commands"), medians.get("100,000 commands")
    got = old / young if old and young else None
    yield Goal("a move after 100,000 commands over one after 100", got, 1.3, 1.1, at_most=True)


def _lists(results: Results) -> Iterator[Goal]:
    peaks = {cost.length: cost.peak for cost in results.lists}
    longest = max(peaks, default=LEAST_LIST)
    got = peaks[longest] - peaks[LEAST_LIST] if longest > LEAST_LIST in peaks else None
    length = longest if longest > LEAST_LIST else 1_000_000
    figure = f"peak memory: a full list of {length:,} over one of {LEAST_LIST:,}"
    yield Goal(figure, got, 32, 8, at_most=True, unit="MiB")
