"""Tests that any request gets a documented response, and that a rejected one changes nothing."""

from __future__ import annotations

import hashlib
import re
import sqlite3
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given

from tests.proof.hostile.budget import TRIED, tries
from tests.proof.hostile.requests import ALIVE, CALLS
from tests.proof.hostile.wsgi import Call, Reply, answer_to

STATUSES = {200, 201, 204, 304, 400, 404, 405, 406, 412, 413, 415, 422}
NOT_A_HEADER = re.compile(r"[\r\n\0]")


class Target:
    """The zergling that requests target; replaced when it dies."""

    def __init__(self, directory: Path) -> None:
        self._file = sqlite3.connect(directory / "overmind.sqlite3")
        self._spawn()

    def _spawn(self) -> None:
        self.id = answer_to(Call("POST", "/zerglings/")).json["zergling"]["id"]

    def aimed(self, call: Call) -> Call:
        if answer_to(Call("GET", f"/zerglings/{self.id}")).status != 200:
            self._spawn()
        body = call.body.replace(ALIVE.encode(), self.id.encode())
        return replace(call, target=call.target.replace(ALIVE, self.id), body=body)

    def digest(self) -> str:
        """Return a digest of the store's content."""
        digest = hashlib.sha256()
        for (table,) in self._file.execute(
            "SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name"
        ).fetchall():
            for row in self._file.execute(f'SELECT * FROM "{table}"'):
                digest.update(repr(row).encode())
        return digest.hexdigest()

    def close(self) -> None:
        self._file.close()


@pytest.fixture(scope="module")
def target(served: Path) -> Iterator[Target]:
    target = Target(served)
    yield target
    target.close()


def check(call: Call, reply: Reply) -> None:
    """Fail unless a response is well formed."""
    assert reply.status in STATUSES
    for name, value in reply.headers:
        assert not NOT_A_HEADER.search(name + value)
    assert reply.header("x-content-type-options") == "nosniff"
    assert "evil.example" not in (reply.header("location") or "") + (reply.header("link") or "")
    if reply.status < 400 or call.method == "HEAD":
        return
    assert b"Traceback" not in reply.body
    if reply.media_type == "application/json":
        assert list(reply.json) == ["error"]
        assert reply.json["error"].endswith(".")
    else:
        assert reply.media_type == "text/html"
        assert reply.header("content-security-policy")


@given(call=CALLS)
@tries(500)
def test_any_request_gets_a_well_formed_response(target: Target, call: Call) -> None:
    TRIED["requests"] += 1
    call = target.aimed(call)
    before = target.digest()
    reply = answer_to(call)
    check(call, reply)
    if reply.status >= 400 or call.method not in ("POST", "DELETE"):
        assert target.digest() == before
