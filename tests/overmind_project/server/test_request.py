"""Tests for the request parser: what it passes on, however the bytes arrive."""

from __future__ import annotations

import pytest

from overmind_project.server import limits
from overmind_project.server.errors import RequestError
from overmind_project.server.request import Request, RequestParser

HEAD = b"GET /a?b=c HTTP/1.1\r\nHost: x\r\n"


def parsed(data: bytes) -> list[Request]:
    """Parse requests whose bodies are complete, as a connection does."""
    parser = RequestParser()
    parser.buffer += data
    found = []
    while (request := parser.next_request()) is not None:
        found.append(request)
        while not request.is_complete:
            assert parser.parse_body(request)
    return found


def environ(*fields: bytes, target: bytes = b"/") -> dict[str, object]:
    lines = b"".join(field + b"\r\n" for field in fields)
    (request,) = parsed(b"GET " + target + b" HTTP/1.1\r\nHost: x\r\n" + lines + b"\r\n")
    return request.wsgi_environment({"REMOTE_ADDR": "192.0.2.1"})


def test_a_head_may_arrive_byte_by_byte() -> None:
    parser = RequestParser()
    data = HEAD + b"\r\n"
    for number, byte in enumerate(data):
        assert parser.next_request() is None, number
        parser.buffer.append(byte)
    request = parser.next_request()
    assert request is not None
    assert (request.method, request.target, request.is_complete) == ("GET", b"/a?b=c", True)


POST = b"POST / HTTP/1.1\r\nHost: x\r\n"
WITH_LENGTH = b"Content-Length: 3\r\n\r\nabc"
CHUNKED = b"Transfer-Encoding: chunked\r\n\r\n1\r\na\r\n2\r\nbc\r\n0\r\nX-T: t\r\n\r\n"
UPGRADE = b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n"


def methods_and_bodies(requests: list[Request]) -> list[tuple[str, bytes]]:
    return [(each.method, bytes(each.body)) for each in requests]


def test_a_request_may_follow_a_body_at_once() -> None:
    found = parsed((POST + WITH_LENGTH) * 2 + HEAD + b"\r\n")
    assert methods_and_bodies(found) == [("POST", b"abc"), ("POST", b"abc"), ("GET", b"")]


@pytest.mark.parametrize("following", [HEAD + b"\r\n", HEAD, b"\x00", b"GET", POST + CHUNKED])
@pytest.mark.parametrize("connection", [b"", b"Connection: close\r\n"])
def test_a_chunked_request_is_whole_and_the_last_if_bytes_follow(
    connection: bytes, following: bytes
) -> None:
    parser = RequestParser()
    parser.buffer += POST + connection + CHUNKED + following
    request = parser.next_request()
    assert request is not None
    while not request.is_complete:
        assert parser.parse_body(request)
    assert (bytes(request.body), request.is_kept) == (b"abc", False)


def test_a_chunked_request_alone_keeps_the_connection() -> None:
    parser = RequestParser()
    for _ in range(2):
        parser.buffer += POST + CHUNKED
        request = parser.next_request()
        assert request is not None
        while not request.is_complete:
            assert parser.parse_body(request)
        assert (bytes(request.body), request.is_kept) == (b"abc", True)
        assert b"X-T" not in dict(request.fields)


@pytest.mark.parametrize("body", [WITH_LENGTH, CHUNKED])
def test_the_body_of_a_request_to_change_the_protocol_belongs_to_it(body: bytes) -> None:
    assert methods_and_bodies(parsed(POST + UPGRADE + body)) == [("POST", b"abc")]


def test_the_target_of_an_absolute_form_overrides_the_host() -> None:
    assert environ(target=b"HTTP://example.org:80/a")["HTTP_HOST"] == "example.org:80"


def test_cookies_in_several_fields_are_one_list() -> None:
    assert environ(b"Cookie: a=1", b"Cookie: b=2")["HTTP_COOKIE"] == "a=1; b=2"


def test_an_empty_line_before_a_request_is_ignored() -> None:
    assert methods_and_bodies(parsed(POST + WITH_LENGTH + b"\r\n" + HEAD + b"\r\n")) == [
        ("POST", b"abc"),
        ("GET", b""),
    ]


@pytest.mark.parametrize(
    "line",
    [b"CONNECT x:80 HTTP/1.1", b"CONNECT / HTTP/1.1", b"GET / RTSP/1.0", b"SOURCE / ICE/1.0"],
)
def test_other_protocols_are_rejected(line: bytes) -> None:
    with pytest.raises(RequestError):
        parsed(line + b"\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc")


def test_a_chunked_body_is_parsed_in_bounded_steps() -> None:
    parser = RequestParser()
    parser.buffer += b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    parser.buffer += b"1\r\na\r\n" * 10_000
    request = parser.next_request()
    assert request is not None
    before = len(parser.buffer)
    assert parser.parse_body(request)
    assert before - len(parser.buffer) == limits.CHUNKED_BYTES


def test_a_request_to_change_the_protocol_is_answered_as_http() -> None:
    upgrade = HEAD + b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n\r\n"
    assert [each.method for each in parsed(upgrade + HEAD + b"\r\n")] == ["GET", "GET"]


def test_fields_become_environment_variables() -> None:
    found = environ(b"accept: a", b"Accept: b", b"Content-Type: c ", b"X-Any-Thing:  d\te ")
    assert found["HTTP_ACCEPT"] == "a,b"
    assert found["CONTENT_TYPE"] == "c"
    assert found["HTTP_X_ANY_THING"] == "d\te"
    assert found["REMOTE_ADDR"] == "192.0.2.1"


def test_a_name_with_an_underscore_cannot_imitate_another_field() -> None:
    found = environ(b"X_Forwarded_For: 192.0.2.9", b"Remote_Addr: 192.0.2.9")
    assert "HTTP_X_FORWARDED_FOR" not in found
    assert not [key for key in found if "REMOTE_ADDR" in key and found[key] != "192.0.2.1"]


@pytest.mark.parametrize(
    ("target", "path", "query"),
    [
        (b"/a%2Fb%C3%A4?x=%20", "/a/b\xc3\xa4", "x=%20"),
        (b"http://host:80/a?b=c", "/a", "b=c"),
        (b"https://host", "/", ""),
        (b"//a/b", "//a/b", ""),
        (b"/?", "/", ""),
        (b"/a?b?c", "/a", "b?c"),
    ],
)
def test_a_target_is_split(target: bytes, path: str, query: str) -> None:
    found = environ(target=target)
    assert (found["PATH_INFO"], found["QUERY_STRING"]) == (path, query)


@pytest.mark.parametrize("target", [b"ftp://host/a", b"a"])
def test_another_target_is_rejected(target: bytes) -> None:
    with pytest.raises(RequestError):
        environ(target=target)
