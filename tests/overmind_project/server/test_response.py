"""Tests for responses: framing, persistence, and applications that break the rules."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import pytest

from overmind_project.server.request import Request
from overmind_project.server.response import Response

Headers = list[tuple[str, str]]


def request(method: str = "GET", version: str = "1.1", *, is_kept: bool = True) -> Request:
    made = Request()
    made.method, made.version, made.is_kept, made.is_complete = method, version, is_kept, True
    return made


def application(status: str, headers: Headers, *parts: bytes | Exception) -> Callable[..., Any]:
    def answer(environ: object, start_response: Callable[..., object], /) -> Iterable[bytes]:
        start_response(status, headers)
        for part in parts:
            if isinstance(part, Exception):
                raise part
            yield part

    return answer


def sent(asked: Request, answer: Callable[..., Any], *, closes: bool = False) -> tuple[bytes, bool]:
    """Return the bytes of a response without its date, and whether the connection is kept."""
    parts: list[bytes] = []
    response = Response(asked, parts.append, lambda: closes)
    response.run(answer, {})
    lines = b"".join(parts).split(b"\r\n")
    return b"\r\n".join(line for line in lines if not line.startswith(b"Date: ")), response.is_kept


HEAD = b"HTTP/1.1 200 OK\r\nServer: gunicorn\r\nConnection: %b\r\n"
KEPT, CLOSED = HEAD % b"keep-alive", HEAD % b"close"


def test_a_response_with_a_length_is_sent_as_it_is() -> None:
    answer = application("200 OK", [("Content-Length", "2")], b"a", b"", b"b")
    assert sent(request(), answer) == (KEPT + b"Content-Length: 2\r\n\r\nab", True)


def test_a_response_without_a_length_is_chunked() -> None:
    answer = application("200 OK", [], b"a" * 17, b"b")
    body = b"11\r\n" + b"a" * 17 + b"\r\n1\r\nb\r\n0\r\n\r\n"
    assert sent(request(), answer) == (KEPT + b"Transfer-Encoding: chunked\r\n\r\n" + body, True)


def test_a_response_without_a_length_ends_an_http_1_0_connection() -> None:
    answer = application("200 OK", [], b"ab")
    whole, is_kept = sent(request(version="1.0"), answer)
    assert (whole, is_kept) == (CLOSED.replace(b"1.1", b"1.0") + b"\r\nab", False)


@pytest.mark.parametrize(
    ("method", "status"), [("HEAD", "200 OK"), ("GET", "204 No"), ("GET", "304 No")]
)
def test_some_responses_have_no_body(method: str, status: str) -> None:
    whole, is_kept = sent(request(method), application(status, [], b"ab"))
    assert whole.endswith(b"keep-alive\r\n\r\n")
    assert b"Transfer-Encoding" not in whole
    assert is_kept


def test_a_body_longer_than_its_length_is_cut() -> None:
    answer = application("200 OK", [("Content-Length", "1")], b"ab", b"c")
    assert sent(request(), answer)[0].endswith(b"\r\n\r\na")


def test_a_body_shorter_than_its_length_is_an_error() -> None:
    with pytest.raises(ValueError, match="shorter"):
        sent(request(), application("200 OK", [("Content-Length", "3")], b"ab"))


@pytest.mark.parametrize("value", ["a\r\nX: y", "a\nX: y", "a\rX: y"])
def test_a_header_with_a_line_break_is_an_error(value: str) -> None:
    with pytest.raises(ValueError, match="line break"):
        sent(request(), application("200 OK", [("X-A", value)], b"a"))


def test_the_client_and_the_server_may_both_end_the_connection() -> None:
    answer = application("200 OK", [("Content-Length", "0")])
    assert not sent(request(is_kept=False), answer)[1]
    assert not sent(request(), answer, closes=True)[1]
    incomplete = request()
    incomplete.is_complete = False
    assert not sent(incomplete, answer)[1]


@pytest.mark.parametrize(("parts", "has_begun"), [((), False), ((b"a",), True)])
def test_a_failure_is_passed_on_with_what_was_sent(parts: tuple[bytes], has_begun: bool) -> None:
    response = Response(request(), lambda _: None, lambda: False)
    with pytest.raises(KeyError):
        response.run(application("200 OK", [], *parts, KeyError("x")), {})
    assert response.has_begun is has_begun
