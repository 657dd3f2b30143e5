"""Tests that no accepted request fails when the service or one of its workers stops."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from bench.rush import Call, Seen, rushing
from tests.support.backends import Backend
from tests.support.documents import read
from tests.support.raw import all_from, answers_in, line_to, probe
from tests.support.service import Service, workers
from tests.support.waiting import wait_until
from zerglings.domain.document_format import decode

KEEPING, COMING = 64, 4
END_LIMIT = 5.0
BUSY = 1.0
"""Seconds of load before the signal and, if the service continues, after it."""


@contextmanager
def moving(service: Service) -> Iterator[tuple[str, Seen]]:
    """Have clients move a zergling during the block."""
    zergling_id = service.spawn()
    call = Call("POST", f"/zerglings/{zergling_id}", "M")
    with rushing(service.port, call, keeping=KEEPING, coming=COMING) as seen:
        time.sleep(BUSY)  # the load is the point
        yield zergling_id, seen


def moves_of(backend: Backend, zergling_id: str) -> int:
    store = backend.open()
    count: int = decode(read(store, zergling_id)).command_count
    store.close()
    return count


def stopped(service: Service, by: signal.Signals = signal.SIGTERM) -> float:
    """Stop a service and return the duration in seconds."""
    began = time.monotonic()
    service.stop(by)
    return time.monotonic() - began


def test_stopping_under_load_fails_no_request(service: Service, backend: Backend) -> None:
    with ExitStack() as idle, moving(service) as (zergling_id, seen):
        for number in range(20):
            line = idle.enter_context(line_to(service))
            if number % 2:
                probe(line)
        seconds = stopped(service)
    assert seen.failed == {}
    assert seen.answered == {200: moves_of(backend, zergling_id)}
    assert seen.farewells >= KEEPING
    assert seconds < END_LIMIT


@pytest.fixture
def alone(sqlite: Backend, tmp_path: Path) -> Iterator[Service]:
    """The service over the embedded store only."""
    with Service(sqlite.environment, tmp_path) as service:
        yield service


@pytest.mark.parametrize("how", ["HUP to the main process", "TERM to the worker"])
def test_replacing_a_worker_under_load_fails_no_request(
    alone: Service, sqlite: Backend, how: str
) -> None:
    (old,) = workers(alone)
    with moving(alone) as (zergling_id, seen):
        if how.startswith("HUP"):
            os.kill(alone.pid, signal.SIGHUP)
        else:
            os.kill(old, signal.SIGTERM)
        wait_until(lambda: old not in workers(alone), "the old worker has ended")
        wait_until(lambda: bool(workers(alone)), "there is a new worker")
        time.sleep(BUSY)  # the load is the point
    assert seen.failed == {}
    assert seen.refused == 0
    assert seen.answered == {200: moves_of(sqlite, zergling_id)}


def test_requests_being_received_at_the_stop_signal_are_answered(
    alone: Service,
) -> None:
    with ExitStack() as lines:
        body, head, accepted = (lines.enter_context(line_to(alone)) for _ in range(3))
        body.sendall(b"POST /zerglings/ HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{")
        head.sendall(b"GET /healthz HTTP/1.1\r\nHost")
        probe(accepted)  # earlier connections have been accepted too
        os.kill(alone.pid, signal.SIGTERM)
        wait_until(lambda: is_refused(alone), "it accepts no connection")
        body.sendall(b"}")
        head.sendall(b": x\r\n\r\n")
        accepted.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
        answers = [answers_in(all_from(line)) for line in (body, head, accepted)]
    assert [[answer.status for answer in several] for several in answers] == [[201], [200], [200]]
    assert all(several[0].headers["Connection"] == "close" for several in answers)


def is_refused(service: Service) -> bool:
    try:
        line_to(service).close()
    except ConnectionRefusedError:
        return True
    return False


def test_idle_connections_are_closed_cleanly_and_do_not_delay_the_stop(alone: Service) -> None:
    with ExitStack() as open_ones:
        lines = [open_ones.enter_context(line_to(alone)) for _ in range(64)]
        for line in lines[::2]:
            probe(line)
        seconds = stopped(alone)
        assert {all_from(line) for line in lines} == {b""}
    assert seconds < END_LIMIT


def test_an_interrupted_service_ends_quickly_and_keeps_acknowledged_commands(
    alone: Service, sqlite: Backend
) -> None:
    with moving(alone) as (zergling_id, seen):
        seconds = stopped(alone, signal.SIGINT)
    acknowledged, moves = seen.answered[200], moves_of(sqlite, zergling_id)
    assert seen.answered == {200: acknowledged}
    assert acknowledged <= moves <= acknowledged + seen.failed.total()
    assert seconds < END_LIMIT


def test_a_hanging_worker_is_replaced(sqlite: Backend, tmp_path: Path) -> None:
    short_timeout = {"GUNICORN_CMD_ARGS": "--timeout 3"}
    with Service(sqlite.environment | short_timeout, tmp_path) as service:
        before = service.call("POST", "/zerglings/").json
        (hung,) = workers(service)
        os.kill(hung, signal.SIGSTOP)
        wait_until(lambda: hung not in workers(service), "the hung worker has ended")
        assert json.loads(service.call("GET", "/zerglings/").body)["zerglings"] == [
            before["zergling"]
        ]
        assert "WORKER TIMEOUT" in service.log
