"""Tests that the processes of a service share new connections."""

from __future__ import annotations

import http.client
import os
from collections import Counter
from contextlib import ExitStack, closing
from pathlib import Path

from overmind_project.server.balance import ConnectionCounts
from tests.support.backends import Backend
from tests.support.service import Service, workers
from tests.support.waiting import wait_until

PROCESSES, CONNECTIONS = 4, 80


def sockets_of(pid: int) -> int:
    links = [os.readlink(each) for each in Path(f"/proc/{pid}/fd").iterdir()]
    return sum(link.startswith("socket:") for link in links)


def test_kept_connections_are_shared_evenly(sqlite: Backend, tmp_path: Path) -> None:
    environment = sqlite.environment | {"WEB_CONCURRENCY": str(PROCESSES)}
    with Service(environment, tmp_path) as service, ExitStack() as stack:
        wait_until(lambda: len(workers(service)) == PROCESSES, "all processes run")
        before = {pid: sockets_of(pid) for pid in workers(service)}
        for _ in range(CONNECTIONS):
            connection = http.client.HTTPConnection("127.0.0.1", service.port, timeout=10)
            stack.enter_context(closing(connection)).request("GET", "/healthz")
            assert connection.getresponse().read()
        share = Counter({pid: sockets_of(pid) - before[pid] for pid in before})
        assert sum(share.values()) >= CONNECTIONS
        assert min(share.values()) > CONNECTIONS / PROCESSES / 2, share


def test_a_place_is_free_again_when_its_process_has_ended() -> None:
    counts = ConnectionCounts(2)
    assert [counts.free_place(taken) for taken in ([], [0], [0, 2], [0, 1, 2, 3])] == [0, 1, 1, 3]


def test_a_process_leaves_connections_to_one_that_has_fewer() -> None:
    counts = ConnectionCounts(2)
    counts.note(0, 10)
    assert not counts.has_more_than_others(0)
    counts.note(1, 3)
    assert counts.has_more_than_others(0)
    assert not counts.has_more_than_others(1)
    counts.leave(1)
    assert not counts.has_more_than_others(0)
