"""Tests that guessed tokens and forbidden requests are limited, with the whole application."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import orjson
import pytest
from django.core.handlers.wsgi import WSGIHandler
from django.test import Client, RequestFactory
from pytest_django import Settings

from overmind_project.auth.access import configured_tokens
from overmind_project.http.gcra import SECOND, Rate, limiters
from overmind_project.middleware.access_log import AccessLog
from overmind_project.middleware.rate_limit import (
    METRICS_PATHS,
    PROBE_PATHS,
    SENTENCE,
    AddressRateLimit,
)
from tests.support.backends import Backend
from tests.support.tokens import LINES, READER, WRITER, bearer
from zerglings.secret import Secret

HOUR = 3600 * SECOND


@pytest.fixture
def backend(sqlite: Backend) -> Backend:
    """The embedded store, which hardly any request here reaches."""
    return sqlite


Answer = tuple[str, bytes, list[tuple[str, str]]]


@pytest.fixture
def opens_metrics() -> bool:
    return False


@pytest.fixture
def answer(api: Client, settings: Settings, opens_metrics: bool) -> Iterator[Callable[..., Answer]]:
    """Send requests to the address limit and the application behind it, with a burst of 3."""
    settings.OVERMIND_TOKENS = Secret("OVERMIND_TOKENS", LINES)
    settings.OVERMIND_OPEN_METRICS = opens_metrics
    settings.OVERMIND_RATE_LIMIT = Rate(1, HOUR, burst=3)
    settings.MIDDLEWARE = [
        *settings.MIDDLEWARE,
        "overmind_project.middleware.every_request.CallerRateLimit",
    ]
    configured_tokens.cache_clear()
    limiters.cache_clear()
    application = AccessLog(
        AddressRateLimit(WSGIHandler(), *limiters(settings.OVERMIND_RATE_LIMIT))
    )

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
    configured_tokens.cache_clear()
    limiters.cache_clear()


@pytest.mark.parametrize(
    "path", [*sorted(PROBE_PATHS), *sorted(METRICS_PATHS), "/static/no", "/static/../"]
)
def test_guesses_are_limited_at_every_url_that_reveals_them(
    answer: Callable[..., Answer], path: str
) -> None:
    """Valid and invalid tokens get equal responses, or both are limited."""
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
    assert answer("/metrics", {})[0] == tried, (
        "requests without a token have the limit of the metrics"
    )


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
