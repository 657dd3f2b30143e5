"""Tests for the outermost middleware, in this process: streams, crashes, logs and metrics."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from prometheus_client import REGISTRY

from overmind_project.http.request_context import context_of
from overmind_project.middleware import access_log
from overmind_project.middleware.access_log import AccessLog
from zerglings.log_context import CONTEXT, NOTHING

NAMES = {
    "requests": "overmind_http_requests_total",
    "seconds": "overmind_http_request_duration_seconds_sum",
    "timed": "overmind_http_request_duration_seconds_count",
    "cut": "overmind_http_answers_cut_total",
    "under way": "overmind_http_requests_in_flight",
    "streams": "overmind_http_streams_open",
}


class AccessLines:
    """Keeps the lines of the access log."""

    def __init__(self) -> None:
        self.lines: list[dict[str, Any]] = []

    def write(self, line: str) -> None:
        self.lines.append(json.loads(line))


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch) -> Iterator[AccessLines]:
    log = AccessLines()
    context = CONTEXT.set(NOTHING)  # the server ends it with each request; here is none
    monkeypatch.setattr(access_log, "ACCESS_LINES", log)
    monkeypatch.setattr(access_log, "_line", access_log._json_line)
    yield log
    CONTEXT.reset(context)


def total(what: str) -> float:
    samples = [
        sample
        for family in REGISTRY.collect()
        for sample in family.samples
        if sample.name == NAMES[what]
    ]
    return sum(sample.value for sample in samples)


class Broken(Exception):
    """An error inside the application."""


class Application:
    """Responds on a route with these parts, and raises a part that is an exception."""

    def __init__(self, *parts: bytes | Exception, route: str = "zergling-list") -> None:
        self.parts = parts
        self.route = route
        self.is_closed = False
        self.status = "200 OK"

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Application:
        context_of(environ).route = self.route
        start_response(self.status, [("Content-Type", "text/plain")])
        return self

    def __iter__(self) -> Iterator[bytes]:
        for part in self.parts:
            if isinstance(part, Exception):
                raise part
            yield part

    def close(self) -> None:
        self.is_closed = True


def asked(application: Any) -> Any:
    environ = {"REQUEST_METHOD": "GET", "REMOTE_ADDR": "127.0.0.1"}
    return AccessLog(application)(environ, lambda *_: lambda _: None)


def sent(answer: Any, *, breaks_with: Exception | None = None) -> bytes:
    """Send a response as a server does; the client may disconnect after the first part."""
    data = b""
    try:
        for part in answer:
            if breaks_with is not None:
                raise breaks_with
            data += part
    finally:
        answer.close()
    return data


def test_a_response_is_counted_and_logged_after_its_last_part(log: AccessLines) -> None:
    requests, application = total("requests"), Application(b"one", b"two")
    answer = asked(application)
    assert (total("under way"), total("requests"), log.lines) == (1, requests, [])
    assert sent(answer) == b"onetwo"
    assert application.is_closed
    assert (total("under way"), total("requests")) == (0, requests + 1)
    (line,) = log.lines
    assert (line["bytes"], line["status"]) == (6, 200)
    assert "cut_by" not in line


@pytest.mark.parametrize(
    ("error", "by"), [(BrokenPipeError(), "client"), (Broken("the process stops"), "service")]
)
def test_a_response_that_cannot_be_sent_is_counted_as_cut(
    log: AccessLines, error: Exception, by: str
) -> None:
    cut, application = total("cut"), Application(b"one", b"two")
    with pytest.raises(type(error)):
        sent(asked(application), breaks_with=error)
    assert application.is_closed
    assert (total("cut"), total("under way")) == (cut + 1, 0)
    assert log.lines[0]["cut_by"] == by


def test_a_response_that_fails_midway_is_logged_as_cut_by_the_service(log: AccessLines) -> None:
    with pytest.raises(ConnectionError):
        sent(asked(Application(b"one", ConnectionError("the store's"))))
    assert log.lines[0]["cut_by"] == "service"
    assert log.lines[0]["bytes"] == 3


def test_a_crash_is_counted_once_as_a_500(log: AccessLines) -> None:
    def crashing(_environ: dict[str, Any], _start_response: Any) -> None:
        raise Broken("why")

    requests = total("requests")
    with pytest.raises(Broken):
        asked(crashing)
    assert (total("requests"), total("under way")) == (requests + 1, 0)
    assert log.lines[0]["status"] == 500


def test_a_stream_is_counted_when_it_begins_and_logged_when_it_ends(log: AccessLines) -> None:
    requests, timed = total("requests"), total("timed")
    answer = asked(Application(b"event", b"event", route="events"))
    assert next(answer) == b"event"
    assert (total("requests"), total("timed")) == (requests + 1, timed + 1)
    assert (total("streams"), log.lines) == (1, [])
    seconds = total("seconds")
    sent(answer)
    assert (total("requests"), total("seconds")) == (requests + 1, seconds)
    assert total("streams") == 0
    assert len(log.lines) == 1


def test_a_refused_stream_is_not_open(log: AccessLines) -> None:
    application = Application(b"{}", route="events")
    application.status = "503 Service Unavailable"
    answer = asked(application)
    assert total("streams") == 0
    sent(answer)
    assert total("streams") == 0
    assert log.lines[0]["status"] == 503


@pytest.mark.parametrize(("status", "lines"), [("200 OK", 0), ("404 Not Found", 0), ("503 X", 1)])
def test_a_probe_is_logged_only_if_it_fails(log: AccessLines, status: str, lines: int) -> None:
    application = Application(b"{}", route="healthz")
    application.status = status
    sent(asked(application))
    assert len(log.lines) == lines


@pytest.mark.parametrize(("status", "route"), [("200 OK", "static"), ("404 Not Found", "none")])
def test_a_successful_response_without_a_route_is_counted_as_static(
    log: AccessLines, status: str, route: str
) -> None:
    application = Application(b"{}", route="none")
    application.status = status
    sent(asked(application))
    assert log.lines[0]["route"] == route


@pytest.mark.parametrize("location", ["", "/zerglings/", "/zerglings/hunter2", "/a/b?c=/d"])
def test_only_a_valid_id_is_logged_from_the_location_header(
    log: AccessLines, location: str
) -> None:
    spawned = "5fb0a6f2-8f0e-4c53-9d5e-1f4d2b7a9c01"

    def application(_environ: dict[str, Any], start_response: Any) -> list[bytes]:
        start_response("201 Created", [("Location", location)])
        return [b"{}"]

    sent(asked(application))
    assert "zergling_id" not in log.lines[0]
    location = f"/zerglings/{spawned}"
    sent(asked(application))
    assert log.lines[1]["zergling_id"] == spawned
