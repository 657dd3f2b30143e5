"""Tests for rate limiting, with a limiter in this process and in a running service."""

from __future__ import annotations

import http.client
import io
import os
import re
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import orjson
import pytest
from django.core.handlers.wsgi import WSGIHandler, WSGIRequest
from django.http import HttpResponse
from django.test import Client, RequestFactory
from django.urls import get_resolver
from pytest_django import Settings

from overmind_project import metrics, probes
from overmind_project.auth.access import configured_tokens
from overmind_project.http.gcra import SECOND, Rate, shared_limiters
from overmind_project.http.request_context import CONTEXT_KEY
from overmind_project.middleware.access_log import AccessLog
from overmind_project.middleware.every_request import CallerRateLimit
from overmind_project.middleware.rate_limit import (
    METRICS_PATHS,
    PROBE_PATHS,
    SENTENCE,
    AddressRateLimit,
)
from tests.support.backends import Backend, sqlite_backend
from tests.support.prometheus import Metrics
from tests.support.service import Reply, Service, workers
from tests.support.tokens import LINES, READER, WRITER, bearer
from tests.support.waiting import wait_until
from zerglings.api.exceptions import error_response
from zerglings.secret import Secret

HOUR = 3600 * SECOND


@pytest.fixture
def backend(sqlite: Backend) -> Backend:
    """The embedded store: nothing here comes so far."""
    return sqlite


class Guarded:
    """What stands behind the door: a guard that knows two tokens, the count, and a view."""

    def __init__(self) -> None:
        self.served = 0
        self.good = {"anna", "bert"}
        self._counting = CallerRateLimit(self._serve)

    def __call__(self, environ: dict[str, Any], start_response: Any) -> list[bytes]:
        name = environ.get("HTTP_AUTHORIZATION", "").removeprefix("Bearer ")
        if name in self.good:
            environ[CONTEXT_KEY].caller = name
        if name and environ[CONTEXT_KEY].caller is None:
            environ[CONTEXT_KEY].has_invalid_token = True
            reply = error_response(401, "No.")
        else:
            reply = self._counting(WSGIRequest(environ))  # type: ignore[assignment]  # a plain one
        start_response(f"{reply.status_code} {reply.reason_phrase}", list(reply.items()))
        return [reply.content]

    def _serve(self, request: object) -> HttpResponse:
        self.served += 1
        return HttpResponse(b"served")


@pytest.fixture
def guarded(settings: Settings) -> Iterator[Guarded]:
    settings.OVERMIND_RATE_LIMIT = Rate(1, HOUR, burst=3)
    shared_limiters.cache_clear()
    yield Guarded()
    for limiter in shared_limiters(settings.OVERMIND_RATE_LIMIT):
        limiter.close()
    shared_limiters.cache_clear()


def ask(
    guarded: Guarded,
    token: str | None = None,
    *,
    address: str = "192.0.2.1",
    path: str = "/zerglings/",
    cookie: str | None = None,
) -> int:
    """Make a request, and return its status."""
    environ = {
        "REQUEST_METHOD": "GET",
        "REMOTE_ADDR": address,
        "PATH_INFO": path,
        "wsgi.input": io.BytesIO(),
    }
    if token is not None:
        environ["HTTP_AUTHORIZATION"] = f"Bearer {token}"
    if cookie is not None:
        environ["HTTP_COOKIE"] = cookie
    begun = []
    application = AccessLog(AddressRateLimit(guarded, *shared_limiters(Rate(1, HOUR, burst=3))))
    answer: Any = application(environ, lambda status, *_: begun.append(status))  # type: ignore[arg-type]  # nobody writes
    list(answer)
    answer.close()
    (status,) = begun
    return int(status[:3])


def test_a_caller_is_limited_by_name_across_addresses(guarded: Guarded) -> None:
    statuses = [ask(guarded, "anna", address=f"192.0.2.{n}") for n in range(4)]
    assert statuses == [200, 200, 200, 429]
    assert ask(guarded, "bert") == 200
    assert ask(guarded) == 200, "nor did anna use up what belongs to an address"
    assert guarded.served == 5


def test_an_address_that_guesses_tokens_is_limited(guarded: Guarded) -> None:
    assert [ask(guarded, f"guess {n}") for n in range(4)] == [401, 401, 401, 429]
    assert ask(guarded, "anna") == 429, "the right guess is not told from a wrong one"
    assert ask(guarded, "anna", address="192.0.2.2") == 200
    assert ask(guarded, "guess", path="/metrics") == 429, "nor by another way"


def test_a_token_valid_from_an_address_before_is_accepted_beside_guesses(
    guarded: Guarded,
) -> None:
    assert ask(guarded, "anna") == 200
    assert [ask(guarded, f"guess {n}") for n in range(4)] == [401, 401, 401, 429]
    assert [ask(guarded, "anna") for _ in range(3)] == [200, 200, 429], "within its own limit"
    assert ask(guarded, "anna", path="/metrics") == 200
    assert ask(guarded, "bert") == 429
    assert ask(guarded, "bert", address="192.0.2.2") == 200
    assert ask(guarded, "bert") == 429, "it was good, but not from there"


