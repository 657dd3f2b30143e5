"""Tests tokens, rate limit, CORS and a proxy together."""

from __future__ import annotations

import http.client
import os
import signal
import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from functools import partial
from pathlib import Path

import pytest

from overmind_project.middleware.cors import EXPOSED_HEADERS
from tests.support.backends import sqlite_backend
from tests.support.listening import Ear
from tests.support.service import Reply, Service, workers
from tests.support.tokens import LINES, READER, STRANGER, WRITER, bearer
from tests.support.waiting import wait_until

BURST, PROCESSES = 20, 2
PROXY = "127.0.0.2"
OURS, ANOTHER = "https://example.org", "https://example.com"
ALL = {
    "OVERMIND_TOKENS": LINES,
    "OVERMIND_CORS_ORIGINS": OURS,
    "OVERMIND_TRUSTED_PROXIES": PROXY,
    "OVERMIND_STREAMS": "2",
}
PREFLIGHT = {
    "Access-Control-Request-Method": "POST",
    "Access-Control-Request-Headers": "authorization",
}
CLIENTS = 4
SOON = 20.0
"""Seconds within which processes are replaced, on a busy machine."""


@pytest.fixture
def limit() -> str:
    return f"1/h:{BURST}"


@pytest.fixture
def processes() -> int:
    """One process, because each counts by itself."""
    return 1


@pytest.fixture
def service(tmp_path: Path, limit: str, processes: int) -> Iterator[Service]:
    given = ALL | {"OVERMIND_RATE_LIMIT": limit, "WEB_CONCURRENCY": str(processes)}
    with Service(sqlite_backend(tmp_path).environment | given, tmp_path) as service:
        yield service


def through_proxy(
    service: Service,
    client: str,
    shown: dict[str, str],
    method: str = "GET",
    origin: str = OURS,
) -> Reply:
    """Send a cross-origin request from a client behind the proxy."""
    headers = {"X-Forwarded-For": f"203.0.113.9, {client}", "Origin": origin} | shown
    talk = http.client.HTTPConnection("127.0.0.1", service.port, 30, (PROXY, 0))
    with closing(talk):
        return service.call(method, "/zerglings/", None, headers, connection=talk)


def statuses(service: Service, clients: list[str], shown: dict[str, str]) -> Counter[int]:
    """Make a request for each of the clients and count what was answered.

    One after the other: of refused guesses that come at once a few more are heard.
    """
    replies = [through_proxy(service, client, shown) for client in clients]
    return Counter(reply.status for reply in replies)


def is_readable(reply: Reply) -> bool:
    """Whether the configured origin may read a response."""
    allowed = reply.headers["Access-Control-Allow-Origin"]
    return (allowed, reply.headers["Access-Control-Expose-Headers"]) == (OURS, EXPOSED_HEADERS)


def test_every_error_response_is_readable_across_origins(service: Service) -> None:
    anonymous = through_proxy(service, "192.0.2.1", {})
    assert (anonymous.status, is_readable(anonymous)) == (401, True)
    assert {word.strip() for word in anonymous.headers["Vary"].split(",")} >= {
        "Accept",
        "Authorization",
        "Cookie",
        "Origin",
    }
    only_reads = through_proxy(service, "192.0.2.1", bearer(READER), "POST")
    assert (only_reads.status, is_readable(only_reads)) == (403, True)
    assert statuses(service, ["192.0.2.1"] * BURST, {}) == {401: BURST - 1, 429: 1}
    refused = through_proxy(service, "192.0.2.1", {})
    assert (refused.status, is_readable(refused)) == (429, True)
    assert int(refused.headers["Retry-After"]) > 0
    foreign = through_proxy(service, "192.0.2.1", {}, origin=ANOTHER)
    assert foreign.headers["Access-Control-Allow-Origin"] is None


def test_a_protected_service_logs_so_at_the_start(service: Service) -> None:
    assert "Access: the service requires a token" in service.log


def test_a_preflight_needs_no_token_and_is_not_counted(service: Service) -> None:
    for _ in range(2 * BURST):
        reply = through_proxy(service, "192.0.2.1", PREFLIGHT, "OPTIONS")
        assert (reply.status, reply.body) == (204, b"")
    assert "Authorization" in reply.headers["Access-Control-Allow-Headers"]
    foreign = through_proxy(service, "192.0.2.1", PREFLIGHT, "OPTIONS", ANOTHER)
    assert foreign.status == 401
    assert statuses(service, ["192.0.2.1"] * BURST, {}) == {401: BURST - 1, 429: 1}


def test_callers_are_limited_by_name_and_others_by_forwarded_address(
    service: Service,
) -> None:
    many = [f"192.0.2.{n}" for n in range(1, 2 * BURST + 1)]
    assert statuses(service, many, bearer(READER)) == {200: BURST, 429: BURST}
    assert statuses(service, many[:BURST], bearer(WRITER)) == {200: BURST}
    assert statuses(service, many, {}) == {401: 2 * BURST}, "each from its own address"
    tried = statuses(service, [many[0]] * (BURST + 10), bearer(STRANGER))
    assert tried == {401: BURST - 1, 429: 11}, (
        "the anonymous request before counts for this address"
    )
    assert statuses(service, ["198.51.100.1"], bearer(STRANGER)) == {401: 1}


@pytest.mark.parametrize("processes", [PROCESSES])
def test_one_caller_cannot_take_all_streams(service: Service) -> None:
    with ExitStack() as open_ones:
        ears = [
            open_ones.enter_context(Ear(service, headers=bearer(READER)))
            for _ in range(PROCESSES + 1)
        ]
        found = Counter(ear.reply.status for ear in ears)
        assert set(found) == {200, 429}, "one stream for a name in each process"
        (refused, *_) = (ear.reply for ear in ears if ear.reply.status == 429)
        assert int(refused.headers["Retry-After"]) > 0
        other = open_ones.enter_context(Ear(service, headers=bearer(WRITER)))
        assert other.reply.status == 200


@pytest.mark.parametrize(("limit", "processes"), [("999999/s", PROCESSES)])
def test_replacing_all_processes_fails_no_request(
    service: Service,
) -> None:
    old = set(workers(service))
    is_over = threading.Event()

    def call_on(_: int) -> Counter[int]:
        seen: Counter[int] = Counter()
        with closing(service.connect()) as talk:
            while not is_over.is_set():
                headers = bearer(READER) | {"Origin": OURS}
                reply = service.call("GET", "/zerglings/", None, headers, connection=talk)
                assert is_readable(reply)
                seen[reply.status] += 1
        return seen

    with ThreadPoolExecutor(CLIENTS) as pool:
        calls = pool.map(call_on, range(CLIENTS))
        os.kill(service.pid, signal.SIGHUP)
        try:
            wait_until(partial(are_exchanged, service, old), "all workers are exchanged", SOON)
        finally:
            is_over.set()
        assert set(sum(calls, Counter[int]())) == {200}


def are_exchanged(service: Service, old: set[int]) -> bool:
    now = set(workers(service))
    return now.isdisjoint(old) and len(now) >= len(old)
