"""Tests for exactly-once commands under load: killed workers, a lost store, rival nodes.

The runs are short; OVERMIND_STRESS=1 runs them with the full load.
"""

from __future__ import annotations

import logging
import os
import random
import re
import signal
import sqlite3
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.proof.load.ledger import Fate
from tests.proof.load.swarm import EXPECTED, KEYLESS, PROGRESS_LIMIT, REPEATED, Swarm
from tests.proof.load.verdict import check, without_late_repeats
from tests.support.backends import Backend, couchdb_backend
from tests.support.documents import read, write
from tests.support.fault_proxy import FaultProxy
from tests.support.service import Service, workers
from tests.support.site import CouchDBServer
from tests.support.waiting import wait_until
from zerglings.domain.document_format import decode
from zerglings.domain.zergling import DIED, CommandRequest

pytestmark = pytest.mark.alone
logger = logging.getLogger(__name__)

LATEST_ANSWER = 10.0
"""Seconds within which every request is answered."""


@dataclass(frozen=True)
class Size:
    """The size of a run: its minimum duration and numbers of events. By default it is short.

    ``rejected`` is the largest share of requests that may end with 409 or 503. Eight processes that
    command the same 50 zerglings lose most races against each other, and on two processors the
    store is busy all the time.
    """

    processes: int = 2
    clients: int = 32
    zerglings: int = 12
    seconds: float = 3
    acknowledged: int = 600
    blows: int = 3
    deaths: float = 0.02
    rejected: float = 0.02


STRESS = Size(
    processes=8,
    clients=256,
    zerglings=50,
    seconds=60,
    acknowledged=5000,
    blows=5,
    deaths=0.002,
    rejected=0.1,
)
SIZE = STRESS if os.environ.get("OVERMIND_STRESS") == "1" else Size()

CLUSTER = os.environ.get("OVERMIND_CLUSTER_URLS", "").split(",")
on_a_cluster = pytest.mark.skipif(
    len(CLUSTER) < 3,
    reason="needs three nodes: OVERMIND_CLUSTER_URLS=http://admin:password@host:port,…",
)
MERGED = re.compile(r"Merged (\d+) rival revisions")


