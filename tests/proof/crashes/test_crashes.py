"""Tests that killing any process at any moment loses and duplicates nothing, on disk too.

These runs are short; `make crash` runs for ten minutes with each store.
"""

from __future__ import annotations

import logging
import os
import random
import signal
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from tests.proof.crashes.campaign import COPY, Pace, copy_files, faults_of_copy
from tests.proof.crashes.crash import STORES, crash
from tests.proof.crashes.invariants import Known, faults_of
from tests.proof.crashes.mixed import MixedSwarm
from tests.proof.load.ledger import Fate
from tests.support.backends import Backend
from tests.support.documents import read, write
from tests.support.service import Service, workers
from tests.support.waiting import wait_until
from zerglings.domain.document_format import decode
from zerglings.domain.pose import replay

logger = logging.getLogger(__name__)

EVERYDAY = Pace(clients=12, zerglings=8, between=60)
STRUCK = {
    "sqlite": {
        "a worker killed",
        "all workers killed",
        "a worker stopped for a while",
        "a master killed",
        COPY,
    },
    "couchdb": {"the store killed", "the store stopped for a while", "everything killed"},
}
"""Each kind of blow once, as blows take most of the time."""


@pytest.mark.parametrize("kind", STORES)
def test_killing_any_process_loses_and_duplicates_nothing(kind: str, tmp_path: Path) -> None:
    seed = random.randrange(10**6)
    blows = STRUCK[kind]
    pace = replace(EVERYDAY, blows=(len(blows), len(blows)))
    report = crash(
        tmp_path, kind, seconds=0, seed=seed, services=1, workers=2, pace=pace, blows=blows
    )
    logger.info("seed %d\n%s", seed, "\n".join(report.lines()))
    assert report.is_clean(), "\n".join([f"seed {seed}", *report.lines()])
    assert {blow.kind for blow in report.blows} == blows
    assert report.statuses[None] > 0, "no client lost a response"
    assert report.fates[Fate.ACKNOWLEDGED] > 20


@pytest.fixture
def path(sqlite: Backend) -> Path:
    return Path(sqlite.environment["OVERMIND_SQLITE_PATH"])


@contextmanager
def load_on(backend: Backend, directory: Path) -> Iterator[MixedSwarm]:
    """Have clients load a service of two processes."""
    with Service(backend.environment | {"WEB_CONCURRENCY": "2"}, directory) as service:
        swarm = MixedSwarm([service], clients=12, zerglings=8, deaths=0.01)
        with swarm.run():
            yield swarm
        assert swarm.ledger.complaints == []


def known_to(swarm: MixedSwarm) -> Known:
    with swarm.lock:
        return Known.of(swarm.ledger)


def test_a_copy_made_under_load_has_every_command_acknowledged_before(
    sqlite: Backend, path: Path, tmp_path: Path
) -> None:
    """The files are copied one after the other, while a reader stops the log from restarting."""
    copy = tmp_path / "copy.sqlite3"
    with load_on(sqlite, tmp_path) as swarm, closing(sqlite3.connect(path)) as reader:
        for number in range(20):
            swarm.wait_for_more(random.randint(1, 60))
            known = known_to(swarm)
            reader.execute("BEGIN")
            reader.execute("SELECT count(*) FROM documents").fetchone()
            copy_files(path, copy, (("", "-wal"), ("", "-wal", "-shm"))[number % 2])
            reader.execute("ROLLBACK")
            assert faults_of_copy(copy, known) == []
        # What comes after a reader has begun stays in the log until it has ended.
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM documents").fetchone()
        swarm.wait_for_more(20)
        known = known_to(swarm)
        copy_files(path, copy, ("",))
        reader.execute("ROLLBACK")
        assert faults_of_copy(copy, known), "a copy without its log lacks nothing"


def test_faults_of_a_store_are_found_while_it_runs(sqlite: Backend, tmp_path: Path) -> None:
    with load_on(sqlite, tmp_path) as swarm:
        swarm.wait_for_more(100)
    known = known_to(swarm)
    with closing(sqlite.open()) as store:
        assert faults_of(store, known) == []
        life = max(known.lives, key=lambda life: len(known.sent[life.id]))
        document = read(store, life.id)
        ids = document["commandIds"]
        alive = decode(document)
        first = next(  # without the words before it the zergling would stand elsewhere
            place
            for place, id_ in enumerate(ids)
            if place and id_ and replay(alive.spawn, alive.history[place:]) != alive.pose
        )
        for field in ("commandHistory", "commandIds"):
            document[field] = document[field][first:]
        write(store, document)
        found = faults_of(store, known)
        assert any("is lost" in fault for fault in found)
        assert any("is elsewhere" in fault or "another past" in fault for fault in found)


def test_a_service_stops_quickly_while_a_worker_is_replaced(
    sqlite: Backend, tmp_path: Path
) -> None:
    with Service(sqlite.environment, tmp_path) as service:
        (killed,) = workers(service)
        os.kill(killed, signal.SIGKILL)
        wait_until(lambda: workers(service) not in ([], [killed]), "there is a new worker")
        service.stop()  # fails if it takes half of the time that a worker is given to finish