def test_a_removed_token_is_limited_like_a_guess(guarded: Guarded) -> None:
    assert ask(guarded, "anna") == 200
    guarded.good.remove("anna")
    assert [ask(guarded, "anna") for _ in range(20)] == [401] * 3 + [429] * 17
    limiter, _ = shared_limiters(Rate(1, HOUR, burst=3))
    assert limiter.wait(limiter.slot_key("192.0.2.1")) <= HOUR, "it costs its neighbours no more"
    guarded.good.add("anna")
    assert ask(guarded, "anna") == 429, "nor is it told from a guess when it is good again"


def test_a_removed_token_is_forgotten_once_its_address_is_limited(
    guarded: Guarded,
) -> None:
    assert ask(guarded, "anna") == 200
    assert [ask(guarded, f"guess {n}") for n in range(4)] == [401, 401, 401, 429]
    guarded.good.remove("anna")
    assert [ask(guarded, "anna") for _ in range(3)] == [401, 429, 429]


def test_other_cookies_do_not_change_the_limit(guarded: Guarded) -> None:
    assert ask(guarded, "anna", cookie="lately=1") == 200
    assert [ask(guarded, f"guess {n}") for n in range(4)] == [401, 401, 401, 429]
    assert ask(guarded, "anna", cookie="lately=2") == 200
    assert ask(guarded, "anna") == 200


