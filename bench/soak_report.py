"""What a soak has found: slopes with their errors, percentiles by the minute, and the verdict."""

from __future__ import annotations

import math
import sys
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bench import process
from bench.errors import BenchError

MINUTE = 60.0
GOAL = 1.2
"""How many times the first minute's p99 the last one's may be."""

STEEPEST = {"rss": 100 / 1024, "descriptors": 0.1}
"""What a service may grow by in a minute, in MiB and files, in the second half of a run."""

LONG = 10 * MINUTE
"""Seconds from which on a run is judged by these; a shorter one is warming up, or by chance."""

Timed = tuple[float, float]
"""When a request ended, in seconds since the beginning, and how long it took, in seconds."""


@dataclass(frozen=True, slots=True)
class Span:
    """So many seconds of load: the requests in it, and what the store was asked by itself."""

    seconds: float
    requests: Sequence[Timed]
    alone: Sequence[Timed]


def within(timed: Sequence[Timed], began: float, seconds: float) -> list[Timed]:
    """Return what ended in a span of time, counted from its beginning."""
    return [(at - began, took) for at, took in timed if 0 <= at - began < seconds]


@dataclass(frozen=True, slots=True)
class Sample:
    """All processes of a service at one moment; sizes in MiB, ``at`` in seconds.

    ``pss`` counts what they share once; it is None where it cannot be read.
    """

    at: float
    rss: float
    pss: float | None
    descriptors: int
    sockets: int
    threads: int

    @classmethod
    def of(cls, pid: int) -> Sample:
        """Look at a process and its descendants."""
        pids = process.tree(pid)
        held = [name for each in pids for name in process.descriptors(each)]
        return cls(
            at=time.monotonic(),
            rss=process.rss(pids),
            pss=process.pss(pids),
            descriptors=len(held),
            sockets=sum(name.startswith("socket:") for name in held),
            threads=sum(map(process.threads, pids)),
        )


@dataclass(frozen=True, slots=True)
class Slope:
    """The straight line of least squares through some points: units a minute, and its error."""

    by_minute: float
    error: float

    @classmethod
    def through(cls, points: Sequence[Timed]) -> Slope:
        """Fit a line to values at moments in seconds.

        Raises:
            BenchError: there are fewer than three moments.
        """
        count = len(points)
        if count < 3:
            raise BenchError("too few samples for a slope: soak for longer")
        middle = sum(at for at, _ in points) / count / MINUTE
        mean = sum(value for _, value in points) / count
        moments = [(at / MINUTE - middle, value - mean) for at, value in points]
        spread = sum(x * x for x, _ in moments)
        slope = sum(x * y for x, y in moments) / spread
        rest = sum((y - slope * x) ** 2 for x, y in moments)
        return cls(slope, math.sqrt(rest / (count - 2) / spread))

    def __str__(self) -> str:
        """Return both figures."""
        return f"{self.by_minute:+.2f} ± {self.error:.2f}"


def percentile(values: Sequence[float], share: float) -> float:
    """Return the least value that is not below a share of them all (nearest rank)."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def minutes_of(timed: Sequence[Timed], seconds: float) -> list[list[float]]:
    """Return how long requests took, by the minute in which they ended.

    A run is cut into whole minutes; one shorter than two of them into two halves.
    """
    parts = max(2, int(seconds / MINUTE))
    minutes: list[list[float]] = [[] for _ in range(parts)]
    for at, took in timed:
        if 0 <= at < seconds:
            minutes[int(at / seconds * parts)].append(took)
    if not all(minutes):
        raise BenchError("there was a minute without any answer")
    return minutes


def report(
    store: str,
    clients: int,
    samples: Sequence[Sample],
    span: Span,
    counts: Mapping[str, Counter[str]],
    lost: int,
) -> int:
    """Print everything; return 0 if nothing went wrong and, in a long run, nothing got worse."""
    seconds, took = span.seconds, span.requests
    say = sys.stdout.write
    say(f"{store}, {clients} clients, {seconds / MINUTE:.1f} minutes, {len(took)} requests ")
    say(f"({len(took) / seconds:.0f}/s)\n\n")
    _say_slopes(samples)
    say("\n")
    ratio = _say_minutes("p99 by the minute (ms)", took, seconds)
    _say_minutes("the store alone, one document (ms)", span.alone, seconds)
    say(f"last over first: {ratio:.2f} (goal: at most {GOAL})\n\n")
    say("| what | answers | wrong |\n|---|---|---|\n")
    for what, seen in sorted(counts.items()):
        wrong = {answer: count for answer, count in seen.items() if answer != "right"}
        say(f"| {what} | {seen.total()} | {wrong or 0} |\n")
    errors = sum(seen.total() - seen["right"] for seen in counts.values())
    say(f"\nerrors: {errors}; acknowledged and lost: {lost}\n")
    has_worsened = seconds >= LONG and (ratio > GOAL or bool(grown(samples)))
    return 1 if errors or lost or has_worsened else 0


def _say_minutes(what: str, timed: Sequence[Timed], seconds: float) -> float:
    """Print a 99th percentile for each minute; return the last over the first."""
    minutes = [percentile(part, 0.99) * 1000 for part in minutes_of(timed, seconds)]
    sys.stdout.write(f"{what}: {', '.join(f'{each:.0f}' for each in minutes)}\n")
    return minutes[-1] / minutes[0]


def grown(samples: Sequence[Sample]) -> list[str]:
    """Return what has certainly grown faster than it may, in the second half of a run."""
    half = samples[len(samples) // 2 :]
    found = []
    for name, steepest in STEEPEST.items():
        slope = Slope.through([(sample.at, getattr(sample, name)) for sample in half])
        if slope.by_minute - 2 * slope.error > steepest:
            found.append(name)
    return found


def _say_slopes(samples: Sequence[Sample]) -> None:
    half = samples[len(samples) // 2 :]
    rows: list[tuple[str, float, list[Timed], list[Timed]]] = []
    for name in ("rss", "pss", "descriptors", "sockets", "threads"):
        scale = 1024.0 if name in ("rss", "pss") else 1.0
        unit = f"{name} (KiB)" if scale > 1 else name
        values = [getattr(sample, name) for sample in samples]
        if None in values:
            continue
        whole, second = (
            [(s.at, getattr(s, name) * scale) for s in part] for part in (samples, half)
        )
        rows.append((unit, values[-1] * scale, whole, second))
    sys.stdout.write(
        "| | at the end | a minute, whole | a minute, second half |\n|---|---|---|---|\n"
    )
    for unit, end, whole, second in rows:
        slopes = f"{Slope.through(whole)} | {Slope.through(second)}"
        sys.stdout.write(f"| {unit} | {end:.0f} | {slopes} |\n")
