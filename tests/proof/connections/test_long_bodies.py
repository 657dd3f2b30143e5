"""Tests for long and slow request bodies: the memory budget, and eviction of slow uploads."""

from __future__ import annotations

import select
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import pytest

from bench.attackers import attacking
from overmind_project.middleware.body import BUDGET, LIMIT, SWARM_LIMIT, TOO_MANY
from overmind_project.server.errors import crowded_out
from tests.support.backends import sqlite_backend
from tests.support.prometheus import Metrics
from tests.support.raw import READ_LIMIT, all_from, answers_in, line_to, read_until
from tests.support.service import Service
from tests.support.waiting import wait_until

ATTACKERS = 100
ROOM = 3 * BUDGET
"""Bytes by which memory may grow: twice the budget, as buffers grow by doubling."""

BACK_LIMIT = 20.0
PLACES = 8
TURN_LIMIT = 1.0
"""Seconds for a request beside a body that takes several to read, on a busy machine."""

HOST = b"Host: x\r\n"
SPAWN = b'{"count":1}'


def head(path: str, length: int) -> bytes:
    lines = f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
    return f"{lines}Content-Length: {length}\r\n\r\n".encode()


def resident(service: Service) -> int:
    """Return the resident memory of the service's only worker in bytes."""
    return int(Metrics.of(service).total("overmind_resident_memory_bytes"))


def spawned_with_long_body(service: Service) -> int:
    body = SPAWN.ljust(SWARM_LIMIT)
    kind = {"Content-Type": "application/json"}
    return service.call("POST", "/swarm/spawn", body, kind).status


@pytest.mark.parametrize("framing", ["length", "chunks"])
def test_long_bodies_share_a_budget_and_other_requests_are_served(
    shared: Service, framing: str
) -> None:
    """Each attacker sends the longest body except for its last byte, and then stops."""
    begin = head("/swarm/commands", SWARM_LIMIT)
    if framing == "chunks":
        begin = begin.replace(
            f"Content-Length: {SWARM_LIMIT}".encode(), b"Transfer-Encoding: chunked"
        )
        begin += f"{SWARM_LIMIT:x}\r\n".encode()
    assert spawned_with_long_body(shared) == 200
    before = resident(shared)
    with ExitStack() as lines:
        waiting = set()
        for _ in range(ATTACKERS):
            line = lines.enter_context(line_to(shared))
            line.sendall(begin + bytes(SWARM_LIMIT - 1))
            waiting.add(line)
        while len(waiting) > BUDGET // SWARM_LIMIT:
            ready, _, _ = select.select(waiting, [], [], READ_LIMIT)
            assert ready, "more than the budget was used"
            for line in ready:
                waiting.remove(line)
                with line:
                    (answer,) = answers_in(all_from(line))
                assert answer.status == 503
                assert answer.headers["Retry-After"] == "1"
                assert answer.headers["Connection"] == "close"
                assert answer.json == {"error": TOO_MANY}
        assert len(waiting) == BUDGET // SWARM_LIMIT
        assert resident(shared) - before < ROOM
        assert spawned_with_long_body(shared) == 503
        assert (
            shared.call("POST", "/swarm/spawn", SPAWN, {"Content-Type": "application/json"}).status
            == 200
        )
        assert shared.call("POST", "/zerglings/").status == 201
    wait_until(lambda: spawned_with_long_body(shared) != 503, "the budget is back", BACK_LIMIT)
    assert spawned_with_long_body(shared) == 200


@pytest.mark.parametrize(
    "framing", [f"Content-Length: {SWARM_LIMIT}", "Transfer-Encoding: chunked"]
)
def test_announced_long_bodies_do_not_use_the_budget_before_they_arrive(
    shared: Service, framing: str
) -> None:
    begin = f"POST /swarm/commands HTTP/1.1\r\nHost: x\r\n{framing}\r\n\r\n".encode()
    with ExitStack() as lines:
        for _ in range(ATTACKERS):
            lines.enter_context(line_to(shared)).sendall(begin + b"1\r\n")
        assert spawned_with_long_body(shared) == 200


