"""Tests for rate limits of callers and addresses, with a limiter in this process."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any

import pytest
from django.core.handlers.wsgi import WSGIRequest
from django.http import HttpResponse
from django.urls import get_resolver
from pytest_django import Settings

from overmind_project.http.gcra import SECOND, Rate, limiters
from overmind_project.http.request_context import context_of
from overmind_project.middleware.access_log import AccessLog
from overmind_project.middleware.every_request import CallerRateLimit
from overmind_project.middleware.rate_limit import METRICS_PATHS, PROBE_PATHS, AddressRateLimit
from overmind_project.monitoring import metrics, probes
from tests.support.backends import Backend
from zerglings.api.exceptions import error_response
from zerglings.caller import Caller

HOUR = 3600 * SECOND


@pytest.fixture
def backend(sqlite: Backend) -> Backend:
    """The embedded store, which no request here reaches."""
    return sqlite


class Guarded:
    """An application behind the address limit: two tokens, the caller limit, and a view."""

    def __init__(self) -> None:
        self.served = 0
        self.good = {"anna", "bert"}
        self._counting = CallerRateLimit(self._serve)

    def __call__(self, environ: dict[str, Any], start_response: Any) -> list[bytes]:
        name = environ.get("HTTP_AUTHORIZATION", "").removeprefix("Bearer ")
        context = context_of(environ)
        if name in self.good:
            context.caller = Caller(name, True, False, lambda: True)
        if name and context.caller is None:
            context.has_invalid_token = True
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
    limiters.cache_clear()
    yield Guarded()
    limiters.cache_clear()


def ask(
    guarded: Guarded,
    token: str | None = None,
    *,
    address: str = "192.0.2.1",
    path: str = "/zerglings/",
    cookie: str | None = None,
) -> int:
    """Send a request and return its status."""
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
    application = AccessLog(AddressRateLimit(guarded, *limiters(Rate(1, HOUR, burst=3))))
    answer: Any = application(environ, lambda status, *_: begun.append(status))  # type: ignore[arg-type]  # nobody writes
    list(answer)
    answer.close()
    (status,) = begun
    return int(status[:3])


def test_a_caller_is_limited_by_name_across_addresses(guarded: Guarded) -> None:
    statuses = [ask(guarded, "anna", address=f"192.0.2.{n}") for n in range(4)]
    assert statuses == [200, 200, 200, 429]
    assert ask(guarded, "bert") == 200
    assert ask(guarded) == 200, "anna did not use up the limit of the address"
    assert guarded.served == 5


def test_an_address_that_guesses_tokens_is_limited(guarded: Guarded) -> None:
    assert [ask(guarded, f"guess {n}") for n in range(4)] == [401, 401, 401, 429]
    assert ask(guarded, "anna") == 429, "a right guess looks like a wrong one"
    assert ask(guarded, "anna", address="192.0.2.2") == 200
    assert ask(guarded, "guess", path="/metrics") == 429, "the metrics are limited too"


def test_a_token_valid_from_an_address_before_is_accepted_beside_guesses(
    guarded: Guarded,
) -> None:
    assert ask(guarded, "anna") == 200
    assert [ask(guarded, f"guess {n}") for n in range(4)] == [401, 401, 401, 429]
    assert [ask(guarded, "anna") for _ in range(3)] == [200, 200, 429], "within its own limit"
    assert ask(guarded, "anna", path="/metrics") == 200
    assert ask(guarded, "bert") == 429
    assert ask(guarded, "bert", address="192.0.2.2") == 200
    assert ask(guarded, "bert") == 429, "it was valid, but not from that address"


def test_a_removed_token_is_limited_like_a_guess(guarded: Guarded) -> None:
    assert ask(guarded, "anna") == 200
    guarded.good.remove("anna")
    assert [ask(guarded, "anna") for _ in range(20)] == [401] * 3 + [429] * 17
    limiter, _ = limiters(Rate(1, HOUR, burst=3))
    assert limiter.wait("192.0.2.1") <= HOUR, "the address is not limited any longer"
    guarded.good.add("anna")
    assert ask(guarded, "anna") == 429, "a token that is valid again still looks like a guess"


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
    _, lately = limiters(Rate(1, HOUR, burst=3))
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
        assert ask(guarded, token) == 200, "it does not count for other URLs"
    assert ask(guarded, path="/metrics/") == 429, "both forms of the URL share a limit"
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
