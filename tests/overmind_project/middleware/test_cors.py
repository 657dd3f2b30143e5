"""Tests for CORS: off by default; once configured, on every response."""

from __future__ import annotations

import http.client
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress

import pytest

from overmind_project.http.origins import origins
from overmind_project.middleware.cors import ALLOWED_METHODS, EXPOSED_HEADERS, REQUEST_HEADERS
from tests.support.backends import sqlite_backend
from tests.support.prometheus import Metrics
from tests.support.raw import line_to
from tests.support.service import Reply, Service

OURS, ANOTHER = "https://example.org", "https://example.com"
PREFLIGHT = {
    "Access-Control-Request-Method": "POST",
    "Access-Control-Request-Headers": "authorization,content-type",
}
TURN_LIMIT = 2.0
"""Seconds for a request beside a pipelining client, on a busy machine."""


def started(
    tmp_path_factory: pytest.TempPathFactory, settings: dict[str, str]
) -> Iterator[Service]:
    directory = tmp_path_factory.mktemp("service")
    with Service(sqlite_backend(directory).environment | settings, directory) as service:
        yield service


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    settings = {
        "OVERMIND_CORS_ORIGINS": f"http://localhost:3000, {OURS}",
        "OVERMIND_RATE_LIMIT": "1/h:12",
        "OVERMIND_TRUSTED_PROXIES": "127.0.0.1",
    }
    yield from started(tmp_path_factory, settings)


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    yield from started(tmp_path_factory, {})


@pytest.fixture(scope="module")
def public(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    yield from started(tmp_path_factory, {"OVERMIND_CORS_ORIGINS": "*"})


def cors_headers(reply: Reply) -> dict[str, str]:
    """Return the CORS headers of a response, without their prefix."""
    prefix = "access-control-"
    return {
        name.lower().removeprefix(prefix): value
        for name, value in reply.headers.items()
        if name.lower().startswith(prefix)
    }


def varies(reply: Reply) -> set[str]:
    (value,) = reply.headers.get_all("Vary") or [""]
    return {word.strip().lower() for word in value.split(",") if word.strip()}


READABLE = {"allow-origin": OURS, "expose-headers": EXPOSED_HEADERS}


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("GET", "/zerglings/", None, 200),
        ("HEAD", "/zerglings/", None, 200),
        ("POST", "/zerglings/", None, 201),
        ("POST", "/zerglings/", "x" * 70_000, 413),
        ("GET", "/zerglings/nobody", None, 404),
        ("GET", "/nowhere", None, 404),
        ("PUT", "/zerglings/", None, 405),
        ("GET", "/healthz", None, 200),
        ("GET", "/static/overmind/main.js", None, 200),
    ],
)
def test_a_configured_origin_may_read_every_response(
    service: Service, method: str, path: str, body: str | None, status: int
) -> None:
    reply = service.call(method, path, body, {"Origin": OURS, "X-Forwarded-For": "192.0.2.1"})
    assert (reply.status, cors_headers(reply)) == (status, READABLE)
    assert "origin" in varies(reply)


def test_a_configured_origin_may_read_a_429(service: Service) -> None:
    headers = {"Origin": OURS, "X-Forwarded-For": "192.0.2.2"}
    *_, last = [service.call("GET", "/zerglings/", None, headers) for _ in range(13)]
    assert (last.status, cors_headers(last)) == (429, READABLE)
    assert last.headers["Retry-After"]


def test_a_configured_origin_may_read_an_event_stream(service: Service) -> None:
    with closing(service.connect()) as talk:
        talk.request("GET", "/events", headers={"Origin": OURS})
        response = talk.getresponse()
        assert response.headers["Access-Control-Allow-Origin"] == OURS
        assert response.readline() == b"event: ready\n"


@pytest.mark.parametrize("origin", [None, ANOTHER, "null", f"{OURS}.evil.example", OURS.upper()])
def test_another_origin_may_read_no_response(service: Service, origin: str | None) -> None:
    headers = {"X-Forwarded-For": "192.0.2.3"} | ({"Origin": origin} if origin else {})
    reply = service.call("GET", "/zerglings/", None, headers)
    assert (reply.status, cors_headers(reply)) == (200, {})
    assert varies(reply) >= {"accept", "origin"}, (
        "a cache must not return it to the configured origin"
    )
    if origin is not None:
        preflight = service.call("OPTIONS", "/zerglings/", None, headers | PREFLIGHT)
        assert cors_headers(preflight) == {}


def test_a_preflight_lists_what_is_allowed_and_is_not_limited(service: Service) -> None:
    for _ in range(20):  # more than the limit
        reply = service.call("OPTIONS", "/zerglings/", None, {"Origin": OURS} | PREFLIGHT)
        assert (reply.status, reply.body) == (204, b"")
    assert cors_headers(reply) == {
        "allow-origin": OURS,
        "allow-methods": ALLOWED_METHODS,
        "allow-headers": REQUEST_HEADERS,
        "max-age": "7200",
    }
    assert varies(reply) == {"origin"}
    seen = Metrics.of(service)
    total = seen.total("overmind_http_requests_total", route="preflight", status="204")
    assert total >= 19  # the last one may be counted a moment later


