"""Tests for rate limits in a running service; each test has addresses of its own."""

from __future__ import annotations

import http.client
import re
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest

from overmind_project.middleware.rate_limit import METRICS_PATHS, PROBE_PATHS, SENTENCE
from tests.support.backends import sqlite_backend
from tests.support.prometheus import Metrics
from tests.support.service import Reply, Service
from tests.support.waiting import wait_until

PROXY = "127.0.0.2"


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    directory = tmp_path_factory.mktemp("service")
    settings = {
        "OVERMIND_RATE_LIMIT": "1/h:30",
        "OVERMIND_TRUSTED_PROXIES": PROXY,
    }
    with Service(sqlite_backend(directory).environment | settings, directory) as service:
        yield service


def connect(service: Service, source: str) -> http.client.HTTPConnection:
    """Return a connection from one of this machine's addresses."""
    return http.client.HTTPConnection("127.0.0.1", service.port, 30, (source, 0))


def call(
    service: Service,
    source: str,
    method: str = "GET",
    path: str = "/zerglings/",
    body: str | None = None,
    headers: dict[str, str] | None = None,
) -> Reply:
    """Send a request over a new connection."""
    with closing(connect(service, source)) as talk:
        return service.call(method, path, body, headers, connection=talk)


def calls(service: Service, source: str, count: int) -> Counter[int]:
    """Send concurrent requests and count the statuses."""
    with ThreadPoolExecutor(16) as pool:
        replies = pool.map(lambda _: call(service, source), range(count))
        return Counter(reply.status for reply in replies)


def test_concurrent_requests_get_exactly_the_limit(service: Service) -> None:
    assert calls(service, "127.1.0.1", 150) == {200: 30, 429: 120}
    assert calls(service, "127.1.0.2", 20) == {200: 20}, "another address has its own limit"


def test_each_process_limits_by_itself(tmp_path: Path) -> None:
    settings = {"OVERMIND_RATE_LIMIT": "1/h:30", "WEB_CONCURRENCY": "2"}
    with Service(sqlite_backend(tmp_path).environment | settings, tmp_path) as service:
        accepted = 0

        def are_used_up() -> bool:
            nonlocal accepted
            with closing(service.connect()) as talk:  # the kernel chooses its process
                replies = [service.call("GET", "/zerglings/", connection=talk) for _ in range(31)]
            found = Counter(reply.status for reply in replies)
            assert found in ({200: 30, 429: 1}, {429: 31})
            accepted += found[200]
            return accepted >= 60

        wait_until(are_used_up, "the limits of both processes are used up")
        assert calls(service, "127.0.0.1", 40) == {429: 40}


def test_a_limited_request_changes_nothing_and_gets_retry_after(service: Service) -> None:
    before = call(service, "127.2.0.2").json
    assert call(service, "127.2.0.1", "GET", "/nowhere").status == 404, "a 404 counts"
    assert calls(service, "127.2.0.1", 29) == {200: 29}
    counted = Metrics.of(service).total("overmind_http_requests_total", status="429")
    refused = call(service, "127.2.0.1", "POST")
    assert refused.status == 429
    assert 3500 <= int(refused.headers["Retry-After"]) <= 3600
    assert refused.headers["Content-Type"] == "application/json"
    assert refused.json == {"error": SENTENCE}
    assert re.fullmatch("[0-9a-f]{32}", refused.headers["X-Request-ID"])
    head = call(service, "127.2.0.1", "HEAD")
    assert (head.status, head.body) == (429, b"")
    assert call(service, "127.2.0.2").json == before
    found = Metrics.of(service)
    assert found.total("overmind_http_requests_total", status="429") == counted + 2


def test_a_connection_stays_open_after_a_429(service: Service) -> None:
    calls(service, "127.3.0.1", 30)
    with closing(connect(service, "127.3.0.1")) as talk:
        for body in ("M" * 60_000, None, "x"):
            assert service.call("POST", "/zerglings/", body, connection=talk).status == 429
        assert service.call("GET", "/healthz", connection=talk).status == 200


def test_probes_files_and_metrics_are_served_to_a_limited_address(
    service: Service,
) -> None:
    assert calls(service, "127.4.0.1", 31) == {200: 30, 429: 1}
    for path in (*PROBE_PATHS, *METRICS_PATHS, "/static/overmind/main.js"):
        for _ in range(3):
            assert call(service, "127.4.0.1", "GET", path).status == 200, path


def test_clients_behind_a_trusted_proxy_are_limited_separately(service: Service) -> None:
    def by(source: str, *clients: str) -> Counter[int]:
        headers = [{"X-Forwarded-For": client} for client in clients]
        return Counter(call(service, source, headers=each).status for each in headers)

    assert by(PROXY, *["192.0.2.1"] * 31) == {200: 30, 429: 1}
    assert by(PROXY, "192.0.2.9, 192.0.2.1") == {429: 1}, "addresses added by a client are ignored"
    assert by(PROXY, "192.0.2.2") == {200: 1}
    assert by("127.5.0.1", *[f"192.0.3.{n}" for n in range(31)]) == {200: 30, 429: 1}
    counted = {"192.0.2.1", "192.0.2.2", "127.5.0.1"}
    wait_until(lambda: counted <= logged_clients(service), "their calls are logged")
    assert logged_clients(service).isdisjoint({PROXY, "192.0.2.9", "192.0.3.1"})


def logged_clients(service: Service) -> set[str]:
    return set(re.findall(r" client=(\S+)", service.log))


def test_a_continuous_caller_gets_exactly_its_rate(tmp_path: Path) -> None:
    settings = {"OVERMIND_RATE_LIMIT": "40/s:10"}
    with Service(sqlite_backend(tmp_path).environment | settings, tmp_path) as service:
        began = time.monotonic()

        def hammer(_: object) -> Counter[int]:
            seen: Counter[int] = Counter()
            with closing(service.connect()) as talk:
                while time.monotonic() < began + 1.5:
                    seen[service.call("GET", "/zerglings/", connection=talk).status] += 1
            return seen

        with ThreadPoolExecutor(9) as pool:
            seen = sum(pool.map(hammer, range(9)), Counter[int]())
        seconds = time.monotonic() - began
    assert set(seen) == {200, 429}
    assert 10 < seen[200] <= 10 + 40 * seconds
