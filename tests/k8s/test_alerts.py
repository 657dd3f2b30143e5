"""Tests that each alert fires at its limit or first event, and not for a past problem."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import promql_parser
import pytest
import yaml

from overmind_project import settings
from tests.k8s.monitoring import COMPONENT, alerts
from tests.k8s.render import containers, overlays, render
from zerglings.hive.hive import QUEUE_LIMIT, THREADS_PER_QUEUED_OPERATION
from zerglings.storage.regions.heartbeats import PERIOD

MONITOR = yaml.safe_load((COMPONENT / "overmind-servicemonitor.yaml").read_text(encoding="utf-8"))
INTERVAL = promql_parser.parse_duration(MONITOR["spec"]["endpoints"][0]["interval"])

OF_A_PROCESS = {
    "OvermindConnectionsMany": ("overmind_http_requests_in_flight", settings.OVERMIND_THREADS),
    "OvermindStreamsMany": ("overmind_http_streams_open", settings.OVERMIND_STREAMS),
}
"""The limited metric of a process and its limit, by alert."""

STREAMING = 210 * 2**20
"""Bytes of a replica with the maximum number of streams, from docs/operations.md."""

OPERATORS: dict[str, Callable[[float, float], float]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
    ">": operator.gt,
    "<": operator.lt,
    "or": lambda left, right: left or right,
}

_FIRST_TOO = re.compile(
    r"sum by \((?:route|part)\) \( (?P<counter>\S+\{[^}]*\})"
    r" unless last_over_time\((?P=counter)\[\w+\] offset (?P<window>\w+)\)"
    r" or increase\((?P=counter)\[(?P=window)\]\) \) > 0"
)

Object = dict[str, Any]

WITH_WINDOWS = [alert for alert in alerts() if "[" in alert["expr"]]


def named(name: str) -> Object:
    (found,) = [alert for alert in alerts() if alert["alert"] == name]
    return found


def fires(name: str, **metrics: float) -> bool:
    return bool(reckoned(promql_parser.parse(named(name)["expr"]), metrics))


def reckoned(expression: object, metrics: Mapping[str, float]) -> float:
    """Evaluate an expression for metrics with one series each."""
    match expression:
        case promql_parser.NumberLiteral():
            return expression.val
        case promql_parser.VectorSelector():
            return metrics[str(expression.name)]
        case promql_parser.ParenExpr() | promql_parser.AggregateExpr():
            return reckoned(expression.expr, metrics)
        case promql_parser.BinaryExpr():
            left, right = (reckoned(each, metrics) for each in (expression.lhs, expression.rhs))
            return OPERATORS[str(expression.op)](left, right)
        case promql_parser.Call() if expression.func.name == "clamp_min":
            return max(reckoned(each, metrics) for each in expression.args)
        case promql_parser.Call() if expression.func.name == "rate":
            return reckoned(expression.args[0].vector_selector, metrics)
    raise NotImplementedError(str(expression))


# At the limits


@pytest.mark.parametrize("workers", [1, 2, 4])
@pytest.mark.parametrize("name", OF_A_PROCESS)
def test_alerts_fire_for_processes_near_their_limit_only(name: str, workers: int) -> None:
    metric, limit = OF_A_PROCESS[name]
    processes = workers + 1  # gunicorn's main one, too
    assert fires(name, **{metric: 0.9 * limit * workers, "overmind_processes": processes})
    assert not fires(name, **{metric: 0.45 * limit * workers, "overmind_processes": processes})


def test_a_single_process_counts_as_one_worker() -> None:
    for name, (metric, limit) in OF_A_PROCESS.items():
        assert fires(name, **{metric: limit, "overmind_processes": 1})
        assert not fires(name, **{metric: 1, "overmind_processes": 1})


def test_a_full_queue_fires_the_alert() -> None:
    threads = settings.OVERMIND_THREADS - settings.OVERMIND_STREAMS
    limit = min(QUEUE_LIMIT, threads // THREADS_PER_QUEUED_OPERATION)
    assert fires("OvermindQueueLong", overmind_queue_depth=0.9 * limit)
    assert not fires("OvermindQueueLong", overmind_queue_depth=64)


@pytest.mark.parametrize("overlay", overlays(), ids=lambda folder: folder.name)
def test_high_memory_fires_the_alert_and_normal_use_does_not(overlay: Path) -> None:
    found = containers(render(overlay), init=False)
    (container,) = [each for each in found if each.name == "overmind"]
    limit = container.spec["resources"]["limits"]["memory"]
    number, unit = int(limit[:-2]), limit[-2:]
    size = number * {"Mi": 2**20, "Gi": 2**30}[unit]
    assert fires("OvermindMemoryHigh", overmind_resident_memory_bytes=0.8 * size)
    assert not fires("OvermindMemoryHigh", overmind_resident_memory_bytes=STREAMING)


def test_merges_fire_the_alert_only_if_they_are_many() -> None:
    def merging(merges: float, commands: float) -> bool:
        return fires(
            "OvermindMergesMany", overmind_merges_total=merges, overmind_commands_total=commands
        )

    assert merging(20, 100)
    assert not merging(5, 100)
    assert merging(1, 0)
    assert not merging(1 / 600, 0)


def test_a_region_that_is_behind_or_was_never_seen_fires_the_alert() -> None:
    def behind(seconds: float, seen: int = 1) -> bool:
        metrics = {"overmind_region_lag_seconds": seconds, "overmind_regions_seen": seen}
        return fires("OvermindRegionBehind", **metrics)

    assert not behind(PERIOD * 3)
    assert behind(10 * 60)
    assert behind(0, seen=0)


def test_deferred_merges_fire_the_alert_while_they_go_on() -> None:
    assert fires("OvermindMergesDeferred", overmind_merges_deferred_total=1)
    assert not fires("OvermindMergesDeferred", overmind_merges_deferred_total=0)


# In time


def windows(alert: Object) -> list[timedelta]:
    found: list[timedelta] = []

    def note(expression: object) -> None:
        if isinstance(expression, promql_parser.MatrixSelector):
            found.append(expression.range)

    promql_parser.walk(promql_parser.parse(alert["expr"]), note)
    assert found
    return found


@pytest.mark.parametrize("alert", WITH_WINDOWS, ids=lambda alert: alert["alert"])
def test_alert_windows_cover_at_least_four_scrapes(alert: Object) -> None:
    assert min(windows(alert)) >= 4 * INTERVAL


@pytest.mark.parametrize("alert", WITH_WINDOWS, ids=lambda alert: alert["alert"])
def test_alert_windows_are_shorter_than_the_pending_time(alert: Object) -> None:
    if "for" in alert:
        assert max(windows(alert)) < promql_parser.parse_duration(alert["for"])
    else:
        assert _FIRST_TOO.fullmatch(" ".join(alert["expr"].split()))
