"""Tests what clients of the service see while its store fails in every known way.

With OVERMIND_FAULTS=1 each fault lasts longer and meets more clients; `make faults` prints a table.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.proof.faults.crowd import crowd
from tests.proof.faults.insight import Insight
from tests.proof.faults.outage import LATEST_ANSWER, Trial, table
from tests.proof.faults.prober import in_ms, percentile, probing
from tests.proof.load.swarm import EXPECTED, Swarm
from tests.proof.load.verdict import check
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
    Twice,
    WrongType,
    some_writes,
)
from tests.support.prometheus import Metrics
from tests.support.service import Service
from tests.support.waiting import wait_until

pytestmark = pytest.mark.alone
logger = logging.getLogger(__name__)

IS_LONG = os.environ.get("OVERMIND_FAULTS") == "1"
SECONDS, HANGING_SECONDS = (3.0, 6.0) if IS_LONG else (0.3, 2.5)
CROWD, CROWD_SECONDS = (500, 10.0) if IS_LONG else (200, 5.0)
VISITORS, CLIENTS = (24, 8) if IS_LONG else (8, 3)

PROMISED_HEALTH = 0.1
"""Seconds within which a liveness probe is answered, always, whatever ails the store, beyond what
the same load takes while it is well."""

AT_ONCE = 0.25
"""Seconds within which 99 % of requests are rejected once the breaker is open."""

SPAWNED_BY_VISITORS = 100_000
"""A maximum: the swarm need not know them."""

POOL = 34
"""Maximum number of pooled connections to the store."""

SOONEST = 3.0
"""Seconds after the store's recovery in which the service has recovered."""

JSON, HTML = {"Content-Type": "application/json"}, {"Content-Type": "text/html"}
ERROR = b'{"error":"internal_server_error","reason":"badmatch at 127.0.0.1"}'

EVERYDAY = (
    "answers to a third of the writes lost",
    "a third of the writes sent twice",
    "cut bodies",
    "resets after",
    "500",
    "502 HTML",
    "429",
    "connections that never answer",
)
"""Faults tried in each run; the store's own tests try all of them on every call."""

QUICK: dict[str, Kind | Fault] = {
    "answers to a third of the writes lost": Fault(ResetAfter(), some_writes),
    "a third of the writes sent twice": Fault(Twice(), some_writes),
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
    """Return a fault without a response, which resets the connection when it ends."""
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


def is_tried(name: str) -> bool:
    return IS_LONG or name in EVERYDAY


def report(trial: Trial) -> None:
    """Log the figures, and fail on effects that no fault may have."""
    logger.info("\n%s", table(trial.rows))
    assert trial.wrong == []
    for row in trial.rows:
        assert row.slowest < LATEST_ANSWER, row
        assert row.recovery < SOONEST, row
        assert row.health_p99 < PROMISED_HEALTH + row.health_before, row
        assert row.greenlets[1] <= trial.rows[0].greenlets[0] + 3, row
        assert row.connections[1] <= POOL, row


def test_store_faults_cause_at_most_a_503_and_lose_no_command(
    struck: Service, couch: Backend, proxy: FaultProxy, insight: Insight
) -> None:
    trial = Trial(struck, proxy.port, insight, visitors=VISITORS, seconds=SECONDS)
    swarm = Swarm([struck], clients=CLIENTS, zerglings=6, deaths=0.01)

    def suffering(what: Kind | Fault) -> Callable[[], None]:
        fault = what if isinstance(what, Fault) else Fault(what)
        return lambda: setattr(proxy, "fault", fault)

    def heal() -> None:
        proxy.fault = None

    with swarm.run():
        swarm.wait_for_more(20)
        for name in filter(is_tried, QUICK):
            trial.endure(name, suffering(QUICK[name]), heal)
        for name in filter(is_tried, HANGING):
            trial.endure(name, suffering(HANGING[name]()), heal, HANGING_SECONDS)
        trial.endure("refused connections", proxy.down, proxy.up)
        trial.endure("black hole", proxy.swallow, proxy.up, HANGING_SECONDS)
        trial.endure("peer vanished", proxy.forsake, lambda: None, HANGING_SECONDS)
    report(trial)
    swarm.ledger.unknown_spawns += SPAWNED_BY_VISITORS
    verdict = check(swarm, couch)
    assert verdict.is_clean(), verdict
    assert swarm.ledger.complaints == []
    assert set(swarm.ledger.statuses) <= EXPECTED | {None}
    assert swarm.ledger.slowest < LATEST_ANSWER


def test_a_hanging_store_does_not_block_all_threads_or_the_liveness_probe(
    struck: Service, proxy: FaultProxy, insight: Insight
) -> None:
    """While hundreds of clients wait, later requests fail fast and probes are answered."""
    zergling = struck.spawn()
    before = insight.greenlets(struck)
    with crowd(struck, zergling, connections=CROWD) as seen, probing(struck) as probes:
        began = time.monotonic()
        time.sleep(CROWD_SECONDS)  # so long it is well
        struck_at = time.monotonic()
        proxy.fault = Fault(hang())
        time.sleep(CROWD_SECONDS)  # and so long the store hangs
        metrics = Metrics.of(struck)
        mended_at = time.monotonic()
        proxy.fault = None
        wait_until(lambda: struck.call("POST", "/zerglings/").status == 201, "a spawn succeeds")
        recovery = time.monotonic() - mended_at
    usual, hanging = probes.between(began, struck_at), probes.between(struck_at, mended_at)
    # What the same load costs a probe on this machine while the store is well, or a timer's delay.
    noise = max(*usual, probes.lateness(struck_at, mended_at))
    since_then = [seconds for at, _, seconds in seen.answers if at >= struck_at]
    at_once = seen.between(struck_at + SOONEST, mended_at)
    logger.info(
        "%d connections: healthz p99 / worst %s, with a hanging store %s (noise: %.0f"
        " ms); slowest answer %.2f s,"
        " while the breaker is open p99 %.2f, worst %.2f s; %s; recovery %.2f s",
        CROWD,
        in_ms(usual),
        in_ms(hanging),
        noise * 1000,
        max(since_then),
        percentile([seconds for _, seconds in at_once], 0.99),
        max(seconds for _, seconds in at_once),
        dict(seen.statuses),
        recovery,
    )
    assert probes.statuses == {200}
    assert set(seen.statuses) == {200, 503}
    assert len(at_once) > CROWD / 2
    assert {status for status, _ in at_once} == {503}
    assert max(since_then) < LATEST_ANSWER
    assert percentile([seconds for _, seconds in at_once], 0.99) < AT_ONCE + noise
    assert max(hanging) < PROMISED_HEALTH + noise
    assert metrics.total("overmind_store_breaker_open") == 1
    assert metrics.total("overmind_store_refused_total", reason="hanging") > 0
    assert recovery < SOONEST
    wait_until(
        lambda: insight.greenlets(struck) <= before + 3, "the greenlets have ended", LATEST_ANSWER
    )
