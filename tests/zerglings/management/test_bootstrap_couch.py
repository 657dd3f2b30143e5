"""``manage.py bootstrap_couch`` as an init container runs it: a process with an environment."""

from __future__ import annotations

import subprocess
import sys
import threading
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from tests.support.backends import CouchDBServer
from tests.support.fault_proxy import FaultProxy
from tests.support.faults import Answer, Fault
from tests.support.peer import Peer
from tests.support.service import ROOT, clean_environment

READY, FAILED, TIMED_OUT, REFUSED = 0, 1, 2, 3


def bootstrap(*options: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "manage.py", "bootstrap_couch", *options],
        cwd=ROOT,
        env=clean_environment() | environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.fixture
def party(tmp_path: Path) -> Iterator[Peer]:
    """A server without an admin: everybody is one."""
    with Peer.start(tmp_path / "party") as peer:
        yield peer


@pytest.fixture
def proxy(couchdb: CouchDBServer) -> Iterator[FaultProxy]:
    with FaultProxy(couchdb.host, couchdb.port) as proxy:
        yield proxy


@pytest.fixture
def account(couchdb: CouchDBServer) -> Iterator[dict[str, str]]:
    database = f"overmind-test-{uuid.uuid4().hex[:12]}"
    yield {
        "COUCHDB_USERNAME": couchdb.username,
        "COUCHDB_PASSWORD": couchdb.password,
        "COUCHDB_DATABASE": database,
    }
    requests.delete(
        f"{couchdb.url}/{database}", auth=(couchdb.username, couchdb.password), timeout=10
    )


def test_an_open_server_gets_its_admin_and_the_database(party: Peer) -> None:
    password = "p/ä:s\"s'%"
    given = {"COUCHDB_URL": party.url, "COUCHDB_PASSWORD": password}
    done = bootstrap(**given)
    assert (done.returncode, done.stderr) == (READY, "")
    assert "admin: created" in done.stdout
    assert "database: created" in done.stdout
    assert password not in done.stdout
    client = CouchDBServer(party.url, "admin", password).client()
    assert client.request("GET", ["zerglings"], timeout=5)["doc_count"] == 0
    client.close()
    assert requests.get(f"{party.url}/_config", timeout=5).status_code == 401
    again = bootstrap(**given)
    assert again.stdout.splitlines() == ["wait: ok", "admin: ok", "database: ok"]


def test_a_second_run_writes_nothing(proxy: FaultProxy, account: dict[str, str]) -> None:
    given = account | {"COUCHDB_URL": proxy.url}
    assert bootstrap(**given).returncode == READY
    proxy.clear()
    done = bootstrap(**given)
    assert done.returncode == READY
    assert {request.method for request in proxy.requests} == {"GET"}


def test_the_server_is_waited_for(proxy: FaultProxy, account: dict[str, str]) -> None:
    proxy.down()
    coming = threading.Timer(2, proxy.up)
    coming.start()
    done = bootstrap(**account, COUCHDB_URL=proxy.url)
    coming.join()
    assert done.returncode == READY, done.stderr
    assert "wait: waiting: connection refused" in done.stdout


def test_a_server_that_never_comes_is_given_up(proxy: FaultProxy) -> None:
    proxy.down()
    done = bootstrap("--timeout", "1", COUCHDB_URL=proxy.url, COUCHDB_PASSWORD="x")
    assert done.returncode == TIMED_OUT
    assert "connection refused" in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    "answer",
    [Answer(503, b"<html>", {"Content-Type": "text/html"}), Answer(200, b"hello"), Answer(404)],
)
def test_what_is_not_yet_couchdb_is_waited_for(
    proxy: FaultProxy, account: dict[str, str], answer: Answer
) -> None:
    proxy.fault = Fault(answer, times=3)
    done = bootstrap(**account, COUCHDB_URL=proxy.url)
    assert done.returncode == READY, done.stderr
    assert "wait: waiting" in done.stdout


def test_a_refused_password_ends_it_after_one_try(
    proxy: FaultProxy, account: dict[str, str]
) -> None:
    wrong = {"COUCHDB_USERNAME": f"nobody-{uuid.uuid4().hex}", "COUCHDB_PASSWORD": "hunter2"}
    done = bootstrap(**account | wrong, COUCHDB_URL=proxy.url)
    assert done.returncode == REFUSED
    assert "COUCHDB_USERNAME" in done.stderr
    assert "hunter2" not in done.stderr + done.stdout
    assert [request.status for request in proxy.requests].count(401) == 1


def test_an_open_server_without_a_password_for_it_is_said(party: Peer) -> None:
    done = bootstrap(COUCHDB_URL=party.url)
    assert done.returncode == FAILED
    assert "COUCHDB_PASSWORD" in done.stderr


def test_eight_at_once_make_one_admin_and_one_database(party: Peer) -> None:
    given = {"COUCHDB_URL": party.url, "COUCHDB_PASSWORD": "relax"}
    results: list[subprocess.CompletedProcess[str]] = []
    threads = [
        threading.Thread(target=lambda: results.append(bootstrap(**given))) for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [(done.returncode, done.stderr) for done in results] == [(READY, "")] * 8


def test_the_embedded_store_is_prepared(tmp_path: Path) -> None:
    path = tmp_path / "var" / "o.sqlite3"
    for said in (f"database: prepared {path}\ndatabase: ok\n", "database: ok\n"):
        done = bootstrap(OVERMIND_SQLITE_PATH=str(path))
        assert (done.returncode, done.stdout) == (READY, said)
    path.write_bytes(b"rubbish" * 1000)
    assert bootstrap(OVERMIND_SQLITE_PATH=str(path)).returncode == FAILED
