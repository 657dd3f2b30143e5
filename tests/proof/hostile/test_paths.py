"""Tests that no request path reaches another document, database or file."""

from __future__ import annotations

import re
import socket
import uuid
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

from tests.proof.hostile.budget import TRIED
from tests.proof.hostile.requests import ALIVE, TRICKS
from tests.support.backends import couchdb_backend
from tests.support.fault_proxy import FaultProxy, SeenRequest
from tests.support.service import Service
from tests.support.site import CouchDBServer

ORDINARY = re.compile(
    r"/|/_session|/_up|/{database}(-history)?(/(_all_docs|_bulk_docs|_bulk_get|_changes|{document}))?"
)
"""The requests that the service sends to a store; no part comes from a path."""

FILES = (
    *("/static/../overmind_project/settings.py", "/static/..%2fovermind_project/settings.py"),
    *("/static/%2e%2e/overmind_project/settings.py", "/static/%2e%2e%2fmanage.py"),
    *(
        "/static/..%5cmanage.py",
        "/static/..\\manage.py",
        "/static//etc/passwd",
        "/static/%2fetc/passwd",
    ),
    *(
        "/static/overmind/../../../manage.py",
        "/static/..;/manage.py",
        "/static/%252e%252e/manage.py",
    ),
    *("/static/.git/config", "/static/overmind/%00main.js", "/static/overmind/main.js%00.css"),
    *(
        "/static/\xc0\xae\xc0\xae/manage.py",
        "//static/../manage.py",
        "/static",
        "/static/",
        "/static/.",
    ),
    *("/manage.py", "/.env", "/.git/config", "/overmind_project/settings.py", "/static/overmind/"),
)


@pytest.fixture(scope="module")
def between(couchdb: CouchDBServer) -> Iterator[FaultProxy]:
    with FaultProxy(couchdb.host, couchdb.port) as proxy:
        yield proxy


@pytest.fixture(scope="module")
def observed(
    couchdb: CouchDBServer, between: FaultProxy, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Service, str, str]]:
    """A service behind a recording proxy, its database, and a living zergling."""
    with couchdb_backend(couchdb) as backend:
        directory: Path = tmp_path_factory.mktemp("paths")
        with Service(backend.through(between.url).environment, directory) as service:
            zergling_id = service.spawn()
            yield service, backend.environment["COUCHDB_DATABASE"], zergling_id


def ask(service: Service, method: str, target: str, body: bytes = b'"M"') -> bytes:
    """Send a request target byte for byte and return the whole response."""
    head = f"{method} {target} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
    head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    with socket.create_connection(("127.0.0.1", service.port), timeout=10) as connection:
        connection.sendall(head.encode("latin-1") + body)
        answer = b""
        while data := connection.recv(65536):
            answer += data
    return answer


def of_clients(seen: list[SeenRequest]) -> list[str]:
    """Return the requests made for clients, without those of feed, sign-in and greeting."""
    paths = [urlsplit(request.path).path for request in seen]
    return [path for path in paths if not path.endswith(("/_changes", "/_session", "/"))]


@pytest.mark.parametrize("trick", TRICKS)
def test_an_invalid_id_does_not_reach_the_store(
    observed: tuple[Service, str, str], between: FaultProxy, trick: str
) -> None:
    service, _, zergling_id = observed
    trick = trick.replace(ALIVE, zergling_id)
    for target in (f"/zerglings/{trick}", f"/zerglings/{trick}/", f"/zerglings/{trick}/history"):
        for method in ("GET", "POST", "DELETE"):
            TRIED["paths"] += 1
            between.clear()
            answer = ask(service, method, target)
            assert answer[9:12] in (b"400", b"404", b"405"), (method, target, answer)
            assert of_clients(between.requests) == [], (method, target)


def test_an_invalid_id_in_a_bulk_call_does_not_reach_the_store(
    observed: tuple[Service, str, str], between: FaultProxy
) -> None:
    service, _, zergling_id = observed
    for trick in TRICKS:
        name = unquote(trick.replace(ALIVE, zergling_id)).encode("unicode_escape").decode()
        body = b'{"commands":[{"id":"%b","command":"M"}]}' % name.replace("\\", "\\\\").encode()
        between.clear()
        answer = ask(service, "POST", "/swarm/commands", body)
        assert answer.startswith(b"HTTP/1.1 200")
        assert b'"status":404' in answer
        assert of_clients(between.requests) == [], trick


def test_a_valid_id_reaches_only_its_own_document(
    observed: tuple[Service, str, str], between: FaultProxy
) -> None:
    service, database, zergling_id = observed
    between.clear()
    for who in (zergling_id, str(uuid.uuid4())):
        for method in ("GET", "POST", "DELETE"):
            ask(service, method, f"/zerglings/{who}")
        ask(service, "GET", f"/zerglings/{who}/history")
        ask(service, "GET", f"/zerglings/{who}%2Fhistory")  # the same: WSGI knows no other slash
    ask(service, "GET", f"/zerglings/?limit=5&after={zergling_id}")
    allowed = re.compile(
        ORDINARY.pattern.replace("{database}", re.escape(database)).replace(
            "{document}", r"[0-9a-f-]{36}"
        )
    )
    paths = [urlsplit(request.path).path for request in between.requests]
    assert paths
    assert [path for path in paths if not allowed.fullmatch(path)] == []


@pytest.mark.parametrize("target", FILES)
def test_only_static_files_are_served(observed: tuple[Service, str, str], target: str) -> None:
    TRIED["paths"] += 1
    answer = ask(observed[0], "GET", target, b"")
    assert answer[9:12] in (b"400", b"404"), answer
    for secret in (b"SECRET_KEY", b"execute_from_command_line", b"root:", b"[core]"):
        assert secret not in answer


@pytest.mark.parametrize(
    "target",
    ["//evil.example/zerglings/", "//evil.example/%2f..", "http://evil.example/zerglings/?limit=1"],
)
def test_no_response_redirects_to_another_host(
    observed: tuple[Service, str, str], target: str
) -> None:
    answer = ask(observed[0], "POST", target, b"")
    head = answer.partition(b"\r\n\r\n")[0]
    assert b"evil.example" not in head
    assert not answer.startswith(b"HTTP/1.1 3")
