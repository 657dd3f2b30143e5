"""Tests that malformed or ambiguous HTTP gets a JSON error and closes the connection."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.support.backends import sqlite_backend
from tests.support.prometheus import Metrics
from tests.support.raw import all_from, answers_in, line_to, probe, read_until, sent
from tests.support.service import Service

HOST = b"Host: x\r\n"
SMUGGLED = b"POST /zerglings/ HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n"
"""A request that would spawn a zergling if the server parsed it."""

LINE, FIELD, FIELDS, HEAD = 8190, 8190, 100, 64 * 1024
"""The limits in bytes, and one in fields."""


def post(*fields: bytes, body: bytes = b"") -> bytes:
    head = b"".join(field + b"\r\n" for field in fields)
    return b"POST /zerglings/ HTTP/1.1\r\n" + HOST + head + b"\r\n" + body


def get(field: bytes) -> bytes:
    return b"GET /healthz HTTP/1.1\r\n" + HOST + field + b"\r\n\r\n"


CHUNKED = b"Transfer-Encoding: chunked"

MALFORMED = {
    "length and chunks": post(b"Content-Length: 5", CHUNKED, body=b"0\r\n\r\n"),
    "chunks and length": post(CHUNKED, b"Content-Length: 0", body=b"0\r\n\r\n"),
    "two lengths": post(b"Content-Length: 0", b"Content-Length: 90"),
    "two equal lengths": post(b"Content-Length: 0", b"Content-Length: 0"),
    "a list of lengths": post(b"Content-Length: 0, 0"),
    "a signed length": post(b"Content-Length: +0"),
    "a negative length": post(b"Content-Length: -1"),
    "a hexadecimal length": post(b"Content-Length: 0x0"),
    "a length with a low line": post(b"Content-Length: 1_0"),
    "an endless length": post(b"Content-Length: " + b"9" * 5000),
    "a length in other digits": post("Content-Length: \u00b2".encode("latin-1")),
    "an empty length": post(b"Content-Length:"),
    "a space before the colon": post(b"Content-Length : 0"),
    "chunked twice": post(b"Transfer-Encoding: chunked, chunked", body=b"0\r\n\r\n"),
    "chunked in two fields": post(CHUNKED, CHUNKED, body=b"0\r\n\r\n"),
    "chunked, then identity": post(b"Transfer-Encoding: chunked, identity", body=b"0\r\n\r\n"),
    "gzip alone": post(b"Transfer-Encoding: gzip"),
    "an unknown coding": post(b"Transfer-Encoding: xchunked", body=b"0\r\n\r\n"),
    "a coding with a control": post(b"Transfer-Encoding: \x0bchunked", body=b"0\r\n\r\n"),
    "chunks in HTTP/1.0": post(CHUNKED, body=b"0\r\n\r\n").replace(b"HTTP/1.1", b"HTTP/1.0"),
    "no chunk size": post(CHUNKED, body=b"\r\n\r\n"),
    "a chunk size of letters": post(CHUNKED, body=b"zz\r\n"),
    "a signed chunk size": post(CHUNKED, body=b"+1\r\nM\r\n0\r\n\r\n"),
    "a chunk size with 0x": post(CHUNKED, body=b"0x1\r\nM\r\n0\r\n\r\n"),
    "a chunk size with a space before": post(CHUNKED, body=b" 1\r\nM\r\n0\r\n\r\n"),
    "a chunk size after a bare LF": post(CHUNKED, body=b"1\nM\r\n0\r\n\r\n"),
    "a chunk that is longer than said": post(CHUNKED, body=b"1\r\nMM\r\n0\r\n\r\n"),
    "an endless chunk size": post(CHUNKED, body=b"0" * 20000),
    "an endless chunk extension": post(CHUNKED, body=b"1;" + b"a" * 20000),
    "a broken chunk extension": post(CHUNKED, body=b"1;a=\x00\r\nM\r\n0\r\n\r\n"),
    "a trailer that is none": post(CHUNKED, body=b"0\r\nnone\r\n\r\n"),
    "a length among the trailers": post(CHUNKED, body=b"0\r\nContent-Length: 9\r\n\r\n"),
    "a folded field": get(b"X-A: a\r\n b"),
    "a fold first": b"GET /healthz HTTP/1.1\r\n X-A: a\r\n" + HOST + b"\r\n",
    "a bare LF": get(b"X-A: a\nX-B: b"),
    "only bare LFs": b"GET /healthz HTTP/1.1\nHost: x\n\n",
    "a bare CR": get(b"X-A: a\rX-B: b"),
    "a NUL in a value": get(b"X-A: a\x00b"),
    "a NUL in a name": get(b"X-\x00A: a"),
    "a NUL in the URL": b"GET /healthz\x00 HTTP/1.1\r\n" + HOST + b"\r\n",
    "a name of nothing": get(b": a"),
    "a field without a colon": get(b"nothing"),
    "two hosts": get(b"Host: y"),
    "no host": b"GET /healthz HTTP/1.1\r\n\r\n",
    "a raw space in the URL": b"GET /heal thz HTTP/1.1\r\n" + HOST + b"\r\n",
    "a raw umlaut in the URL": b"GET /\xe4 HTTP/1.1\r\n" + HOST + b"\r\n",
    "no URL": b"GET  HTTP/1.1\r\n" + HOST + b"\r\n",
    "no version": b"GET /healthz\r\n" + HOST + b"\r\n",
    "HTTP/0.9": b"GET /healthz HTTP/0.9\r\n\r\n",
    "HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "HTTP/1.11": b"GET /healthz HTTP/1.11\r\n" + HOST + b"\r\n",
    "a small method": b"get /healthz HTTP/1.1\r\n" + HOST + b"\r\n",
    "an authority": b"GET x:80 HTTP/1.1\r\n" + HOST + b"\r\n",
    "TLS": bytes.fromhex("16030100a5010000a10303") + b"\x00" * 40 + b"\r\n\r\n",
    "lines of nothing": b"\r\n\r\n\r\n",
}


@pytest.mark.parametrize("data", MALFORMED.values(), ids=MALFORMED.keys())
def test_ambiguous_requests_get_a_400_and_a_closed_connection(shared: Service, data: bytes) -> None:
    before = shared.call("GET", "/zerglings/").body
    (answer,) = sent(shared, data + SMUGGLED)
    assert answer.status == 400
    assert answer.headers["Content-Type"] == "application/json"
    assert answer.headers["Connection"] == "close"
    assert answer.json.keys() == {"error"}
    assert shared.call("GET", "/zerglings/").body == before


TOO_MUCH = {
    "URL": (414, b"GET /" + b"a" * LINE + b" HTTP/1.1\r\n" + HOST + b"\r\n"),
    "endless URL": (414, b"GET /" + b"a" * 20 * LINE),
    "field": (431, get(b"X-A: " + b"a" * FIELD)),
    "number of fields": (431, get(b"\r\n".join([b"X-A: a"] * FIELDS))),
    "head": (431, get(b"\r\n".join(b"X-A: " + b"a" * 8000 for _ in range(9)))),
    "endless head": (431, b"GET / HTTP/1.1\r\n" + b"X-A: a\r\n" * HEAD),
    "trailers": (400, post(CHUNKED, body=b"0\r\n" + b"X-A: a\r\n" * (FIELDS + 1) + b"\r\n")),
    "body": (413, post(b"Content-Length: 99999999", body=b"M" * 70_000)),
    "chunked body": (413, post(CHUNKED, body=b"11171\r\n" + b"M" * 70_001 + b"\r\n0\r\n\r\n")),
    "unknown method": (501, b"BREW /healthz HTTP/1.1\r\n" + HOST + b"\r\n"),
    "CONNECT": (501, b"CONNECT x:80 HTTP/1.1\r\n" + HOST + b"\r\n"),
    "expectation": (417, get(b"Expect: the unexpected")),
    "compression": (415, post(b"Content-Encoding: gzip", b"Content-Length: 9", body=b"M" * 9)),
}


@pytest.mark.parametrize(("status", "data"), TOO_MUCH.values(), ids=TOO_MUCH.keys())
def test_oversized_requests_get_an_error_and_a_closed_connection(
    shared: Service, status: int, data: bytes
) -> None:
    before = shared.call("GET", "/zerglings/").body
    (answer,) = sent(shared, data + SMUGGLED)
    assert answer.status == status
    assert answer.headers["Connection"] == "close"
    assert answer.json.keys() == {"error"}
    assert shared.call("GET", "/zerglings/").body == before


def test_requests_at_the_size_limits_are_served(shared: Service) -> None:
    url = b"GET /healthz?" + b"a" * (LINE - len("GET /healthz? HTTP/1.1")) + b" HTTP/1.1\r\n"
    fields = b"\r\n".join([b"X-A: a"] * (FIELDS - 2))
    for data in (url + HOST, get(b"X-A: " + b"a" * (FIELD - 7))[:-2], get(fields)[:-2]):
        (answer,) = sent(shared, data + b"Connection: close\r\n\r\n")
        assert answer.status == 200


def test_an_error_about_a_malformed_head_repeats_none_of_it(shared: Service) -> None:
    for data in (b"G\x00ET /hunter2 HTTP/1.1\r\n\r\n", get(b"X-hunter2 hunter2")):
        with line_to(shared) as line:
            line.sendall(data)
            assert b"hunter2" not in all_from(line)
    assert "hunter2" not in shared.log


def test_requests_cannot_forge_log_lines(shared: Service) -> None:
    forged = b"2026-01-01T00:00:00.000Z ERROR forged"
    for ending in (b"\r\n", b"\n", b"\r", b"\x0b", b"\x0c", b"\x1b[2K", b"\xe2\x80\xa8", b"\x85"):
        sent(shared, b"GET /" + ending + forged + b" HTTP/1.1\r\n" + HOST + b"\r\n")
        sent(shared, get(b"X-Request-ID: a" + ending + forged + b"\r\nConnection: close"))
    assert "forged" not in shared.log
    assert all(re.match(r"\d{4}-\d\d-\d\dT|    ", line) for line in shared.log.splitlines())


def test_malformed_requests_are_counted(shared: Service) -> None:
    name = "overmind_connections_dropped_total"
    before = Metrics.of(shared).total(name, reason="malformed")
    sent(shared, MALFORMED["a bare LF"])
    assert Metrics.of(shared).total(name, reason="malformed") == before + 1


def test_a_rejected_body_is_read_so_that_the_response_arrives(shared: Service) -> None:
    """A client that sends everything before reading would otherwise get a reset."""
    reply = shared.call("POST", "/zerglings/", b"x" * 4_000_000)
    assert reply.status == 413
    assert reply.headers["Connection"] == "close"


def test_a_truncated_request_changes_nothing(shared: Service) -> None:
    before = shared.call("GET", "/zerglings/").body
    for data in (
        SMUGGLED[:-2],
        post(b"Content-Length: 9", body=b"{}"),
        post(CHUNKED, body=b"2\r\n{}\r\n"),
        post(CHUNKED, body=b"2\r\n{}\r\n0\r\n"),
        post(CHUNKED, body=b"9\r\n{}"),
    ):
        with line_to(shared) as line:
            line.sendall(data)
            line.shutdown(1)
            assert {answer.status for answer in answers_in(all_from(line))} <= {400}
    assert shared.call("GET", "/zerglings/").body == before


# What is rightly served


def test_pipelined_requests_are_answered_in_order(shared: Service) -> None:
    requests = [b"GET /healthz", b"HEAD /healthz", b"GET /nowhere", b"GET /_health"]
    data = b"".join(request + b" HTTP/1.1\r\n" + HOST + b"\r\n" for request in requests[::2] * 20)
    answers = sent(shared, data + get(b"Connection: close"))
    assert [answer.status for answer in answers] == [200, 404] * 20 + [200]


def test_http_1_0_connections_close_unless_kept_alive(shared: Service) -> None:
    (answer,) = sent(shared, b"GET /healthz HTTP/1.0\r\n\r\n")
    assert (answer.status, answer.headers["Connection"]) == (200, "close")
    with line_to(shared) as line:
        line.sendall(b"GET /healthz HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
        line.sendall(b"GET /healthz HTTP/1.0\r\n\r\n")
        assert [answer.status for answer in answers_in(all_from(line))] == [200, 200]


def test_a_100_continue_is_sent_before_the_body(shared: Service) -> None:
    with line_to(shared) as line:
        line.sendall(post(b"Expect: 100-Continue", b"Content-Length: 1", b"Connection: close"))
        assert line.recv(4096) == b"HTTP/1.1 100 Continue\r\n\r\n"
        line.sendall(b"{")
        assert answers_in(all_from(line))[0].status in (201, 400)
    (answer,) = sent(shared, get(b"Expect: 100-continue").replace(b"HTTP/1.1", b"HTTP/1.0"))
    assert answer.status == 200


def test_a_head_response_has_no_body_and_keeps_the_connection(shared: Service) -> None:
    with line_to(shared) as line:
        line.sendall(b"HEAD /healthz HTTP/1.1\r\n" + HOST + b"\r\n")
        assert read_until(line, b"\r\n\r\n").startswith(b"HTTP/1.1 200 OK\r\n")
        probe(line)
    refused = CHUNKED + b"\r\n\r\nzz\r\n"
    (answer,) = sent(shared, b"HEAD /healthz HTTP/1.1\r\n" + HOST + refused, method="HEAD")
    assert (answer.status, answer.body) == (400, b"")


def test_a_body_in_small_chunks_is_read_completely(tmp_path: Path) -> None:
    with Service(sqlite_backend(tmp_path).environment, tmp_path) as service:
        body = b'{"facing":"W"}'
        chunks = [b"1;a=b\r\n" + bytes([byte]) + b"\r\n" for byte in body]
        head = post(CHUNKED, b"Content-Type: application/json", b"Connection: close")
        (answer,) = sent(service, head, *chunks, b"0\r\nX-Trailer: a\r\n\r\n")
        assert answer.status == 201
        assert answer.json["zergling"]["facing"] == "W"
