"""Formats results as Markdown and as JSON."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any

from bench.histories import Life
from bench.kinds import KINDS, Kind
from bench.results import (
    Results,
    cpu_over_base,
    median_of,
    over_base,
    over_baseline,
    over_one,
    over_raw,
    store_cpu_over_one,
)
from bench.targets import goals

NOTHING = "-"
TITLES = {
    "gets": "raw GET",
    "pairs": "raw GET + PUT",
    "puts": "raw PUT",
    "replicas-one": "moves, one replica",
    "replicas-random": "moves, three replicas",
    "replicas-path": "moves, three by path",
}

CELL_HEAD = (
    "request", "connections", "rate/s", "p50 ms", "p99 ms", "errors",
    "CPU s/1,000", "store CPU s/1,000", "× raw", "× baseline",
    "× base", "CPU × base", "× one", "store CPU × one",
)  # fmt: skip
LIST_HEAD = ("list of", "zerglings/s", "seconds", "first byte s", "MB", "peak MiB", "growth MiB")
LIFE_HEAD = ("a move after", "p50 ms", "p99 ms", "× first")
MEMORY_HEAD = ("memory of all processes", "RSS MiB", "PSS MiB")
GOAL_HEAD = ("figure", "got", "at least", "hope", "reached")


def markdown(results: Results) -> str:
    """Return the tables of measurements and goals, followed by the remarks."""
    parts = [
        _table(CELL_HEAD, _cell_rows(results)),
        _table(LIST_HEAD, _list_rows(results)),
        _table(LIFE_HEAD, _life_rows(results.lives)),
        _table(MEMORY_HEAD, _memory_rows(results)),
        _table(GOAL_HEAD, _goal_rows(results)),
        "\n".join(f"- {remark}" for remark in results.remarks),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def as_json(results: Results, facts: dict[str, Any]) -> dict[str, Any]:
    """Return all figures of all rounds, with the facts about the run."""
    return {
        "facts": facts,
        "cells": [
            {"request": kind, "connections": connections, "rounds": [asdict(s) for s in samples]}
            for (kind, connections), samples in results.cells.samples.items()
        ],
        "lists": [asdict(cost) for cost in results.lists],
        "histories": [asdict(life) for life in results.lives],
        "memory": {name: asdict(memory) for name, memory in results.memory.items()},
        "goals": [asdict(goal) | {"reached": goal.verdict} for goal in goals(results)],
        "remarks": results.remarks,
    }


def _cell_rows(results: Results) -> Iterator[list[str]]:
    levels = sorted({connections for _, connections in results.cells.samples})
    for kind in KINDS:
        for level in levels:
            if results.cells.of(kind.name, level):
                yield _cell_row(results, kind, level)


def _cell_row(results: Results, kind: Kind, connections: int) -> list[str]:
    cells = results.cells
    samples = cells.of(kind.name, connections)
    return [
        TITLES.get(kind.name, kind.name.replace("-", " ")),
        str(connections),
        _number(median_of(samples, lambda sample: sample.figures.rate), 0),
        _number(median_of(samples, lambda sample: sample.figures.p50_ms)),
        _number(median_of(samples, lambda sample: sample.figures.p99_ms)),
        str(sum(sample.figures.errors for sample in samples)),
        _number(median_of(samples, lambda sample: sample.cpu), 2),
        _number(median_of(samples, lambda sample: sample.store_cpu), 2),
        _number(over_raw(cells, kind.name, connections), 2),
        _number(over_baseline(cells, kind.name, connections), 2),
        _number(over_base(cells, kind.name, connections), 2),
        _number(cpu_over_base(cells, kind.name, connections), 2),
        _number(over_one(cells, kind.name, connections), 2),
        _number(store_cpu_over_one(cells, kind.name, connections), 2),
    ]


def _list_rows(results: Results) -> Iterator[list[str]]:
    for cost in results.lists:
        yield [
            f"{cost.length:,}",
            _number(cost.rate, 0),
            _number(cost.seconds, 2),
            _number(cost.first_byte_seconds, 3),
            _number(cost.megabytes),
            _number(cost.peak),
            _number(cost.growth),
        ]


def _life_rows(lives: Sequence[Life]) -> Iterator[list[str]]:
    for life in lives:
        times = life.p50 / lives[0].p50
        yield [life.past, _number(life.p50, 2), _number(life.p99, 2), _number(times, 2)]


def _memory_rows(results: Results) -> Iterator[list[str]]:
    for name, memory in results.memory.items():
        yield [name, _number(memory.rss), _number(memory.pss)]


def _goal_rows(results: Results) -> Iterator[list[str]]:
    for goal in goals(results):
        sign = "≤ " if goal.at_most else "≥ "
        unit = f" {goal.unit}" if goal.unit else ""
        bounds = [f"{sign}{bound:g}{unit}" for bound in (goal.required, goal.hope)]
        got = _number(goal.got, 2) + (unit if goal.got is not None else "")
        yield [goal.figure, got, *bounds, goal.verdict]


def _number(value: float | None, digits: int = 1) -> str:
    return NOTHING if value is None else f"{value:,.{digits}f}"


def _table(head: Sequence[str], rows: Iterator[list[str]]) -> str:
    """Return a Markdown table, or "" without rows. Columns after the first are right-aligned."""
    body = list(rows)
    if not body:
        return ""
    widths = [max(map(len, column)) for column in zip(head, *body, strict=True)]
    marks = ["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])]
    lines = [_line(head, widths), _line(marks, widths)]
    return "\n".join([*lines, *(_line(row, widths) for row in body)])


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    others = [cell.rjust(width) for cell, width in zip(cells[1:], widths[1:], strict=True)]
    return "| " + " | ".join([cells[0].ljust(widths[0]), *others]) + " |"
