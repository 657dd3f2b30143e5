"""Tests for request ids and traces in responses and in the log."""

from __future__ import annotations

import re

import pytest

from tests.overmind_project.middleware.json_log import answered, lines_of, sent_raw
from tests.support.service import Service

UUID_HEX = re.compile(r"[0-9a-f]{32}")


TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"


def test_a_request_id_is_returned_and_logged(shared: Service) -> None:
    reply = shared.call("GET", "/zerglings/", headers={"X-Request-ID": "a.B-c_9"})
    assert reply.headers.get_all("X-Request-ID") == ["a.B-c_9"]
    (line,) = lines_of(shared, "a.B-c_9")
    assert line["route"] == "zergling-list"


def test_every_response_has_its_own_request_id(shared: Service) -> None:
    paths = ["/zerglings/", "/nowhere", "/healthz", "/metrics", "/"]
    replies = [shared.call("GET", path) for path in paths]
    replies.append(shared.call("POST", "/zerglings/", b"x" * 70_000))
    ids = [reply.headers["X-Request-ID"] for reply in replies]
    assert all(UUID_HEX.fullmatch(id_) for id_ in ids)
    assert len(set(ids)) == len(ids)


@pytest.mark.parametrize(
    "given",
    ["", " ", "a b", "a,b", "x" * 129, "ä".encode().decode("latin-1"), "a\tb", "<script>", 'a"b'],
)
def test_an_invalid_request_id_is_replaced(shared: Service, given: str) -> None:
    reply = shared.call("GET", "/healthz", headers={"X-Request-ID": given})
    assert UUID_HEX.fullmatch(reply.headers["X-Request-ID"])


@pytest.mark.parametrize(
    "header",
    [
        b"X-Request-ID: a\rX-Evil: 1",
        b"X-Request-ID: a\nX-Evil: 1",
        b"X-Request-ID: a\r\n X-Evil: 1",
        b"X-Request-ID: a%0d%0aX-Evil: 1",
        b"X-Request-ID: a\x00",
        b"X-Request-ID: a\r\nX-Request-ID: b",
    ],
)
def test_a_request_id_cannot_split_the_response_header(shared: Service, header: bytes) -> None:
    request = b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n" + header + b"\r\n\r\n"
    head = sent_raw(shared, request).partition(b"\r\n\r\n")[0].lower()
    assert b"x-evil" not in head
    assert b"x-request-id: a\r\n" not in head
    assert head.count(b"x-request-id") <= 1


def test_a_valid_traceparent_is_logged(shared: Service) -> None:
    line = answered(shared, "GET", "/zerglings/", traceparent=f"00-{TRACE}-{SPAN}-01")
    assert (line["trace_id"], line["span_id"]) == (TRACE, SPAN)
    later = answered(shared, "GET", "/zerglings/", traceparent=f"cc-{TRACE}-{SPAN}-01-what-else")
    assert later["trace_id"] == TRACE


@pytest.mark.parametrize(
    "parent",
    [
        "",
        "00",
        f"ff-{TRACE}-{SPAN}-01",
        f"00-{TRACE.upper()}-{SPAN}-01",
        f"00-{'0' * 32}-{SPAN}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"00-{TRACE}-{SPAN}-01-more",
        f"00-{TRACE}-{SPAN}",
        f"00-{TRACE}-{SPAN}-1",
        f"01-{TRACE}-{SPAN}-01.more",
        f"00-{TRACE}-{SPAN}-01, 00-{TRACE}-{SPAN}-01",
    ],
)
def test_an_invalid_traceparent_is_not_logged(shared: Service, parent: str) -> None:
    assert "trace_id" not in answered(shared, "GET", "/zerglings/", traceparent=parent)
