"""Requests that are expensive to answer, each as a function of its size."""

from __future__ import annotations

import json
from collections.abc import Callable

from tests.proof.hostile.wsgi import Call
from zerglings.api.parsers import MAX_FIELDS

HERE = "/zerglings/{id}"
"""The id of a living zergling."""

MULTIPART = {"Content-Type": "multipart/form-data; boundary=b"}
JSON = {"Content-Type": "application/json"}
FORM = {"Content-Type": "application/x-www-form-urlencoded"}
PART = b'--b\r\nContent-Disposition: form-data; name="f"\r\n\r\n1\r\n'

HEAD, BODY, SWARM = 8_000, 60_000, 2_000_000
"""Bytes just below the limits of a header or query, a body, and a bulk call's body."""

MANY, PARTS_HEAD = 1_000, 960
"""The framework's limit of form fields, and bytes just below the limit of a head."""


def _post(path: str, body: bytes, headers: dict[str, str]) -> Call:
    return Call("POST", path, body, headers)


def _get(name: str, value: str) -> Call:
    return Call("GET", HERE, headers={name: value})


def _form(inner: bytes) -> bytes:
    return PART + inner + b"\r\n--b--\r\n"


def _heads(count: int, size: int, line: bytes) -> Call:
    """Return a form of fields with heads of a given size; # stands for a field's number."""
    begin = b'Content-Disposition: form-data; name="f#"\r\n'
    field = begin + line * ((size - len(begin)) // len(line)) + b"\r\n1\r\n"
    parts = b"".join(b"--b\r\n" + field.replace(b"#", b"%d" % n) for n in range(count))
    return _post("/swarm/spawn", parts + b"--b--\r\n", MULTIPART)


Costly = Callable[[int], Call]
COSTLY: dict[str, tuple[int, Costly]] = {
    "tags": (HEAD, lambda n: _get("If-None-Match", ",".join(['""'] * (n // 3)))),
    "tags that end wrong": (HEAD, lambda n: _get("If-None-Match", '"",' * (n // 3) + "x")),
    "spaces between tags": (HEAD, lambda n: _get("If-None-Match", '""' + " " * n + "x")),
    "media ranges": (HEAD, lambda n: _get("Accept", "a/b," * (n // 4))),
    "parameters of a range": (HEAD, lambda n: _get("Accept", "a/b" + ";a=b" * (n // 4))),
    "quoted parameters": (HEAD, lambda n: _get("Accept", 'a/b;a="' + ";" * n)),
    "parameters of a type": (
        HEAD,
        lambda n: _post(HERE, b"M", {"Content-Type": "text/plain" + ";a=b" * (n // 4)}),
    ),
    "quotes in a type": (
        HEAD,
        lambda n: _post(HERE, b"M", {"Content-Type": 'text/plain;a="' + ";" * n}),
    ),
    "boundaries": (
        HEAD,
        lambda n: _post(HERE, b"M", {"Content-Type": "text/plain" + "; boundary " * (n // 11)}),
    ),
    "a trace": (HEAD, lambda n: _get("Traceparent", f"cc-{'1' * 32}-{'2' * 16}-01-" + "-" * n)),
    "a request's id": (HEAD, lambda n: _get("X-Request-ID", "a" * n + "!")),
    "cookies": (HEAD, lambda n: _get("Cookie", "a=b;" * (n // 4))),
    "a host": (HEAD, lambda n: _get("Host", "a." * (n // 2) + "!")),
    "a page's query": (
        HEAD,
        lambda n: Call("GET", f"/zerglings/?{'a&' * (n // 2)}", headers={"Accept": "text/html"}),
    ),
    "escapes in a query": (HEAD, lambda n: Call("GET", f"/zerglings/?a={'%41' * (n // 3)}")),
    "a path": (HEAD, lambda n: Call("GET", "/zerglings/" + "a" * n)),
    "slashes": (HEAD, lambda n: Call("GET", "/zerglings" + "/" * n)),
    "steps up": (HEAD, lambda n: Call("GET", "/static/" + "../" * (n // 3))),
    "a place in the feed": (
        HEAD,
        lambda n: Call("GET", "/events", headers={"Last-Event-ID": "9" * n}),
    ),
    "fields": (BODY, lambda n: _post(HERE, b"a=1&" * (n // 4), FORM)),
    "escaped fields": (BODY, lambda n: _post(HERE, b"command=" + b"%4d" * (n // 3), FORM)),
    "depth": (BODY, lambda n: _post(HERE, b"[" * n, JSON)),
    "deep objects": (BODY, lambda n: _post("/zerglings/", b'{"a":' * (n // 5), JSON)),
    "a number": (BODY, lambda n: _post("/zerglings/", b'{"facing":%b}' % (b"9" * n), JSON)),
    "a fraction": (BODY, lambda n: _post("/zerglings/", b'{"facing":0.%b}' % (b"1" * n), JSON)),
    "keys": (
        BODY,
        lambda n: _post(
            "/zerglings/", json.dumps({f"k{k}": 0 for k in range(n // 14)}).encode(), JSON
        ),
    ),
    "white space": (BODY, lambda n: _post(HERE, b" " * n, FORM)),
    "a form's fields": (
        MANY * len(PART),
        lambda n: _post("/swarm/spawn", _form(PART * (n // len(PART))), MULTIPART),
    ),
    "heads in a form": (
        MANY * PARTS_HEAD,
        lambda n: _heads(n // PARTS_HEAD, PARTS_HEAD, b"A:b;c=d\r\n"),
    ),
    "heads in as many fields as there may be": (
        MAX_FIELDS * PARTS_HEAD,
        lambda n: _heads(MAX_FIELDS, n // MAX_FIELDS, b"A:b;c=d\r\n"),
    ),
    "charsets in heads": (
        MANY * PARTS_HEAD,
        lambda n: _heads(n // PARTS_HEAD, 800, b"A:b;c*=x#''\r\n"),
    ),
    "parameters in heads": (
        MAX_FIELDS * PARTS_HEAD,
        lambda n: _heads(MAX_FIELDS, n // MAX_FIELDS, b"A:" + b";a=b" * (n // 110) + b"\r\n"),
    ),
    "a form's field": (SWARM, lambda n: _post("/swarm/spawn", _form(PART + b"x" * n), MULTIPART)),
    "a field's head": (
        PARTS_HEAD,
        lambda n: _heads(1, n, b"A:b\r\n"),
    ),
    "line breaks in a form": (
        SWARM,
        lambda n: _post("/swarm/spawn", _form(b"\r\n" * (n // 2)), MULTIPART),
    ),
    "near boundaries": (
        SWARM,
        lambda n: _post("/swarm/spawn", _form(b"\r\n--" * (n // 4)), MULTIPART),
    ),
    "base64 in a form": (
        SWARM,
        lambda n: _post(
            "/swarm/spawn",
            b'--b\r\nContent-Disposition: form-data; name="f"\r\n'
            b"Content-Transfer-Encoding: base64\r\n\r\n" + b"A" * n + b"\r\n--b--\r\n",
            MULTIPART,
        ),
    ),
    "nameless parts": (
        SWARM,
        lambda n: _post("/swarm/spawn", _form(b"--b\r\n\r\n\r\n" * (n // 9)), MULTIPART),
    ),
    "items that are none": (
        SWARM,
        lambda n: _post("/swarm/commands", b'{"commands":[%b0]}' % (b"0," * (n // 2)), JSON),
    ),
    "items' letters": (
        SWARM,
        lambda n: _post(
            "/swarm/commands", b'{"commands":[{"id":"a","command":"%b"}]}' % (b"M" * n), JSON
        ),
    ),
    "items that are single letters": (
        SWARM,
        lambda n: _post(
            "/swarm/commands",
            b'{"commands":[{"id":"a","command":[%b"M"]}]}' % (b'"M",' * (n // 4)),
            JSON,
        ),
    ),
    "escapes in JSON": (
        SWARM,
        lambda n: _post("/swarm/spawn", b'{"%b":1}' % (b"\\u0041" * (n // 6)), JSON),
    ),
}
