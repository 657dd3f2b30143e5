"""Tests that invalid input gets its 4xx and changes nothing, over the real store."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.support.backends import sqlite_backend
from tests.support.service import Service
from tests.support.waiting import wait_until

JSON = {"Content-Type": "application/json"}
FORM = {"Content-Type": "application/x-www-form-urlencoded"}
MULTIPART = {"Content-Type": "multipart/form-data; boundary=b"}
BYTES = {"Content-Type": "application/octet-stream"}
HERE = "/zerglings/{id}"
DEEP = b"[" * 30_000 + b"]" * 30_000
NOWHERE = "/zerglings/00000000-0000-4000-8000-000000000000"


@dataclass(frozen=True)
class Bad:
    status: int
    method: str
    path: str
    body: bytes | None = None
    headers: dict[str, str] = field(default_factory=lambda: dict(JSON))


def part(name: str, value: str, extra: str = "") -> bytes:
    return (
        f'--b\r\nContent-Disposition: form-data; name="{name}"{extra}\r\n\r\n{value}\r\n'.encode()
    )


BAD: dict[str, Bad] = {
    # commands
    "no body": Bad(400, "POST", HERE, b""),
    "white space": Bad(400, "POST", HERE, b" \n"),
    "unknown letter": Bad(400, "POST", HERE, b'"X"'),
    "lower case": Bad(400, "POST", HERE, b'"m"'),
    "one wrong of many": Bad(400, "POST", HERE, b'"MMXM"'),
    "empty string": Bad(400, "POST", HERE, b'""'),
    "empty list": Bad(400, "POST", HERE, b"[]"),
    "list of words": Bad(400, "POST", HERE, b'["MM"]'),
    "list of numbers": Bad(400, "POST", HERE, b"[1]"),
    "nested list": Bad(400, "POST", HERE, b'[["M"]]'),
    "number": Bad(400, "POST", HERE, b"1"),
    "null": Bad(400, "POST", HERE, b"null"),
    "true": Bad(400, "POST", HERE, b"true"),
    "empty object": Bad(400, "POST", HERE, b"{}"),
    "command null": Bad(400, "POST", HERE, b'{"command":null}'),
    "command number": Bad(400, "POST", HERE, b'{"command":1}'),
    "command object": Bad(400, "POST", HERE, b'{"command":{"a":1}}'),
    "command and more": Bad(400, "POST", HERE, b'{"command":"M","x":1}'),
    "wrong field": Bad(400, "POST", HERE, b'{"cmd":"M"}'),
    "cut string": Bad(400, "POST", HERE, b'"M'),
    "cut object": Bad(400, "POST", HERE, b'{"command":"M"'),
    "two values": Bad(400, "POST", HERE, b'"M" "M"'),
    "single quotes": Bad(400, "POST", HERE, b"'M'"),
    "NaN": Bad(400, "POST", HERE, b"[NaN]"),
    "invalid UTF-8": Bad(400, "POST", HERE, b'"\xff"'),
    "bare invalid UTF-8": Bad(400, "POST", HERE, b"\xff\xfe"),
    "UTF-16": Bad(400, "POST", HERE, '"M"'.encode("utf-16")),
    "byte order mark": Bad(400, "POST", HERE, b'\xef\xbb\xbf"M"'),
    "lone surrogate": Bad(400, "POST", HERE, b'"\\ud800"'),
    "NUL": Bad(400, "POST", HERE, b"\0"),
    "NUL after a command": Bad(400, "POST", HERE, b"M\0"),
    "NUL in JSON": Bad(400, "POST", HERE, b'"M\\u0000"'),
    "deep nesting": Bad(400, "POST", HERE, DEEP),
    "deep command": Bad(400, "POST", HERE, b'{"command":' + DEEP + b"}"),
    "1001 commands": Bad(400, "POST", HERE, b'"' + b"M" * 1001 + b'"'),
    "60,000 commands": Bad(400, "POST", HERE, b"M" * 60_000, FORM),
    "the word of death": Bad(400, "POST", HERE, b'"DIED"'),
    "death in a list": Bad(400, "POST", HERE, b'["DIED"]'),
    "form without command": Bad(400, "POST", HERE, b"cmd=M", FORM),
    "form with two commands": Bad(400, "POST", HERE, b"command=M&command=L", FORM),
    "form with empty command": Bad(400, "POST", HERE, b"command=", FORM),
    "form with more": Bad(400, "POST", HERE, b"command=M&x=1", FORM),
    "form with wrong escapes": Bad(400, "POST", HERE, b"command=%FF", FORM),
    "multipart without command": Bad(400, "POST", HERE, part("x", "M") + b"--b--\r\n", MULTIPART),
    "multipart, twice": Bad(
        400, "POST", HERE, part("command", "M") + part("command", "M") + b"--b--\r\n", MULTIPART
    ),
    "multipart with a file": Bad(
        400, "POST", HERE, part("command", "M", '; filename="a"') + b"--b--\r\n", MULTIPART
    ),
    "multipart without boundary": Bad(
        400, "POST", HERE, part("command", "M"), {"Content-Type": "multipart/form-data"}
    ),
    "multipart of rubbish": Bad(400, "POST", HERE, b"rubbish", MULTIPART),
    # spawns
    "spawn list": Bad(400, "POST", "/zerglings/", b"[]"),
    "spawn string": Bad(400, "POST", "/zerglings/", b'"M"'),
    "spawn cut JSON": Bad(400, "POST", "/zerglings/", b'{"facing":'),
    "spawn deep": Bad(400, "POST", "/zerglings/", DEEP),
    "spawn unknown field": Bad(400, "POST", "/zerglings/", b'{"colour":"red"}'),
    "spawn with an id": Bad(400, "POST", "/zerglings/", b'{"id":"x"}'),
    "spawn facing wrong": Bad(400, "POST", "/zerglings/", b'{"facing":"NE"}'),
    "spawn facing null": Bad(400, "POST", "/zerglings/", b'{"facing":null}'),
    "spawn facing list": Bad(400, "POST", "/zerglings/", b'{"facing":["N"]}'),
    "spawn facing object": Bad(400, "POST", "/zerglings/", b'{"facing":{}}'),
    "spawn location null": Bad(400, "POST", "/zerglings/", b'{"location":null}'),
    "spawn location list": Bad(400, "POST", "/zerglings/", b'{"location":[0,0]}'),
    "spawn half a location": Bad(400, "POST", "/zerglings/", b'{"location":{"x":1}}'),
    "spawn location and z": Bad(400, "POST", "/zerglings/", b'{"location":{"x":1,"y":1,"z":1}}'),
    "spawn too far": Bad(400, "POST", "/zerglings/", b'{"location":{"x":9007199254740992,"y":0}}'),
    "spawn far too far": Bad(
        400, "POST", "/zerglings/", b'{"location":{"x":' + b"9" * 5000 + b',"y":0}}'
    ),
    "spawn infinity": Bad(400, "POST", "/zerglings/", b'{"location":{"x":1e999,"y":0}}'),
    "spawn fraction": Bad(400, "POST", "/zerglings/", b'{"location":{"x":1.5,"y":0}}'),
    "spawn beyond the largest fraction": Bad(
        400, "POST", "/zerglings/", b'{"location":{"x":9007199254740993.0,"y":0}}'
    ),
    "spawn whole, but too large a fraction": Bad(
        400, "POST", "/zerglings/", b'{"location":{"x":1e300,"y":0}}'
    ),
    "spawn true": Bad(400, "POST", "/zerglings/", b'{"location":{"x":true,"y":0}}'),
    "spawn text": Bad(400, "POST", "/zerglings/", b'{"location":{"x":"1","y":0}}'),
    "spawn object under curl's type": Bad(400, "POST", "/zerglings/", b'{"facing":1}', FORM),
    "spawn form fraction": Bad(
        400,
        "POST",
        "/zerglings/",
        part("location.x", "1.5") + part("location.y", "0") + b"--b--\r\n",
        MULTIPART,
    ),
    "spawn form huge": Bad(
        400,
        "POST",
        "/zerglings/",
        part("location.x", "9" * 5000) + part("location.y", "0") + b"--b--\r\n",
        MULTIPART,
    ),
    "spawn form both ways": Bad(
        400,
        "POST",
        "/zerglings/",
        part("location", "5") + part("location.x", "3") + b"--b--\r\n",
        MULTIPART,
    ),
    "spawn form of rubbish": Bad(400, "POST", "/zerglings/", b"rubbish", MULTIPART),
    "spawn form that ends early": Bad(400, "POST", "/zerglings/", part("facing", "E"), MULTIPART),
    "spawn form under another boundary": Bad(
        400, "POST", "/zerglings/", part("facing", "E").replace(b"--b", b"--c"), MULTIPART
    ),
    "spawn form with a part without a name": Bad(
        400, "POST", "/zerglings/", b"--b\r\n\r\nE\r\n--b--\r\n", MULTIPART
    ),
    "spawn form with a name in two ways": Bad(
        400,
        "POST",
        "/zerglings/",
        b"--b\r\nContent-Disposition: form-data; name*=utf-8''x; name*0=y\r\n\r\nE\r\n--b--\r\n",
        MULTIPART,
    ),
    "spawn form with a name in two ways, both empty": Bad(
        400,
        "POST",
        "/zerglings/",
        b"--b\r\nContent-Disposition: form-data; name*; name*0\r\n\r\nE\r\n--b--\r\n",
        MULTIPART,
    ),
    "spawn form with a charset that is none": Bad(
        400, "POST", "/zerglings/", part("facing", "E", "; a*=nope''%41") + b"--b--\r\n", MULTIPART
    ),
    "spawn form without a boundary": Bad(
        400, "POST", "/zerglings/", b"{}", {"Content-Type": "multipart/form-data"}
    ),
    "spawn with a file": Bad(
        400, "POST", "/zerglings/", part("facing", "E", '; filename="a"') + b"--b--\r\n", MULTIPART
    ),
    "spawn form of 1100 fields": Bad(
        400,
        "POST",
        "/zerglings/",
        b"".join(part(f"f{n}", "1") for n in range(1100))[:60_000] + b"\r\n--b--\r\n",
        MULTIPART,
    ),
    "compressed": Bad(415, "POST", HERE, b"M", FORM | {"Content-Encoding": "gzip"}),
    # sizes
    "1 MiB command": Bad(413, "POST", HERE, b"M" * 2**20),
    "1 MiB spawn": Bad(413, "POST", "/zerglings/", b" " * 2**20, FORM),
    "one byte too many": Bad(413, "POST", HERE, b" " * (64 * 1024) + b"M"),
    "1 MiB to nowhere": Bad(413, "PUT", "/", b" " * 2**20, FORM),
    # ids
    "no such zergling": Bad(404, "POST", NOWHERE, b'"M"'),
    "no such zergling to get": Bad(404, "GET", NOWHERE),
    "no such zergling to delete": Bad(404, "DELETE", NOWHERE),
    "upper case id": Bad(404, "POST", "/zerglings/{ID}", b'"M"'),
    "short id": Bad(404, "POST", "/zerglings/abc", b'"M"'),
    "id without dashes": Bad(404, "GET", "/zerglings/{hex}"),
    "id in braces": Bad(404, "GET", "/zerglings/%7B{id}%7D"),
    "id with a space": Bad(404, "GET", "/zerglings/{id}%20"),
    "id with a line feed": Bad(404, "GET", "/zerglings/{id}%0A"),
    "id with a NUL": Bad(404, "GET", "/zerglings/{id}%00"),
    "id not UTF-8": Bad(404, "GET", "/zerglings/%FF%FE"),
    "id of another alphabet": Bad(404, "GET", "/zerglings/%D9%A0" + "0" * 35),
    "database path": Bad(404, "GET", "/zerglings/_all_docs"),
    "design document": Bad(404, "GET", "/zerglings/_design%2Fx"),
    "step up": Bad(404, "GET", "/zerglings/%2E%2E"),
    "encoded slash": Bad(404, "GET", "/zerglings/..%2F_users"),
    "long id": Bad(404, "GET", "/zerglings/" + "a" * 3000),
    "nothing there": Bad(404, "GET", "/zergling"),
    "below a zergling": Bad(404, "GET", "/zerglings/{id}/x"),
    "two slashes": Bad(404, "GET", "/zerglings//"),
    # methods
    "PUT": Bad(405, "PUT", HERE, b'{"command":"M"}'),
    "PATCH": Bad(405, "PATCH", HERE, b'{"command":"M"}'),
    "DELETE all": Bad(405, "DELETE", "/zerglings/"),
    "PUT all": Bad(405, "PUT", "/zerglings/", b"{}"),
    "TRACE": Bad(405, "TRACE", HERE),
    "BREW": Bad(405, "BREW", HERE),
    "POST health": Bad(405, "POST", "/_health", b""),
    # media types
    "XML command": Bad(415, "POST", HERE, b"<M/>", {"Content-Type": "application/xml"}),
    "binary rubbish": Bad(400, "POST", HERE, b"\x00\x01", BYTES),
    "binary spawn cut": Bad(400, "POST", "/zerglings/", b'{"facing":', BYTES),
    "binary swarm": Bad(400, "POST", "/swarm/spawn", b"M", BYTES),
    "picture as a command": Bad(415, "POST", HERE, b"M", {"Content-Type": "image/png"}),
    "other application": Bad(415, "POST", HERE, b"M", {"Content-Type": "application/x-octet"}),
    "YAML spawn": Bad(415, "POST", "/zerglings/", b"a: 1", {"Content-Type": "text/yaml"}),
    "senseless type": Bad(415, "POST", HERE, b'"M"', {"Content-Type": "rubbish"}),
    "XML wanted": Bad(406, "GET", HERE, None, {"Accept": "application/xml"}),
    "picture wanted": Bad(406, "GET", "/zerglings/", None, {"Accept": "image/png"}),
    # queries and conditions
    "limit 0": Bad(400, "GET", "/zerglings/?limit=0"),
    "limit -1": Bad(400, "GET", "/zerglings/?limit=-1"),
    "limit 1001": Bad(400, "GET", "/zerglings/?limit=1001"),
    "limit huge": Bad(400, "GET", "/zerglings/?limit=" + "9" * 3000),
    "limit with zeros and more": Bad(400, "GET", "/zerglings/?limit=0000000010000"),
    "limit text": Bad(400, "GET", "/zerglings/?limit=ten"),
    "limit fraction": Bad(400, "GET", "/zerglings/?limit=1.5"),
    "limit empty": Bad(400, "GET", "/zerglings/?limit="),
    "limit of another alphabet": Bad(400, "GET", "/zerglings/?limit=%D9%A1"),
    "limit twice": Bad(400, "GET", "/zerglings/?limit=1&limit=2"),
    "offset -1": Bad(400, "GET", HERE + "/history?offset=-1"),
    "offset text": Bad(400, "GET", HERE + "/history?offset=first"),
    "offset huge": Bad(400, "GET", HERE + "/history?offset=" + "9" * 3000),
    "history limit 0": Bad(400, "GET", HERE + "/history?limit=0"),
    "history limit 1001": Bad(400, "GET", HERE + "/history?limit=1001"),
    "history of a bad id": Bad(404, "GET", "/zerglings/..%2f_users/history"),
    "history deeper": Bad(404, "GET", HERE + "/history/more"),
    "key empty": Bad(400, "POST", HERE, b"M", FORM | {"Idempotency-Key": ""}),
    "key with a space": Bad(400, "POST", HERE, b"M", FORM | {"Idempotency-Key": "a b"}),
    "key too long": Bad(400, "POST", HERE, b"M", FORM | {"Idempotency-Key": "k" * 129}),
    "key of a spawn": Bad(400, "POST", "/zerglings/", b"", FORM | {"Idempotency-Key": "\xe9"}),
    "1100 parameters": Bad(400, "GET", "/zerglings/?" + "a&" * 1100),
    "after nonsense": Bad(400, "GET", "/zerglings/?limit=1&after=x"),
    "after a NUL": Bad(400, "GET", "/zerglings/?after=%00"),
    "If-Match without quotes": Bad(400, "POST", HERE, b'"M"', JSON | {"If-Match": "1-abc"}),
    "If-Match empty": Bad(400, "POST", HERE, b'"M"', JSON | {"If-Match": ""}),
    "If-Match of another": Bad(412, "POST", HERE, b'"M"', JSON | {"If-Match": '"1-abc"'}),
    "If-Match to delete": Bad(412, "DELETE", HERE, None, {"If-Match": '"1-abc"'}),
    "If-Match half quoted": Bad(400, "POST", HERE, b'"M"', JSON | {"If-Match": '"1-abc", 1-abc'}),
    "If-Match without a comma": Bad(400, "POST", HERE, b'"M"', JSON | {"If-Match": '"1-a" "1-b"'}),
    "If-Match of nothing": Bad(400, "DELETE", HERE, None, {"If-Match": " , "}),
    "If-Match weak of another": Bad(412, "POST", HERE, b'"M"', JSON | {"If-Match": 'W/"1-abc"'}),
}


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    directory: Path = tmp_path_factory.mktemp("bad-input")
    with Service(sqlite_backend(directory).environment, directory) as service:
        yield service
        assert "Traceback" not in service.log
        assert " 500 duration_ms=" not in service.log


@pytest.fixture(scope="module")
def zergling_id(service: Service) -> str:
    zergling_id = service.spawn()
    service.call("POST", f"/zerglings/{zergling_id}", '"MR"')
    return zergling_id


def state(service: Service, zergling_id: str) -> tuple[bytes, bytes]:
    return service.call("GET", "/zerglings/").body, service.call(
        "GET", f"/zerglings/{zergling_id}"
    ).body


@pytest.mark.parametrize("name", BAD)
def test_invalid_input_is_rejected_and_changes_nothing(
    service: Service, zergling_id: str, name: str
) -> None:
    bad = BAD[name]
    before = state(service, zergling_id)
    path = (
        bad.path.replace("{id}", zergling_id)
        .replace("{ID}", zergling_id.upper())
        .replace("{hex}", zergling_id.replace("-", ""))
    )
    reply = service.call(bad.method, path, bad.body, bad.headers)
    assert reply.status == bad.status, reply.body
    assert reply.headers["Content-Type"] == "application/json"
    error = json.loads(reply.body)
    assert list(error) == ["error"]
    assert len(error["error"]) > 10
    assert error["error"].endswith(".")
    assert "Traceback" not in error["error"]
    if bad.status == 405:
        assert "GET" in reply.headers["Allow"]
    assert state(service, zergling_id) == before


CODECS = ("rot13", "zlib", "base64", "idna", "punycode", "undefined", "utf-7", "utf-16", "nope")


@pytest.mark.parametrize("codec", CODECS)
def test_bodies_are_decoded_as_utf8_whatever_charset_they_declare(
    service: Service, zergling_id: str, codec: str
) -> None:
    for parameter in (f"charset={codec}", f"charset*=utf-8''{codec}", f"a*={codec}''%41"):
        headers = {"Content-Type": f"text/plain; {parameter}"}
        path = f"/zerglings/{zergling_id}?format=%6ason"
        assert service.call("POST", path, b"M", headers).status == 200
        assert service.call("POST", path, b"x", headers).status == 400


@pytest.mark.parametrize("number", ["1.0", "1e0", "10e-1", "0.1e1"])
def test_a_whole_number_may_be_written_as_a_fraction(service: Service, number: str) -> None:
    body = f'{{"location":{{"x":{number},"y":-0.0}}}}'
    spawned = service.call("POST", "/zerglings/", body, JSON)
    assert spawned.status == 201
    assert b'"location":{"x":1,"y":0}' in spawned.body


def exchange(service: Service, request: bytes) -> bytes:
    """Send bytes as they are, and return all that comes back until the server closes."""
    with socket.create_connection(("127.0.0.1", service.port), timeout=10) as connection:
        connection.sendall(request)
        connection.shutdown(socket.SHUT_WR)
        received = b""
        while data := connection.recv(65536):
            received += data
        return received


def raw(method: str, path: str, headers: list[str], body: bytes = b"") -> bytes:
    head = [f"{method} {path} HTTP/1.1", "Host: localhost", "Connection: close", *headers, "", ""]
    return "\r\n".join(head).encode("latin-1") + body


RAW: dict[str, tuple[list[str], bytes]] = {
    "two lengths": (["Content-Length: 3", "Content-Length: 4"], b'"M"x'),
    "length and chunks": (
        ["Content-Length: 3", "Transfer-Encoding: chunked"],
        b'3\r\n"M"\r\n0\r\n\r\n',
    ),
    "a length that is no number": (["Content-Length: x"], b'"M"'),
    "a negative length": (["Content-Length: -1"], b'"M"'),
    "a body shorter than its length": (["Content-Length: 9"], b"M"),
    "a chunk that breaks off": (["Transfer-Encoding: chunked"], b"5\r\nMM"),
    "chunks of rubbish": (["Transfer-Encoding: chunked"], b"zz\r\nM\r\n0\r\n\r\n"),
    "another encoding": (["Transfer-Encoding: rot13", "Content-Length: 3"], b'"M"'),
    "two encodings": (["Transfer-Encoding: gzip, chunked"], b"1\r\nM\r\n0\r\n\r\n"),
    "a header without a name": ([": x", "Content-Length: 3"], b'"M"'),
    "a header with a NUL": (["X-A: a\0b", "Content-Length: 3"], b'"M"'),
    "a folded header": (["X-A: a", " b", "Content-Length: 3"], b'"M"'),
    "two conditions, one wrong": (['If-Match: "1-a"', "If-Match: x", "Content-Length: 3"], b'"M"'),
    "two content types": (
        ["Content-Type: application/xml", "Content-Type: application/json", "Content-Length: 3"],
        b'"M"',
    ),
    "too long a header": ([f"X-A: {'a' * 20_000}", "Content-Length: 3"], b'"M"'),
    "too many headers": ([f"X-{n}: a" for n in range(500)] + ["Content-Length: 3"], b'"M"'),
    "too many chunks": (
        ["Transfer-Encoding: chunked"],
        b"1000\r\n"
        + b"M" * 0x1000
        + b"\r\n"
        + b"f000\r\n"
        + b"M" * 0xF000
        + b"\r\n1\r\nM\r\n0\r\n\r\n",
    ),
}


@pytest.mark.parametrize("name", RAW)
def test_malformed_http_is_rejected_and_changes_nothing(
    service: Service, zergling_id: str, name: str
) -> None:
    headers, body = RAW[name]
    before = state(service, zergling_id)
    answer = exchange(service, raw("POST", f"/zerglings/{zergling_id}", headers, body))
    # A peer that broke off may get no answer at all; what it must not get is a success.
    # RFC 9112 (6.1) has a 501 for a transfer coding that the server does not know.
    assert answer == b"" or answer.startswith((b"HTTP/1.1 4", b"HTTP/1.1 501")), answer
    assert state(service, zergling_id) == before


def test_a_chunked_body_is_read_completely(service: Service, zergling_id: str) -> None:
    before = service.call("GET", f"/zerglings/{zergling_id}").json["zergling"]["commandHistory"]
    chunks = b'2\r\n"M\r\n2\r\nM"\r\n0\r\n\r\n'
    answer = exchange(
        service, raw("POST", f"/zerglings/{zergling_id}", ["Transfer-Encoding: chunked"], chunks)
    )
    assert answer.startswith(b"HTTP/1.1 200")
    after = service.call("GET", f"/zerglings/{zergling_id}").json["zergling"]["commandHistory"]
    assert after == [*before, "M", "M"]


def test_two_if_match_headers_form_one_list(service: Service, zergling_id: str) -> None:
    tag = service.call("GET", f"/zerglings/{zergling_id}").headers["ETag"]
    headers = ['If-Match: "1-a"', f"If-Match: {tag}", "Content-Length: 3"]
    answer = exchange(service, raw("POST", f"/zerglings/{zergling_id}", headers, b'"M"'))
    assert answer.startswith(b"HTTP/1.1 200")


def test_a_client_cannot_set_the_script_name(service: Service) -> None:
    for name in ("SCRIPT_NAME", "PATH_INFO", "Script-Name"):
        assert service.call("GET", "/zerglings/", headers={name: "/evil"}).status == 200


def test_an_empty_accept_header_counts_as_missing(service: Service) -> None:
    reply = service.call("GET", "/zerglings/", headers={"Accept": ""})
    assert (reply.status, reply.headers["Content-Type"]) == (200, "application/json")


def test_a_rejected_request_is_logged_with_its_status(service: Service) -> None:
    """As the end of the service here relies on, when it looks for a 500."""
    assert service.call("POST", f"/zerglings/{service.spawn()}", "X").status == 400
    wait_until(lambda: " 400 duration_ms=" in service.log, "the request is logged")
