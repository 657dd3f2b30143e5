"""Tests that slow and idle connections time out while other clients are served."""

from __future__ import annotations

import socket
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from bench.attackers import HABITS, LARGEST, attacking
from overmind_project.server.worker import HEARTBEAT_SECONDS
from tests.proof.connections.impatient import BODY, HEAD, KEEPALIVE, SEND
from tests.support.backends import sqlite_backend
from tests.support.manage import python
from tests.support.prometheus import Metrics
from tests.support.raw import Answer, all_from, answers_in, line_to, probe
from tests.support.service import Service
from tests.support.waiting import wait_until

pytestmark = pytest.mark.alone

ATTACKERS = 500
PLACES = 200
CALLS = 20
CALL_LIMIT = 2.0
ANSWERING_LIMIT = 6.0
"""Seconds for a request beside attackers whose requests are answered too."""

LATE = 5.0
"""Extra seconds for a busy machine."""

HOST = b"Host: x\r\n"
DROPPED = "overmind_connections_dropped_total"


class ImpatientService(Service):
    """A service with short time-outs for slow clients."""

    command = (sys.executable, "-m", "tests.proof.connections.impatient")


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service with fewer connection slots than attackers."""
    directory = tmp_path_factory.mktemp("small")
    environment = sqlite_backend(directory).environment | {"OVERMIND_THREADS": str(PLACES)}
    with Service(environment, directory) as service:
        yield service


@pytest.fixture(scope="module")
def impatient(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    directory = tmp_path_factory.mktemp("impatient")
    with ImpatientService(sqlite_backend(directory).environment, directory) as service:
        yield service


def assert_served(service: Service, limit: float = CALL_LIMIT) -> None:
    for number in range(CALLS):
        method, path, good = (("GET", "/healthz", 200), ("POST", "/zerglings/", 201))[number % 2]
        began = time.monotonic()
        assert service.call(method, path).status == good
        assert time.monotonic() - began < limit


@pytest.mark.parametrize("habit", [*HABITS, "all"])
def test_requests_are_served_beside_more_attackers_than_connection_slots(
    small: Service, habit: str
) -> None:
    with attacking(small.port, habit, ATTACKERS) as attack:
        wait_until_crowded(small)
        assert_served(small, ANSWERING_LIMIT if habit in ("unread", "all") else CALL_LIMIT)
        assert attack.counts().open == ATTACKERS


def wait_until_crowded(service: Service) -> None:
    before = dropped(service, "crowded")
    wait_until(lambda: dropped(service, "crowded") > before, "a connection had to make room")


def dropped(service: Service, reason: str) -> float:
    return Metrics.of(service).total(DROPPED, reason=reason)


def test_requests_are_served_beside_500_attackers_of_every_kind(service: Service) -> None:
    with attacking(service.port, "all", ATTACKERS) as attack:
        assert_served(service, ANSWERING_LIMIT)
        assert attack.counts().open == ATTACKERS


class NarrowService(Service):
    """A service whose limit of open files is below its number of connection slots."""

    command = ("sh", "-c", f'ulimit -n {PLACES}; exec "{sys.executable}" manage.py serve')


def test_connections_leave_file_descriptors_for_everything_else(tmp_path: Path) -> None:
    with NarrowService(sqlite_backend(tmp_path).environment, tmp_path) as service:
        with attacking(service.port, "idle", PLACES) as attack:
            assert_served(service)
            assert attack.counts().open == PLACES
        assert "the limit of open files is too low" in service.log
        assert "Too many open files" not in service.log


def test_an_idle_connection_is_kept_for_the_configured_time(tmp_path: Path) -> None:
    environment = sqlite_backend(tmp_path).environment | {"OVERMIND_KEEP_ALIVE": "3"}
    with Service(environment, tmp_path) as service, line_to(service) as line:
        for _ in range(2):  # each request restarts the time
            probe(line)
        began = time.monotonic()
        assert line.recv(1) == b""
        assert 3 - HEARTBEAT_SECONDS <= time.monotonic() - began <= 3 + HEARTBEAT_SECONDS + LATE


def test_the_oldest_idle_connections_are_dropped_first(tmp_path: Path) -> None:
    environment = sqlite_backend(tmp_path).environment | {"OVERMIND_THREADS": "8"}
    with Service(environment, tmp_path) as service, ExitStack() as open_ones:
        sending = open_ones.enter_context(line_to(service))
        sending.sendall(b"GET /healthz HTTP/1.1\r\n")
        idle = []
        for _ in range(6):
            idle.append(open_ones.enter_context(line_to(service)))
            probe(idle[-1])
        for _ in range(3):
            with line_to(service) as newcomer:
                probe(newcomer)
        assert idle[0].recv(1) == b""
        probe(idle[-1])
        sending.sendall(HOST + b"Connection: close\r\n\r\n")
        assert answers_in(all_from(sending))[0].status == 200


def test_tls_options_are_refused_at_the_start(tmp_path: Path) -> None:
    (tmp_path / "file.pem").touch()
    wanted = f"--certfile {tmp_path}/file.pem --keyfile {tmp_path}/file.pem"
    with socket.create_server(("127.0.0.1", 0)) as probed:
        address = f"127.0.0.1:{probed.getsockname()[1]}"
    settings = {"OVERMIND_STORE": "sqlite", "OVERMIND_HTTP_ADDR": address}
    done = python("manage.py", "serve", **settings, GUNICORN_CMD_ARGS=wanted)
    assert done.returncode == 1
    assert "overmind: TLS is not supported" in done.stderr


def timed_end(line: socket.socket) -> tuple[bytes, float]:
    began = time.monotonic()
    with line:
        return all_from(line), time.monotonic() - began


def assert_told(answer: Answer, sentence: str) -> None:
    assert answer.status == 408
    assert answer.headers["Connection"] == "close"
    assert answer.json == {"error": sentence}


@pytest.mark.parametrize("begun", [b"G", b"GET /healthz HTTP/1.1\r\n", b"\r\n"])
def test_an_incomplete_head_is_a_408_at_its_deadline(impatient: Service, begun: bytes) -> None:
    line = line_to(impatient)
    line.sendall(begun)
    data, seconds = timed_end(line)
    assert_told(answers_in(data)[0], "The head of the request came too slowly.")
    assert HEAD - 0.5 < seconds < HEAD + LATE


def test_a_head_sent_byte_by_byte_has_the_same_deadline(impatient: Service) -> None:
    began = time.monotonic()
    with line_to(impatient) as line:
        line.settimeout(0.1)
        data = b""
        while not data:
            line.sendall(b"G")
            try:
                data = line.recv(4096)
            except TimeoutError:
                assert time.monotonic() - began < HEAD + LATE
    assert data.startswith(b"HTTP/1.1 408 ")


def test_a_later_head_on_a_kept_connection_has_a_deadline_too(impatient: Service) -> None:
    with line_to(impatient) as line:
        probe(line)
        line.sendall(b"GET /heal")
        assert_told(answers_in(all_from(line))[0], "The head of the request came too slowly.")


def test_a_head_sent_with_the_previous_request_has_a_deadline_too(impatient: Service) -> None:
    with line_to(impatient) as line:
        line.sendall(b"GET /healthz HTTP/1.1\r\n" + HOST + b"\r\nGET /heal")
        first, second = answers_in(all_from(line))
    assert first.status == 200
    assert_told(second, "The head of the request came too slowly.")


def test_a_silent_connection_is_closed_without_a_response(impatient: Service) -> None:
    data, seconds = timed_end(line_to(impatient))
    assert data == b""
    assert seconds < HEAD + LATE


def test_a_kept_connection_is_closed_after_the_keep_alive_time(impatient: Service) -> None:
    line = line_to(impatient)
    probe(line)
    data, seconds = timed_end(line)
    assert data == b""
    assert KEEPALIVE - 1 < seconds < KEEPALIVE + LATE


@pytest.mark.parametrize("habit", ["bodies", "chunks"])
def test_a_slow_body_is_a_408_and_changes_nothing(impatient: Service, habit: str) -> None:
    before = impatient.call("GET", "/zerglings/").body
    line = line_to(impatient)
    line.sendall(HABITS[habit].first + HABITS[habit].dribble)
    data, seconds = timed_end(line)
    assert_told(answers_in(data)[0], "The body came too slowly.")
    assert BODY - 0.5 < seconds < BODY + LATE
    assert impatient.call("GET", "/zerglings/").body == before


def test_a_body_above_the_lowest_rate_may_take_longer(impatient: Service) -> None:
    """16 KiB at twice the lowest rate take longer than the limit of a stalled body."""
    size, parts = 16384, 8
    with line_to(impatient) as line:
        head = f"POST /zerglings/ HTTP/1.1\r\nHost: x\r\nContent-Length: {size}\r\n"
        line.sendall(head.encode() + b"Connection: close\r\n\r\n")
        began = time.monotonic()
        for _ in range(parts):
            line.sendall(b" " * (size // parts))
            time.sleep(2 * BODY / parts)  # the pace is the point
        assert time.monotonic() - began > BODY
        assert answers_in(all_from(line))[0].status == 201


def test_a_client_that_does_not_read_the_response_is_disconnected(impatient: Service) -> None:
    before = dropped(impatient, "stalled")
    with socket.socket() as line:
        line.settimeout(10)
        line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        line.connect(("127.0.0.1", impatient.port))
        line.sendall(f"GET {LARGEST} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        wait_until(
            lambda: dropped(impatient, "stalled") > before, "the connection is dropped", SEND + LATE
        )
        with pytest.raises(ConnectionResetError):
            all_from(line)


def test_a_client_that_reads_slowly_gets_the_whole_response(impatient: Service) -> None:
    """Reading takes much longer than the limit for a client that reads nothing."""
    whole = len(impatient.call("GET", LARGEST).body)
    with socket.socket() as line:
        line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        line.connect(("127.0.0.1", impatient.port))
        line.sendall(f"GET {LARGEST} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
        began, data = time.monotonic(), b""
        while part := line.recv(65536):
            data += part
            time.sleep((SEND + 2) * len(part) / whole)  # the pace is the point
        assert time.monotonic() - began > SEND + 1
    assert len(answers_in(data)[0].body) == whole


def test_connections_are_counted_by_state(impatient: Service) -> None:
    name = "overmind_connections_open"
    lines = [line_to(impatient) for _ in range(5)]
    for line in lines[:3]:
        probe(line)
    deadline = time.monotonic() + KEEPALIVE
    counted: dict[str, float] = {}
    while counted != {"idle": 3, "reading": 2}:
        assert time.monotonic() < deadline, counted
        for line in lines[3:]:
            line.close()
        lines[3:] = [line_to(impatient), line_to(impatient)]
        time.sleep(HEAD / 2)  # they are counted once a second, and may not be silent for as long
        metrics = Metrics.of(impatient)
        counted = {state: metrics.total(name, state=state) for state in ("idle", "reading")}
    for line in lines:
        line.close()
