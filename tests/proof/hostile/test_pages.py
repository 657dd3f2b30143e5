"""Tests that pages run no injected script, and that every response has its security headers."""

from __future__ import annotations

import json
import re
import sqlite3
import uuid
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import quote

import pytest

from tests.proof.hostile.wsgi import Call, Reply, answer_to
from tests.support.service import ROOT

EVIL = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "'-alert(1)-'",
    "</pre><svg/onload=alert(1)>",
    "javascript:alert(1)",
    'http://a/"onmouseover="alert(1)',
    "{{7*7}}{% debug %}",
)
SCRIPTS = ("javascript:", "vbscript:", "data:text")
HTML = {"Accept": "text/html"}


class Found(HTMLParser):
    """The parts of a page that could run a script."""

    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=True)
        self.runs: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag == "script" and given.get("type") != "application/json":
            source = given.get("src") or ""
            if not source.startswith("/static/"):
                self.runs.append(f"script {source}")
        if tag in ("iframe", "object", "embed", "base"):
            self.runs.append(tag)
        for name, value in attrs:
            is_link = name in ("href", "src", "action", "formaction")
            if name.startswith("on") or (
                is_link and (value or "").strip().lower().startswith(SCRIPTS)
            ):
                self.runs.append(f"{tag} {name}={value}")


@pytest.fixture(scope="module")
def evil_id(served: Path) -> Iterator[str]:
    """A stored zergling full of scripts that a page must not run."""
    zergling_id = str(uuid.uuid4())
    document = {
        "_id": zergling_id,
        "id": EVIL[0],
        "location": {"x": 1, "y": 2},
        "facing": "N",
        "commandHistory": list(EVIL),
    }
    file = sqlite3.connect(served / "overmind.sqlite3", isolation_level=None)
    for body in (
        document,
        document | {"_id": EVIL[0]},
        document | {"_id": str(uuid.uuid4()), "facing": EVIL[1]},
    ):
        file.execute(
            "INSERT INTO documents (id, revision, body) VALUES (?, ?, ?)",
            (body["_id"], "1-a", json.dumps(body)),
        )
    yield zergling_id
    file.close()


def harmless(reply: Reply) -> None:
    assert reply.status < 500
    if reply.media_type == "text/html":
        assert Found(reply.body.decode()).runs == []


def test_pages_run_no_script_from_the_database(evil_id: str) -> None:
    for path in ("/zerglings/", f"/zerglings/{evil_id}", f"/zerglings/{evil_id}/history"):
        page = answer_to(Call("GET", path, headers=HTML))
        assert (page.status, page.media_type) == (200, "text/html")
        harmless(page)
    assert "&lt;script&gt;alert(1)" in page.body.decode()
    harmless(answer_to(Call("POST", f"/zerglings/{evil_id}", b"M", HTML)))


@pytest.mark.parametrize("evil", EVIL)
def test_pages_run_no_script_from_a_request(evil_id: str, evil: str) -> None:
    quoted = quote(evil, safe="")
    calls = [
        Call("GET", f"/zerglings/{quoted}", headers=HTML),
        Call("GET", f"/zerglings/?after={quoted}&limit={quoted}&{quoted}=1", headers=HTML),
        Call("GET", f"/zerglings/{evil_id}?{quoted}&a={evil}", headers=HTML),
        Call("GET", f"/swarm/commands?{quoted}", headers=HTML),
        Call("GET", f"/?{quoted}", headers=HTML),
        Call("GET", f"/docs/?url={quoted}&configUrl={quoted}", headers=HTML),
        Call("POST", f"/zerglings/{evil_id}", evil.encode(), HTML),
        Call("POST", f"/zerglings/{evil_id}", json.dumps({evil: 1}).encode(), HTML),
        Call("POST", "/zerglings/", json.dumps({evil: 1, "facing": evil}).encode(), HTML),
        Call("POST", "/swarm/spawn", json.dumps({"count": evil}).encode(), HTML),
        Call(
            "POST",
            "/swarm/commands",
            json.dumps({"commands": [{"id": evil, "command": evil}]}).encode(),
            HTML,
        ),
        Call("GET", f"/zerglings/{evil_id}", headers={"Accept": f"text/html;a={evil}"}),
    ]
    for call in calls:
        harmless(answer_to(call))


def test_every_response_has_the_security_headers(served: Path, evil_id: str) -> None:
    paths = ("/", "/zerglings/", f"/zerglings/{evil_id}", f"/zerglings/{evil_id}/history", "/docs/")
    others = ("/schema/", "/_health", "/healthz", "/readyz", "/metrics", "/nowhere", "/swarm/spawn")
    files = ("/static/overmind/main.js", "/static/nowhere")
    for path in (*paths, *others, *files, "/events", "/zerglings/x"):
        for accept in ("*/*", "text/html", "image/png"):
            for method in ("GET", "OPTIONS", "POST", "PUT"):
                reply = answer_to(Call(method, path, headers={"Accept": accept}))
                assert reply.header("x-content-type-options") == "nosniff"
                assert reply.header("x-frame-options") == "DENY", path
                assert reply.header("referrer-policy") == "same-origin"
                assert reply.header("access-control-allow-origin") is None, path
                assert reply.body == b"" or reply.media_type
                if reply.media_type == "text/html":
                    policy = reply.header("content-security-policy") or ""
                    assert {
                        "default-src 'none'",
                        "frame-ancestors 'none'",
                        "base-uri 'none'",
                    } <= set(policy.split("; "))
                    assert re.search(r"script-src 'self'(;|$)", policy)


def test_the_map_never_inserts_markup() -> None:
    for script in (ROOT / "zerglings" / "static").rglob("*.js"):
        found = re.search(
            r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(|new Function",
            script.read_text(),
        )
        assert found is None, (script.name, found)
