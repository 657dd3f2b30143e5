"""Tests that no input injects a response header or redirects to another host."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.proof.hostile.budget import TRIED
from tests.proof.hostile.wsgi import Call, Reply, answer_to

BREAKS = ("\r\n", "\n", "\r", "\0", "\u2028", "\x85", "\x0b", "%0d%0a", "%250d%250a", "\\r\\n")
PATHS = ("/zerglings/", "/zerglings", "/events", "/", "/schema/", "/docs/", "/_health", "/nowhere")
SAFE = re.compile(r"[\t\x20-\x7e]*")


def heads(reply: Reply) -> None:
    for name, value in reply.headers:
        assert SAFE.fullmatch(name + value), (name, value)
        assert name != "set-cookie"
        assert "evil.example" not in value


@pytest.mark.parametrize("mark", BREAKS)
def test_line_breaks_in_input_do_not_split_response_headers(served: Path, mark: str) -> None:
    evil = f"a{mark}Set-Cookie: a=b"
    as_bytes = evil.encode().decode("latin-1")
    quoted = "".join(f"%{byte:02x}" for byte in evil.encode())
    calls = [Call("GET", f"{path}{quoted}") for path in PATHS]
    calls += [Call("POST", f"{path}{quoted}", b"{}") for path in PATHS]
    calls += [
        Call("GET", f"{path}?{name}={quoted}") for path in PATHS for name in ("after", "format")
    ]
    calls += [
        Call(method, path, b"{}", {name: as_bytes, "Accept": accept})
        for name in ("X-Request-ID", "Idempotency-Key", "Traceparent", "If-None-Match", "Origin")
        for path in PATHS
        for method in ("GET", "POST", "OPTIONS")
        for accept in ("*/*", "text/html")
    ]
    for call in calls:
        TRIED["heads"] += 1
        heads(answer_to(call))


def test_links_and_locations_ignore_forged_hosts(served: Path) -> None:
    evil = {
        "Host": "evil.example",
        "X-Forwarded-Host": "evil.example",
        "Forwarded": "host=evil.example",
    }
    for accept in ("*/*", "text/html"):
        spawned = answer_to(Call("POST", "/zerglings", b"", evil | {"Accept": accept}))
        assert (spawned.header("location") or "").startswith("/zerglings/")
    for path in ("/zerglings?limit=1", "/", "/schema/", "/docs/", "/zerglings/", "/swarm/spawn"):
        for accept in ("*/*", "text/html"):
            reply = answer_to(Call("GET", path, headers=evil | {"Accept": accept}))
            heads(reply)
            assert b"evil.example" not in reply.body, (path, accept)
    link = answer_to(Call("GET", "/zerglings?limit=1", headers=evil)).header("link") or ""
    assert link.startswith("</zerglings?limit=1&after=")
