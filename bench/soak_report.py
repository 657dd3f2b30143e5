"""The report of a soak: slopes with standard errors, percentiles per minute, and the verdict."""

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
"""Maximum ratio of the last minute's p99 to the first minute's."""

STEEPEST = {"rss": 100 / 1024, "descriptors": 0.1}
"""Maximum growth per minute in the second half of a run, in MiB and descriptors."""

LONG = 10 * MINUTE
"""Minimum seconds of a run for these limits to apply; shorter runs vary by warm-up and chance."""

Timed = tuple[float, float]
"""The time at which a request ended, and its duration, both in seconds."""


@dataclass(frozen=True, slots=True)
class Span:
    """A span of load: its length in seconds, its requests, and the direct writes to the store."""

    seconds: float
    requests: Sequence[Timed]
    alone: Sequence[Timed]


def within(timed: Sequence[Timed], began: float, seconds: float) -> list[Timed]:
    """Return the entries that ended within a span, with times relative to its beginning."""
    return [(at - began, took) for at, took in timed if 0 <= at - began < seconds]


@dataclass(frozen=True, slots=True)
class Sample:
    """Resource use of all processes of a service at one time; sizes in MiB, ``at`` in seconds.

    ``pss`` counts shared pages once; it is None if it cannot be read.
    """

    at: float
    rss: float
    pss: float | None
    descriptors: int
    sockets: int
    threads: int

    @classmethod
    def of(cls, pid: int) -> Sample:
        """Measure a process and its descendants now."""
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
    """A least-squares slope in units per minute, and its standard error."""

    by_minute: float
    error: float

    @classmethod
    def through(cls, points: Sequence[Timed]) -> Slope:
        """Fit a line to points of time in seconds and value.

        Raises:
            BenchError: there are fewer than three points.
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
        """Return the slope and its error as text."""
        return f"{self.by_minute:+.2f} ± {self.error:.2f}"


def percentile(values: Sequence[float], share: float) -> float:
    """Return the nearest-rank percentile of values; ``share`` is from 0 to 1."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def minutes_of(timed: Sequence[Timed], seconds: float) -> list[list[float]]:
    """Return the durations of requests, grouped by the minute in which they ended.

    A run shorter than two minutes is divided into two halves instead.
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
    """Print the report; return 0 on success.

    Returns 1 after errors or lost commands. In a run of at least ``LONG`` seconds, also returns 1
    if the p99 or the resource use grew beyond its limit.
    """
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
    """Print the 99th percentile of each minute; return the last divided by the first."""
    minutes = [percentile(part, 0.99) * 1000 for part in minutes_of(timed, seconds)]
    sys.stdout.write(f"{what}: {', '.join(f'{each:.0f}' for each in minutes)}\n")
    return minutes[-1] / minutes[0]


def grown(samples: Sequence[Sample]) -> list[str]:
    """Return the figures that grew faster than allowed in the second half of a run.

    A figure counts only if its slope exceeds the limit by more than two standard errors.
    """
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
