"""Tests that a failing store leaks no address, error detail or account into a response."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.proof.hostile.budget import TRIED
from tests.proof.hostile.wsgi import Call, answer_to
from tests.support.backends import Backend, sqlite_at
from tests.support.client import served_over
from tests.support.fault_proxy import FaultProxy
from tests.support.faults import Answer, CutBody, Fault, Kind, ResetAfter, ResetBefore
from tests.support.service import ROOT

SECRET = "s3cr3t-of-the-store"
ID = "00000000-0000-4000-8000-000000000000"
HTML = {"Content-Type": "text/html"}
JSON = {"Content-Type": "application/json"}
TELLS = (
    f"<h1>{SECRET}</h1> at /opt/couchdb/{SECRET}.ini, Traceback (most recent call last):".encode()
)

FAULTS: dict[str, Kind] = {
    "an error page": Answer(500, TELLS, HTML),
    "an error": Answer(500, b'{"error":"%b","reason":"%b"}' % ((SECRET.encode(),) * 2), JSON),
    "a bad gateway": Answer(502, TELLS, HTML),
    "an overload": Answer(503, TELLS, HTML),
    "a page for an answer": Answer(200, TELLS, HTML),
    "other JSON": Answer(200, b'["%b"]' % SECRET.encode(), JSON),
    "a refusal": Answer(401, b'{"error":"unauthorized","reason":"%b"}' % SECRET.encode(), JSON),
    "a ban": Answer(403, b'{"error":"forbidden","reason":"%b"}' % SECRET.encode(), JSON),
    "no database": Answer(404, b'{"error":"not_found","reason":"%b"}' % SECRET.encode(), JSON),
    "a redirect": Answer(302, TELLS, {"Location": f"http://{SECRET}.example/"}),
    "a reset before": ResetBefore(),
    "a reset after": ResetAfter(),
    "a cut": CutBody(5),
}
CALLS = [
    Call(method, path, body, {"Accept": accept})
    for method, path, body in (
        ("GET", "/zerglings/", b""),
        ("GET", "/zerglings/?limit=1", b""),
        ("POST", "/zerglings/", b"{}"),
        ("GET", f"/zerglings/{ID}", b""),
        ("POST", f"/zerglings/{ID}", b"M"),
        ("DELETE", f"/zerglings/{ID}", b""),
        ("GET", f"/zerglings/{ID}/history", b""),
        ("POST", "/swarm/spawn", b'{"count":2}'),
        ("POST", "/swarm/commands", b'{"commands":[{"id":"%b","command":"M"}]}' % ID.encode()),
        ("GET", "/_health", b""),
        ("GET", "/readyz", b""),
        ("GET", "/events", b""),
        ("GET", "/metrics", b""),
        ("GET", "/schema/", b""),
        ("OPTIONS", "/zerglings/", b""),
    )
    for accept in ("*/*", "text/html")
    if accept == "*/*" or path.startswith(("/zerglings", "/swarm"))
]
"""Each route, requested as programs and as browsers do."""


@pytest.fixture
def backend(couch: Backend, proxy: FaultProxy) -> Backend:
    return couch.through(proxy.url)


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    """Disable the log of these failures, which other tests check."""
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


def telling(backend: Backend) -> list[str]:
    """Return text that no response may contain."""
    environment = backend.environment
    place = environment["COUCHDB_URL"].partition("//")[2]
    return [
        *(place, ":" + place.partition(":")[2], environment["COUCHDB_DATABASE"], SECRET, str(ROOT)),
        *(environment["COUCHDB_PASSWORD"], "Traceback", "couchdb", "_bulk", "_all_docs", "urllib3"),
        *("requests.", "HTTPConnection", "site-packages", "sqlite3", "Errno"),
    ]


def hold(telling: list[str], name: str) -> None:
    with ThreadPoolExecutor(len(CALLS)) as pool:  # a store that is away takes each its time
        replies = list(pool.map(answer_to, CALLS))
    for call, reply in zip(CALLS, replies, strict=True):
        TRIED["answers searched"] += 1
        if call.target == "/metrics":
            said = telling[:6]  # what the metrics are called says what the store is
        elif call.target == "/schema/":
            said = telling[:7]
        else:
            said = telling
        whole = reply.body.decode() + repr(reply.headers)
        for word in said:
            assert word not in whole, (name, call.method, call.target, word)


@pytest.mark.parametrize("name", FAULTS)
def test_a_failing_store_reveals_no_details(backend: Backend, proxy: FaultProxy, name: str) -> None:
    with served_over(backend):
        proxy.fault = Fault(FAULTS[name])
        hold(telling(backend), name)


def test_an_unreachable_store_reveals_no_details(backend: Backend, proxy: FaultProxy) -> None:
    proxy.down()
    with served_over(backend):
        hold(telling(backend), "nothing there")


def test_an_unknown_host_and_a_wrong_password_reveal_no_details(backend: Backend) -> None:
    elsewhere = {"COUCHDB_URL": f"http://{SECRET}.invalid:5999"}
    with served_over(Backend(backend.environment | elsewhere)):
        hold([*telling(backend), "invalid:5999"], "no such host")


def test_a_damaged_file_reveals_no_details(tmp_path: Path) -> None:
    path = tmp_path / f"{SECRET}.sqlite3"
    path.write_bytes(b"no database at all" * 1000)
    with served_over(sqlite_at(path)):
        hold(
            [str(tmp_path), SECRET, str(ROOT), "file is not", "DatabaseError", "Traceback"],
            "damaged",
        )