def withstand(swarm: Swarm, backend: Backend, blow: Callable[[], None] | None = None) -> None:
    """Load the service, cause faults repeatedly, and compare the store with the ledger."""
    end = time.monotonic() + SIZE.seconds
    blows = 0
    with swarm.run():
        swarm.wait_for_more(SIZE.acknowledged // 4)
        while time.monotonic() < end or blows < SIZE.blows:
            if blow is not None:
                blow()
            blows += 1
            swarm.wait_for_more(SIZE.acknowledged // 4)
    assert blows >= SIZE.blows
    verify(swarm, backend)
    assert swarm.ledger.acknowledged >= SIZE.acknowledged


def verify(swarm: Swarm, backend: Backend) -> None:
    verdict = check(swarm, backend)
    ledger = swarm.ledger
    assert verdict.is_clean(), verdict
    assert ledger.complaints == []
    assert set(ledger.statuses) - {None} <= EXPECTED
    assert ledger.repeats[200] > ledger.acknowledged * REPEATED * (1 - KEYLESS) / 2
    assert ledger.fates[Fate.REFUSED] > 0
    assert ledger.deaths > 0
    assert ledger.slowest < LATEST_ANSWER


def test_the_check_finds_lost_repeated_and_misplaced_commands(
    service: Service, backend: Backend
) -> None:
    swarm = Swarm([service], clients=4, zerglings=4, quota=40, deaths=0.05)
    with swarm.run():
        pass
    assert check(swarm, backend).is_clean()
    long, dead = (
        max(lives, key=lambda life: sum(sent.life is life for sent in swarm.ledger.sent))
        for lives in (
            [life for life in swarm.ledger.lives if not life.was_to_die],
            [life for life in swarm.ledger.lives if life.died],
        )
    )
    with closing(backend.open()) as store:
        document = read(store, long.id)
        first, second = list(decode(document).requests())[:2]
        skipped, repeated = len(first.words), len(first.words) + len(second.words)
        for field in ("commandHistory", "commandIds"):
            whole = document[field]
            document[field] = [*whole[skipped:], *whole[skipped:repeated], *"abc"]
        document["location"]["x"] += 1000
        write(store, document)
        document = read(store, dead.id)
        document["commandHistory"] = ["M" if w == DIED else w for w in document["commandHistory"]]
        write(store, document)
    verdict = check(swarm, backend)
    assert len(verdict.lost) == 1
    assert len(verdict.doubled) == 1
    assert len(verdict.uninvited) == 4
    assert set(verdict.revived) == {dead.id, f"{dead.id} is listed"}
    assert set(verdict.misplaced) >= {long.id}


def test_only_repeats_after_a_thousand_words_may_count_again() -> None:
    first = CommandRequest("first", ("M",))
    others = [CommandRequest(f"other{number}", ("L",) * 100) for number in range(10)]
    late = [first, *others, first]
    assert list(without_late_repeats(late)) == late[:-1]
    early = [first, *others[:-1], CommandRequest("short", ("L",) * 99), first]
    assert list(without_late_repeats(early)) == early


@pytest.fixture
def hard_service(backend: Backend, tmp_path: Path) -> Iterator[Service]:
    """The service with the number of processes of the run's size."""
    environment = backend.environment | {"WEB_CONCURRENCY": str(SIZE.processes)}
    with Service(environment, tmp_path) as service:
        yield service


def swarm_of(service: Service) -> Swarm:
    return Swarm([service], clients=SIZE.clients, zerglings=SIZE.zerglings, deaths=SIZE.deaths)


def test_acknowledged_commands_of_many_clients_count_exactly_once(
    hard_service: Service, backend: Backend
) -> None:
    swarm = swarm_of(hard_service)
    withstand(swarm, backend)
    statuses = swarm.ledger.statuses
    assert statuses[None] == 0
    rejected = statuses[409] + statuses[503]
    assert rejected < statuses.total() * SIZE.rejected, "too many requests were rejected"


def test_killing_workers_loses_and_duplicates_nothing(
    hard_service: Service, backend: Backend
) -> None:
    swarm = swarm_of(hard_service)
    killed = set()

    def kill() -> None:
        wait_until(lambda: len(workers(hard_service)) == SIZE.processes, "all work", PROGRESS_LIMIT)
        victim = random.choice(workers(hard_service))
        os.kill(victim, signal.SIGKILL)
        killed.add(victim)
        wait_until(
            lambda: victim not in workers(hard_service), "the worker is gone", PROGRESS_LIMIT
        )

    withstand(swarm, backend, kill)
    logger.info("%d workers were killed", len(killed))
    assert len(killed) >= SIZE.blows
    assert swarm.ledger.statuses[None] > 0, "no client lost a response"


def test_locking_the_embedded_store_loses_and_duplicates_nothing(
    sqlite: Backend, tmp_path: Path
) -> None:
    """Another program holds the file's lock for longer than the service's timeout."""
    path = sqlite.environment["OVERMIND_SQLITE_PATH"]
    with Service(
        sqlite.environment | {"WEB_CONCURRENCY": str(SIZE.processes)}, tmp_path
    ) as service:
        swarm = swarm_of(service)

        def lock() -> None:
            with closing(sqlite3.connect(path, timeout=30, isolation_level=None)) as other:
                other.execute("BEGIN IMMEDIATE")
                wait_for_refusals(swarm)
                other.execute("ROLLBACK")

        withstand(swarm, sqlite, lock)


def test_restarting_couchdb_loses_and_duplicates_nothing(
    couch: Backend, proxy: FaultProxy, tmp_path: Path
) -> None:
    """The proxy simulates it, unless OVERMIND_STORE_STOP and OVERMIND_STORE_START are commands."""
    stop, start = os.environ.get("OVERMIND_STORE_STOP"), os.environ.get("OVERMIND_STORE_START")
    backend = couch if stop and start else couch.through(proxy.url)
    environment = backend.environment | {"WEB_CONCURRENCY": str(SIZE.processes)}
    with Service(environment, tmp_path) as service:
        swarm = swarm_of(service)

        def restart() -> None:
            run(stop) if stop and start else proxy.down()
            wait_for_refusals(swarm)
            run(start) if stop and start else proxy.up()

        withstand(swarm, couch, restart)


def wait_for_refusals(swarm: Swarm) -> None:
    """Wait until clients get responses of the outage."""
    enough = swarm.ledger.statuses[503] + swarm.clients // 4
    wait_until(
        lambda: swarm.ledger.statuses[503] >= enough, "clients see the outage", PROGRESS_LIMIT
    )


def run(command: str) -> None:
    subprocess.run(command, shell=True, check=True, stdout=subprocess.DEVNULL)


@contextmanager
def services_on_every_node(directory: Path) -> Iterator[tuple[list[Service], Backend]]:
    """Start a service on each node, all with the same database."""
    with ExitStack() as stack:
        backend = stack.enter_context(couchdb_backend(CouchDBServer.at(CLUSTER[0])))
        services = []
        for number, url in enumerate(CLUSTER):
            place = directory / str(number)
            place.mkdir()
            environment = backend.through(CouchDBServer.at(url).url).environment
            services.append(stack.enter_context(Service(environment, place)))
        yield services, backend


def copies_of(backend: Backend) -> int:
    """Return how many copies the cluster keeps of the database."""
    name = backend.environment["COUCHDB_DATABASE"]
    with closing(CouchDBServer.at(CLUSTER[0]).client()) as client:
        copies: int = client.request("GET", [name], timeout=5)["cluster"]["n"]
    return copies


def merged(services: list[Service]) -> int:
    """Return how often the services merged conflicting revisions."""
    return sum(len(MERGED.findall(service.log)) for service in services)


@on_a_cluster
def test_a_cluster_keeps_every_command_that_any_node_accepted(tmp_path: Path) -> None:
    """A client with compare-and-swap alone lost 45 of 540 acknowledged commands here."""
    with services_on_every_node(tmp_path) as (services, backend):
        assert copies_of(backend) == 3
        swarm = Swarm(services, clients=9, zerglings=3, deaths=0.02, is_cluster=True)
        with swarm.run():
            swarm.wait_for_more(9 * 60)
            wait_until(lambda: merged(services) > 0, "nodes accept rivals", 120)
        verify(swarm, backend)
        logger.info("%d times rivals were merged", merged(services))


@on_a_cluster
def test_a_cluster_loses_nothing_while_a_node_restarts(tmp_path: Path) -> None:
    """OVERMIND_CLUSTER_STOP and OVERMIND_CLUSTER_START are commands for the last node."""
    stop, start = os.environ.get("OVERMIND_CLUSTER_STOP"), os.environ.get("OVERMIND_CLUSTER_START")
    if not stop or not start:
        pytest.skip("needs OVERMIND_CLUSTER_STOP and OVERMIND_CLUSTER_START")
    with services_on_every_node(tmp_path) as (services, backend):
        swarm = Swarm(services, clients=9, zerglings=3, deaths=0.02, is_cluster=True)
        with swarm.run():
            for _ in range(2):
                swarm.wait_for_more(200)
                run(stop)
                wait_for_refusals(swarm)
                swarm.wait_for_more(200)
                run(start)
                swarm.wait_for_more(200)
        verify(swarm, backend)
        logger.info("%d times rivals were merged", merged(services))
        assert merged(services) > 0