def test_a_token_takes_one_slot_whatever_cookies_come_with_it(
    guarded: Guarded, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, lately = shared_limiters(Rate(1, HOUR, burst=3))
    named = []
    monkeypatch.setattr(lately, "take", lambda place: named.append(place))
    for n in range(3):
        assert ask(guarded, "anna", cookie=f"junk={n}; other=overmind-token") == 200
    assert len(named) == 3
    assert len(set(named)) == 1


def test_the_metrics_have_a_separate_limit(guarded: Guarded) -> None:
    for token in ("anna", None):
        statuses = [ask(guarded, token, path="/metrics") for _ in range(4)]
        assert statuses == [200, 200, 200, 429]
        assert ask(guarded, token) == 200, "nothing of it counts elsewhere"
    assert ask(guarded, path="/metrics/") == 429, "it is one place"
    assert ask(guarded, "bert", path="/metrics", address="192.0.2.2") == 200


def test_a_limited_address_may_still_read_the_metrics(guarded: Guarded) -> None:
    assert [ask(guarded) for _ in range(4)] == [200, 200, 200, 429]
    assert [ask(guarded, path="/metrics") for _ in range(4)] == [200, 200, 200, 429]


def test_a_guess_at_the_metrics_counts_for_all_urls(guarded: Guarded) -> None:
    statuses = [ask(guarded, f"guess {n}", path="/metrics") for n in range(4)]
    assert statuses == [401, 401, 401, 429]
    assert ask(guarded, "anna", path="/metrics") == 429
    assert ask(guarded, "anna") == 429
    assert ask(guarded, path="/metrics") == 200


def test_a_request_counts_once(guarded: Guarded) -> None:
    assert [ask(guarded) for _ in range(4)] == [200, 200, 200, 429]
    assert guarded.served == 3


def test_an_ipv6_network_shares_a_limit(guarded: Guarded) -> None:
    statuses = [ask(guarded, address=f"2001:db8::{n}") for n in range(4)]
    assert statuses == [200, 200, 200, 429]
    assert ask(guarded, address="2001:db8:0:1::1") == 200


def test_the_probe_and_metrics_paths_match_the_routes() -> None:
    found = {get_resolver().resolve(path).func: path for path in (*PROBE_PATHS, *METRICS_PATHS)}
    assert set(found) == {*probes.PROBE_VIEWS, metrics.metrics}


Answer = tuple[str, bytes, list[tuple[str, str]]]


@pytest.fixture
def opens_metrics() -> bool:
    return False


@pytest.fixture
def answer(api: Client, settings: Settings, opens_metrics: bool) -> Iterator[Callable[..., Answer]]:
    """Makes a request of the door with the guard that is served behind it; the burst is three."""
    settings.OVERMIND_TOKENS = Secret("OVERMIND_TOKENS", LINES)
    settings.OVERMIND_OPEN_METRICS = opens_metrics
    settings.OVERMIND_RATE_LIMIT = Rate(1, HOUR, burst=3)
    settings.MIDDLEWARE = [
        *settings.MIDDLEWARE,
        "overmind_project.middleware.every_request.CallerRateLimit",
    ]
    configured_tokens.cache_clear()
    shared_limiters.cache_clear()
    limiters = shared_limiters(settings.OVERMIND_RATE_LIMIT)
    application = AccessLog(AddressRateLimit(WSGIHandler(), *limiters))

    def answer(path: str, headers: dict[str, str], method: str = "GET") -> Answer:
        request = RequestFactory().generic(method, path, headers=headers)
        begun: list[tuple[str, list[tuple[str, str]]]] = []
        body: Any = application(
            request.environ | {"PATH_INFO": path},
            lambda status, given, *_: begun.append((status[:3], given)),  # type: ignore[arg-type]  # nobody writes
        )
        content = b"".join(body)
        body.close()
        ((status, given),) = begun
        return status, content, [each for each in given if each[0] != "X-Request-ID"]

    yield answer
    for limiter in limiters:
        limiter.close()
    configured_tokens.cache_clear()
    shared_limiters.cache_clear()


@pytest.mark.parametrize(
    "path", [*sorted(PROBE_PATHS), *sorted(METRICS_PATHS), "/static/no", "/static/../"]
)
def test_guesses_are_limited_at_every_url_that_reveals_them(
    answer: Callable[..., Answer], path: str
) -> None:
    """The answers are the same, or there are soon none."""
    shown = [headers for n in range(9) for headers in (bearer(f"guess-{n}"), cookie(n))]
    guesses = [answer(path, headers) for headers in shown]
    right = [answer(path, headers) for headers in (bearer(WRITER), bearer(READER), cookie(WRITER))]
    answers = {(status, content, *given) for status, content, given in guesses + right}
    assert len(answers) == 1 or {status for status, *_ in guesses[3:] + right} == {"429"}


@pytest.mark.parametrize(("opens_metrics", "tried"), [(False, "401"), (True, "200")])
def test_a_guess_at_the_metrics_counts_even_if_they_are_open(
    answer: Callable[..., Answer], tried: str
) -> None:
    guesses = [answer("/metrics", bearer(f"guess-{n}"))[0] for n in range(4)]
    assert guesses == [tried] * 3 + ["429"]
    assert answer("/metrics", bearer(WRITER))[0] == "429"
    assert answer("/zerglings/", bearer(WRITER))[0] == "429"
    assert answer("/metrics", {})[0] == tried, "who tries none has the limit of the metrics"


def test_forbidden_requests_count_for_their_caller(answer: Callable[..., Answer]) -> None:
    statuses = [answer("/zerglings/", bearer(READER), "POST")[0] for _ in range(4)]
    assert statuses == ["403", "403", "403", "429"]
    status, content, headers = answer("/swarm/spawn", bearer(READER), "POST")
    assert (status, orjson.loads(content)) == ("429", {"error": SENTENCE})
    assert int(dict(headers)["Retry-After"]) > 0
    assert answer("/zerglings/", bearer(READER))[0] == "429"
    assert answer("/zerglings/", bearer(WRITER))[0] == "200"


def cookie(token: object) -> dict[str, str]:
    return {"Cookie": f"overmind-token={token}"}


# As a service: each test calls from addresses of its own

PROXY = "127.0.0.2"


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    directory = tmp_path_factory.mktemp("service")
    settings = {
        "OVERMIND_RATE_LIMIT": "1/h:30",
        "OVERMIND_TRUSTED_PROXIES": PROXY,
        "WEB_CONCURRENCY": "3",
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
    """Make a request over a connection of its own."""
    with closing(connect(service, source)) as talk:
        return service.call(method, path, body, headers, connection=talk)


def calls(service: Service, source: str, count: int) -> Counter[int]:
    """Make so many requests, many at once, and count what was answered."""
    with ThreadPoolExecutor(16) as pool:
        replies = pool.map(lambda _: call(service, source), range(count))
        return Counter(reply.status for reply in replies)


def test_a_limit_is_shared_by_processes_and_survives_them(service: Service) -> None:
    assert calls(service, "127.1.0.1", 150) == {200: 30, 429: 120}
    assert calls(service, "127.1.0.2", 20) == {200: 20}, "another address has its own"
    dead = set(workers(service))
    for worker in dead:
        os.kill(worker, signal.SIGKILL)
    wait_until(
        lambda: len(set(workers(service)) - dead) >= len(dead), "each worker has a successor"
    )
    assert calls(service, "127.1.0.1", 10) == {429: 10}, "the limit has not begun anew"
    assert calls(service, "127.1.0.2", 20) == {200: 10, 429: 10}


def test_a_limited_request_changes_nothing_and_gets_retry_after(service: Service) -> None:
    before = call(service, "127.2.0.2").json
    assert call(service, "127.2.0.1", "GET", "/nowhere").status == 404, "which counts"
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
    assert by(PROXY, "192.0.2.9, 192.0.2.1") == {429: 1}, "what a client adds is not believed"
    assert by(PROXY, "192.0.2.2") == {200: 1}
    assert by("127.5.0.1", *[f"192.0.3.{n}" for n in range(31)]) == {200: 30, 429: 1}
    counted = {"192.0.2.1", "192.0.2.2", "127.5.0.1"}
    wait_until(lambda: counted <= logged_clients(service), "their calls are logged")
    assert logged_clients(service).isdisjoint({PROXY, "192.0.2.9", "192.0.3.1"})


def logged_clients(service: Service) -> set[str]:
    return set(re.findall(r" client=(\S+)", service.log))


def test_a_continuous_caller_gets_exactly_its_rate(tmp_path: Path) -> None:
    settings = {"OVERMIND_RATE_LIMIT": "40/s:10", "WEB_CONCURRENCY": "3"}
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
