"""Tests token authentication in a running service whose token file changes."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.backends import Backend
from tests.support.listening import Ear
from tests.support.manage import python
from tests.support.service import Reply, Service
from tests.support.tokens import (
    READER,
    READER_LINE,
    STRANGER,
    WRITER,
    WRITER_LINE,
    bearer,
    file_of_tokens,
    line,
)
from tests.support.waiting import wait_until

SOON = 10.0
"""Seconds within which a change of the file takes effect, on a busy machine."""


@pytest.fixture
def backend(sqlite: Backend) -> Backend:
    """The embedded store: authentication does not use the store."""
    return sqlite


@pytest.fixture
def tokens(tmp_path: Path) -> Path:
    return file_of_tokens(tmp_path)


@pytest.fixture
def processes() -> int:
    return 1


@pytest.fixture
def closed(backend: Backend, tokens: Path, processes: int, tmp_path: Path) -> Iterator[Service]:
    more = {
        "OVERMIND_TOKENS_FILE": str(tokens),
        "OVERMIND_LOG_FORMAT": "json",
        "WEB_CONCURRENCY": str(processes),
    }
    with Service(backend.environment | more, tmp_path) as service:
        yield service


def get(service: Service, token: str) -> Reply:
    return service.call("GET", "/zerglings/", headers=bearer(token))


def wait_until_all_answer(service: Service, token: str, status: int) -> None:
    """Wait until a token gets this status twenty times in a row, from any process."""
    wait_until(
        lambda: all(get(service, token).status == status for _ in range(20)),
        f"all processes answer {status}",
        SOON,
    )


def swap(tokens: Path, *lines: str) -> None:
    fresh = tokens.with_name("fresh")
    fresh.write_text("".join(f"{each}\n" for each in lines))
    fresh.rename(tokens)


def lines_of(service: Service, logger: str) -> list[dict[str, object]]:
    found = [json.loads(each) for each in service.log.splitlines() if each.startswith("{")]
    return [each for each in found if each["logger"] == logger]


@pytest.mark.parametrize("processes", [2])
def test_tokens_are_replaced_while_the_service_runs(closed: Service, tokens: Path) -> None:
    assert get(closed, READER).status == 200
    assert get(closed, STRANGER).status == 401
    swap(tokens, READER_LINE, WRITER_LINE, line("viewer", "read", STRANGER))
    wait_until_all_answer(closed, STRANGER, 200)
    assert get(closed, READER).status == 200
    swap(tokens, WRITER_LINE, line("viewer", "read", STRANGER))
    wait_until_all_answer(closed, READER, 401)
    assert get(closed, STRANGER).status == 200
    assert get(closed, WRITER).status == 200


def complaints(service: Service) -> int:
    lines = lines_of(service, "overmind_project.auth.access")
    return sum(each["level"] == "ERROR" for each in lines)


def test_an_invalid_token_file_changes_nothing_and_is_logged_once(
    closed: Service, tokens: Path
) -> None:
    swap(tokens, READER)
    deadline = time.monotonic() + SOON
    while not complaints(closed):
        assert get(closed, READER).status == 200
        assert time.monotonic() < deadline
    several_looks = time.monotonic() + 2.5
    while time.monotonic() < several_looks:
        assert get(closed, READER).status == 200
        assert get(closed, STRANGER).status == 401
    assert complaints(closed) == 1
    assert READER not in closed.log


def test_a_stream_ends_after_its_token_was_removed(closed: Service, tokens: Path) -> None:
    with (
        Ear(closed, headers=bearer(READER)) as reader,
        Ear(closed, headers=bearer(WRITER)) as writer,
    ):
        assert reader.next().kind == writer.next().kind == "ready"
        swap(tokens, WRITER_LINE)
        began = time.monotonic()
        reader.leave_after(SOON)
        assert list(reader.events()) == []
        assert time.monotonic() - began < SOON
        spawned = closed.call("POST", "/zerglings/", headers=bearer(WRITER))
        assert writer.next().zergling["id"] == spawned.json["zergling"]["id"]
    with Ear(closed, headers=bearer(READER)) as refused:
        assert refused.reply.status == 401


def test_the_log_names_callers_and_never_tokens(closed: Service) -> None:
    calls = {"by-nobody": {}, "by-reader": bearer(READER), "by-stranger": bearer(STRANGER)}
    for request_id, headers in calls.items():
        closed.call("POST", "/zerglings/", headers=headers | {"X-Request-ID": request_id})
    cookie = {"Cookie": f"overmind-token={WRITER}", "Sec-Fetch-Site": "same-origin"}
    closed.call("POST", "/zerglings/", headers=cookie | {"X-Request-ID": "by-writer"})

    def told() -> dict[object, dict[str, object]]:
        return {each["request_id"]: each for each in lines_of(closed, "overmind.request")}

    wait_until(lambda: len(told()) == 4, "each request has a line in the log", SOON)
    lines = told()
    callers = {request_id: each.get("caller") for request_id, each in lines.items()}
    assert callers == {
        "by-nobody": None,
        "by-reader": "viewer",
        "by-stranger": None,
        "by-writer": "pilot",
    }
    assert [lines[id_]["status"] for id_ in (*calls, "by-writer")] == [401, 403, 401, 201]
    assert {each["route"] for each in lines.values()} == {"zergling-list"}
    assert not any(token in closed.log for token in (READER, WRITER, STRANGER))


def test_two_authorization_headers_are_rejected(closed: Service) -> None:
    connection = closed.connect()
    connection.putrequest("GET", "/zerglings/")
    for _ in range(2):
        connection.putheader("Authorization", f"Bearer {READER}")
    connection.endheaders()
    assert connection.getresponse().status == 401
    connection.close()


def test_a_rejected_body_does_not_disturb_the_next_request(closed: Service) -> None:
    connection = closed.connect()
    for _ in range(3):
        refused = closed.call("POST", "/zerglings/", b"x" * 60_000, connection=connection)
        assert refused.status == 401
        reply = closed.call("GET", "/zerglings/", headers=bearer(READER), connection=connection)
        assert (reply.status, reply.json) == (200, {})
    head = closed.call("HEAD", "/zerglings/", connection=connection)
    assert (head.status, head.body) == (401, b"")
    assert int(head.headers["Content-Length"]) > 0
    connection.close()


def test_a_token_from_make_token_is_accepted(closed: Service, tokens: Path) -> None:
    made = python("manage.py", "make_token", "ci", "write")
    assert made.returncode == 0, made.stderr
    words = [each.split() for each in made.stdout.splitlines()]
    assert [word for word, _ in words] == ["token", "line"]
    token, new_line = (value for _, value in words)
    swap(tokens, READER_LINE, new_line)
    wait_until_all_answer(closed, token, 200)
    assert closed.call("POST", "/zerglings/", headers=bearer(token)).status == 201