@pytest.mark.alone
def test_a_body_in_tiny_chunks_is_rejected_without_delaying_others(shared: Service) -> None:
    begin = b"POST /swarm/commands HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    with line_to(shared) as line, ThreadPoolExecutor(1) as pool:
        upload = pool.submit(_uploaded, line, begin + b"1\r\nx\r\n" * SWARM_LIMIT)
        longest = 0.0
        while not upload.done():
            began = time.monotonic()
            assert shared.call("GET", "/healthz").status == 200
            longest = max(longest, time.monotonic() - began)
        (answer,) = answers_in(upload.result())
    assert answer.status == 413
    assert answer.json == {"error": "The chunks of the body are too small."}
    assert longest < TURN_LIMIT


def _uploaded(line: socket.socket, data: bytes) -> bytes:
    line.sendall(data)
    return all_from(line)


def test_the_budget_is_released_after_every_kind_of_response(shared: Service) -> None:
    whole = BUDGET // SWARM_LIMIT
    for body in (b"{}".ljust(SWARM_LIMIT), b"no JSON".ljust(SWARM_LIMIT), SPAWN.ljust(SWARM_LIMIT)):
        kind = {"Content-Type": "application/json"}
        statuses = {
            shared.call("POST", "/swarm/spawn", body, kind).status for _ in range(whole + 1)
        }
        assert 503 not in statuses


@pytest.mark.parametrize(
    "path", ["/swarm/spawn", "/swarm/spawn/", "/swarm/commands", "/swarm/commands/"]
)
def test_bulk_calls_may_have_long_bodies(shared: Service, path: str) -> None:
    kind = {"Content-Type": "application/json"}
    assert shared.call("POST", path, b"{}".ljust(LIMIT + 1), kind).status == 400
    assert shared.call("POST", path, b"{}".ljust(SWARM_LIMIT + 1), kind).status == 413


@pytest.mark.parametrize("path", ["/swarm/", "/swarm/nowhere", "/swarm/spawn/1", "/zerglings/"])
def test_other_requests_may_not_have_long_bodies(shared: Service, path: str) -> None:
    reply = shared.call("POST", path, b" " * (LIMIT + 1))
    assert reply.status == 413
    assert reply.json == {"error": f"The body is longer than {LIMIT} bytes."}


@pytest.mark.parametrize("begun", [b"GET /healthz HTTP/1.1\r\n", head("/zerglings/", 60000) + b" "])
def test_an_unfinished_request_that_is_displaced_gets_a_503(tmp_path: Path, begun: bytes) -> None:
    environment = sqlite_backend(tmp_path).environment | {"OVERMIND_THREADS": str(PLACES)}
    with Service(environment, tmp_path) as service, ExitStack() as open_ones:
        lines = []
        for _ in range(PLACES + 1):
            lines.append(open_ones.enter_context(line_to(service)))
            lines[-1].sendall(begun)
        (answer,) = answers_in(all_from(lines[0]))
        assert answer.status == 503
        assert answer.headers["Retry-After"] == "1"
        assert answer.headers["Connection"] == "close"
        assert answer.json == {"error": crowded_out().sentence}


@pytest.mark.parametrize("habit", ["heads", "bodies", "chunks", "silent"])
def test_an_upload_that_makes_progress_is_not_displaced_by_later_attackers(
    tmp_path: Path, habit: str
) -> None:
    """The attackers reconnect immediately, so that each is displaced many times."""
    environment = sqlite_backend(tmp_path).environment | {"OVERMIND_THREADS": "40"}
    dropped = "overmind_connections_dropped_total"
    size, parts = 60000, 12
    with Service(environment, tmp_path) as service, line_to(service) as line:
        line.sendall(head("/zerglings/", size) + b"{}".ljust(size // parts))
        with attacking(service.port, habit, 120):
            for _ in range(parts - 1):
                time.sleep(0.2)  # the pace is the point
                line.sendall(b" " * (size // parts))
            (answer,) = answers_in(read_until(line, b"}}"))
            assert answer.status == 201
            assert Metrics.of(service).total(dropped, reason="crowded") > 120