@pytest.mark.parametrize("length", ["Content-Length: 36", "Transfer-Encoding: chunked"])
def test_the_body_of_a_preflight_is_not_taken_for_a_request(service: Service, length: str) -> None:
    hidden = "GET /healthz HTTP/1.1\r\nHost: evil\r\n\r\n"
    head = (
        f"OPTIONS /zerglings/ HTTP/1.1\r\nHost: a\r\nOrigin: {OURS}\r\n"
        f"Access-Control-Request-Method: POST\r\n{length}\r\n\r\n"
    )
    with socket.create_connection(("127.0.0.1", service.port), 30) as talk:
        talk.sendall((head + hidden).encode())
        answer = b""
        while piece := talk.recv(65536):
            answer += piece
    assert answer.startswith(b"HTTP/1.1 204")
    assert answer.count(b"HTTP/1.1") == 1
    assert b"Connection: close" in answer


@pytest.mark.parametrize(
    "head",
    [
        "OPTIONS / HTTP/1.1\r\nOrigin: null\r\nAccess-Control-Request-Method: POST\r\n",
        "GET /nowhere HTTP/1.1\r\n",
    ],
)
def test_a_pipelining_client_does_not_starve_others(public: Service, head: str) -> None:
    requests = f"{head}Host: a\r\n\r\n".encode() * 200
    with line_to(public) as line, ThreadPoolExecutor(2) as pool:
        pool.submit(_send_on, line, requests)
        line.recv(1)
        answers = pool.submit(_read_on, line)
        try:
            for _ in range(20):
                talk = http.client.HTTPConnection("127.0.0.1", public.port, TURN_LIMIT)
                with closing(talk):
                    assert public.call("GET", "/healthz", connection=talk).status == 200
        finally:
            line.shutdown(socket.SHUT_RDWR)
        assert answers.result() > len(requests), "it pipelined all the time"


def _send_on(line: socket.socket, requests: bytes) -> None:
    with suppress(OSError):
        while True:
            line.sendall(requests)


def _read_on(line: socket.socket) -> int:
    """Read until the connection ends, and return the number of bytes."""
    received = 0
    with suppress(OSError):
        while data := line.recv(1 << 18):
            received += len(data)
    return received


def test_the_methods_of_the_api_are_allowed(plain: Service) -> None:
    for path in ("/zerglings/", "/zerglings/nobody", "/swarm/spawn", "/events"):
        known = plain.call("PATCH", path).headers["Allow"].split(", ")
        assert set(known) - {"OPTIONS"} <= set(ALLOWED_METHODS.split(", "))


def test_no_cors_headers_are_sent_unless_configured(plain: Service) -> None:
    headers = {"Origin": OURS}
    for path in ("/zerglings/", "/healthz", "/static/overmind/main.js"):
        reply = plain.call("GET", path, None, headers)
        assert (reply.status, cors_headers(reply)) == (200, {}), path
        assert "origin" not in varies(reply)
    asked = plain.call("OPTIONS", "/zerglings/")
    preflight = plain.call("OPTIONS", "/zerglings/", None, headers | PREFLIGHT)
    assert (preflight.status, preflight.body) == (asked.status, asked.body)
    assert cors_headers(preflight) == {}


def test_an_open_service_logs_so_at_the_start(plain: Service) -> None:
    assert "Access: the service is open to all" in plain.log


def test_the_wildcard_origin_gets_the_same_response_for_every_origin(public: Service) -> None:
    for headers in ({}, {"Origin": OURS}, {"Origin": "null"}):
        reply = public.call("GET", "/zerglings/", None, headers)
        assert cors_headers(reply) == {"allow-origin": "*", "expose-headers": EXPOSED_HEADERS}
        assert "origin" not in varies(reply)
    preflight = public.call("OPTIONS", "/zerglings/", None, {"Origin": ANOTHER} | PREFLIGHT)
    assert (preflight.status, cors_headers(preflight)["allow-origin"]) == (204, "*")


@pytest.mark.parametrize(
    "text",
    [
        "*",
        "https://example.org",
        "http://localhost:3000,https://a.b-c.example",
        "http://[::1]:8080",
        "http://127.0.0.1",
    ],
)
def test_valid_origins_are_parsed(text: str) -> None:
    assert origins(text) == tuple(text.split(","))


@pytest.mark.parametrize(
    "text",
    [
        "null",
        "example.org",
        "https://example.org/",
        "https://EXAMPLE.org",
        "https://example.org:443",
        "http://example.org:80",
        "http://example.org:65536",
        "https://*.example.org",
        "https://anna@example.org",
        "ftp://example.org",
        "*,https://example.org",
        "https://exa\nmple.org",
    ],
)
def test_an_origin_that_no_browser_sends_is_rejected(text: str) -> None:
    with pytest.raises(ValueError, match="is not an origin"):
        origins(text)
