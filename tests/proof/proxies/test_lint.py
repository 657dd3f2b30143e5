"""Tests that REDbot finds no caching or HTTP error in any kind of response."""

from __future__ import annotations

import json
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from tests.support.backends import sqlite_backend
from tests.support.service import ROOT, Service

PYTHON = ROOT / "build/redbot/bin/python"
LINT = "tests/proof/proxies/lint.py"
TIMEOUT = 120.0

Notes = list[dict[str, Any]]

BROWSER = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
NOBODY = "/zerglings/00000000-0000-4000-8000-000000000000"
FORM = "application/x-www-form-urlencoded"

KINDS: dict[str, tuple[str, str, int]] = {
    "the list": ("GET", "/zerglings/", 200),
    "a page of the list": ("GET", "/zerglings/?limit=1", 200),
    "the list in a browser": ("GET", "/zerglings/", 200),
    "a zergling": ("GET", "/zerglings/{id}", 200),
    "a zergling in a browser": ("GET", "/zerglings/{id}", 200),
    "the head of a zergling": ("HEAD", "/zerglings/{id}", 200),
    "a history": ("GET", "/zerglings/{id}/history", 200),
    "a page of a history": ("GET", "/zerglings/{id}/history?limit=1", 200),
    "events": ("GET", "/events", 200),
    "a spawn": ("POST", "/zerglings/", 201),
    "a command": ("POST", "/zerglings/{id}", 200),
    "a whole-swarm spawn": ("POST", "/swarm/spawn", 200),
    "a whole-swarm command": ("POST", "/swarm/commands", 200),
    "options": ("OPTIONS", "/zerglings/", 200),
    "the health": ("GET", "/_health", 200),
    "the liveness": ("GET", "/healthz", 200),
    "the readiness": ("GET", "/readyz", 200),
    "the metrics": ("GET", "/metrics", 200),
    "the map": ("GET", "/", 200),
    "where to begin": ("GET", "/", 200),
    "the description": ("GET", "/schema/", 200),
    "its page": ("GET", "/docs/", 200),
    "a static file": ("GET", "/static/overmind/main.js", 200),
    "the page to sign in": ("GET", "/sign-in", 200),
    "a redirect": ("POST", "/sign-in", 303),
    "nobody": ("GET", NOBODY, 404),
    "nobody in a browser": ("GET", NOBODY, 404),
    "nothing": ("GET", "/nothing", 404),
    "no such file": ("GET", "/static/nothing.js", 404),
    "a bad query": ("GET", "/zerglings/?limit=0", 400),
    "another method": ("PUT", "/zerglings/", 405),
}
IN_A_BROWSER = {"the map", "its page", "the page to sign in", *(k for k in KINDS if "browser" in k)}
BODIES = {
    "a command": "M",
    "a whole-swarm spawn": '{"count":2}',
    "a whole-swarm command": '{"commands":[{"id":"{id}","command":"M"}]}',
    "a redirect": "next=/",
}


def is_bad(note: dict[str, Any]) -> bool:
    """Whether a note counts: each breach of a specification, and each warning about caches.

    "bad" is REDbot's word for what breaks HTTP, in whatever header. Of its warnings only those
    about caching, validators and what an answer depends on count: by them a cache may serve
    something old, or somebody else's. The others are advice (compress it, shorten it, say HSTS).
    """
    is_about_caches = note["category"] in {"CACHING", "VALIDATION", "CONNEG"}
    return note["level"] == "bad" or (note["level"] == "warning" and is_about_caches)


def looked_at(requests: list[dict[str, Any]]) -> list[Notes]:
    """Return the status and REDbot's notes for each request."""
    done = subprocess.run(
        [PYTHON, LINT],
        cwd=ROOT,
        input=json.dumps(requests),
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found: list[Notes] = json.loads(done.stdout)
    return found


def request(kind: str, service: Service, id_: str) -> dict[str, Any]:
    method, path, _ = KINDS[kind]
    headers = BROWSER if kind in IN_A_BROWSER else {"Accept": "*/*"}
    if kind in BODIES:
        headers = headers | {"Content-Type": FORM, "Sec-Fetch-Site": "same-origin"}
    return {
        "url": f"http://127.0.0.1:{service.port}{path.replace('{id}', id_)}",
        "method": method,
        "headers": list(headers.items()),
        "body": BODIES.get(kind, "").replace("{id}", id_),
    }


@pytest.fixture(scope="module")
def noted(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Notes]:
    directory = tmp_path_factory.mktemp("service")
    with Service(sqlite_backend(directory).environment, directory) as service:
        id_ = service.spawn()
        service.call("POST", f"/zerglings/{id_}", "MRML")
        service.spawn()
        found = looked_at([request(kind, service, id_) for kind in KINDS])
    return dict(zip(KINDS, found, strict=True))


@pytest.mark.parametrize("kind", KINDS)
def test_responses_have_no_caching_or_http_errors(noted: dict[str, Notes], kind: str) -> None:
    status, *notes = noted[kind]
    assert status["says"] == KINDS[kind][2]
    assert notes
    assert [note for note in notes if is_bad(note)] == []


FAULTY = {
    "FRESHNESS_HEURISTIC": {"Content-Length": "2"},
    "CC_BAD_VALUE_TYPE": {"Content-Length": "2", "Cache-Control": "max-age=soon"},
    "BAD_SYNTAX": {"Content-Length": "2", "ETag": "no-quotes", "Cache-Control": "no-store"},
}


@contextmanager
def answering(headers: dict[str, str]) -> Iterator[str]:
    """Serve a response with these headers; yield its URL."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(b"{}")

        def log_message(self, *_: object) -> None:
            """Log nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/"
        finally:
            server.shutdown()
            thread.join()


@pytest.mark.parametrize("name", FAULTY)
def test_faulty_responses_are_detected(name: str) -> None:
    with answering(FAULTY[name]) as url:
        ((_, *notes),) = looked_at([{"url": url, "method": "GET", "headers": [], "body": ""}])
    assert name in {note["name"] for note in notes if is_bad(note)}
