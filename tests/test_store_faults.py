"""The service over a store that breaks in every way there is, as its clients see it.

With OVERMIND_FAULTS=1 each fault lasts longer and meets more clients; `make faults` prints a table.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.backends import Backend
from tests.support.fault_proxy import FaultProxy
from tests.support.faults import (
    Answer,
    CutBody,
    Delay,
    Drip,
    Fault,
    Hang,
    Kind,
    ResetAfter,
    ResetBefore,
    WrongType,
)
from tests.support.insight import Insight
from tests.support.outage import LATEST_ANSWER, Trial, table
from tests.support.service import Service
from tests.support.swarm import EXPECTED, Swarm
from tests.support.verdict import check

logger = logging.getLogger(__name__)

IS_LONG = os.environ.get("OVERMIND_FAULTS") == "1"
SECONDS, HANGING_SECONDS = (5.0, 10.0) if IS_LONG else (0.3, 2.5)
VISITORS, CLIENTS = (32, 16) if IS_LONG else (8, 3)

SOONEST = 3.0
"""Seconds after the store's recovery in which the service has recovered."""

JSON, HTML = {"Content-Type": "application/json"}, {"Content-Type": "text/html"}
ERROR = b'{"error":"internal_server_error","reason":"badmatch at 127.0.0.1"}'

QUICK: dict[str, Kind] = {
    "100 ms of latency": Delay(0.1),
    "up to 400 ms of jitter": Delay(0.0, jitter=0.4),
    "cut bodies": CutBody(3),
    "resets before": ResetBefore(),
    "resets after": ResetAfter(),
    "500": Answer(500, ERROR, JSON),
    "502 HTML": Answer(502, b"<html>bad gateway at http://127.0.0.1", HTML),
    "503": Answer(503, b"no", {}),
    "429": Answer(429, b"", {"Retry-After": "60"}),
    "wrong content types": WrongType("text/html"),
    "200 of something else": Answer(200, b"<html>welcome", HTML),
}


def hang() -> Kind:
    """No answer, and a reset when the fault is over: nothing waits in the proxy for ever."""
    return Hang(threading.Event())


HANGING: dict[str, Callable[[], Kind]] = {
    "connections that never answer": hang,
    "answers byte by byte": lambda: Drip(0.5),
    "3 s of latency": lambda: Delay(3.0),
}


@pytest.fixture
def insight(tmp_path: Path) -> Insight:
    return Insight(tmp_path / "insight")


@pytest.fixture
def struck(
    couch: Backend, proxy: FaultProxy, insight: Insight, tmp_path: Path
) -> Iterator[Service]:
    """A service that reaches its store through the proxy."""
    environment = couch.through(proxy.url).environment | insight.environment
    with Service(environment, tmp_path) as service:
        yield service


def report(trial: Trial) -> None:
    """Show the figures, and complain of what no fault may bring about."""
    logger.info("\n%s", table(trial.rows))
    assert trial.wrong == []
    for row in trial.rows:
        assert row.slowest < LATEST_ANSWER, row
        assert row.recovery < SOONEST, row
        assert row.greenlets[1] <= row.greenlets[0] + 2, row
        assert row.connections[1] <= 34, row


def test_no_fault_of_the_store_brings_more_than_a_503_or_costs_a_command(
    struck: Service, couch: Backend, proxy: FaultProxy, insight: Insight
) -> None:
    trial = Trial(struck, proxy.port, insight, visitors=VISITORS, seconds=SECONDS)
    swarm = Swarm([struck], clients=CLIENTS, zerglings=6, deaths=0.01)

    def suffering(kind: Kind) -> Callable[[], None]:
        return lambda: setattr(proxy, "fault", Fault(kind))

    def heal() -> None:
        proxy.fault = None

    with swarm.run():
        swarm.wait_for_more(20)
        for name, kind in QUICK.items():
            trial.endure(name, suffering(kind), heal)
        for name, make in HANGING.items():
            trial.endure(name, suffering(make()), heal, HANGING_SECONDS)
        trial.endure("refused connections", proxy.down, proxy.up)
        trial.endure("black hole", proxy.swallow, proxy.up, HANGING_SECONDS)
        trial.endure("peer vanished", proxy.forsake, lambda: None, HANGING_SECONDS)
    report(trial)
    verdict = check(swarm, couch)
    assert verdict.is_clean(), verdict
    assert swarm.ledger.complaints == []
    assert set(swarm.ledger.statuses) <= EXPECTED | {None}
    assert swarm.ledger.slowest < LATEST_ANSWER
