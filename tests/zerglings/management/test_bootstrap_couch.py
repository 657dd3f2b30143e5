"""Tests for ``manage.py bootstrap_couch``, run as a process as in an init container."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import pytest

from tests.support import manage
from tests.support.fault_proxy import FaultProxy
from tests.support.faults import Answer, Fault, Hang, ResetBefore
from tests.support.manage import Done, python
from tests.support.peer import Peer
from tests.support.ready import assert_ready
from tests.support.site import CouchDBServer, Site, new_site
from tests.support.waiting import wait_until
from zerglings.storage.bootstrap.plan import STEPS

READY, DRIFTED, MISCONFIGURED, TIMED_OUT, REFUSED, SERVER_ERROR = range(6)


def bootstrap(*options: str, **environment: str) -> Done:
    return python("manage.py", "bootstrap_couch", *options, **environment)


def started(*options: str, **environment: str) -> subprocess.Popen[bytes]:
    return manage.started(environment, "bootstrap_couch", *options)


def test_each_step_is_reported_with_its_result(site: Site) -> None:
    first = bootstrap(**site.environment)
    assert (first.returncode, first.stderr) == (READY, "")
    assert f"user: created the account '{site.username}'" in first.stdout
    assert f"database: created {site.database}" in first.stdout
    again = bootstrap(**site.environment)
    said = [line for line in again.stdout.splitlines() if "warning" not in line]
    assert said == [
        *("wait: ok", "admin: ok", "cluster: ok", "user: ok"),
        *("database: ok", "security: ok", "copies: ok", "replicate: ok", "verify: ok"),
    ]


def test_secrets_are_never_printed(site: Site, proxy: FaultProxy) -> None:
    secrets = {"COUCHDB_PASSWORD": "hunter2", "COUCHDB_ADMIN_PASSWORD": site.server.password}
    outputs = []
    for fault in (None, Answer(500, b"x"), Answer(401, b"{}"), Answer(400, b'{"error":"e"}')):
        proxy.fault = Fault(fault) if fault else None
        environment = site.through(proxy.url).environment | secrets
        for options in (["--timeout", "1"], ["--check", "--traceback", "-v", "3"]):
            done = bootstrap(*options, **environment)
            outputs.append(done.stdout + done.stderr)
    assert "hunter2" not in "".join(outputs)
    assert f":{site.server.password}" not in "".join(outputs)
    assert "Traceback" not in "".join(outputs)


def test_a_check_reports_drift_and_changes_nothing(site: Site, proxy: FaultProxy) -> None:
    given = site.through(proxy.url).environment
    drifted = bootstrap("--check", **given)
    assert (drifted.returncode, drifted.stderr) == (DRIFTED, "")
    assert "user: drift: the account is missing" in drifted.stdout
    assert f"database: drift: {site.database} is missing" in drifted.stdout
    assert {request.method for request in proxy.requests} == {"GET"}
    assert bootstrap(**given).returncode == READY
    assert bootstrap("--check", **given).returncode == READY
    proxy.down()
    away = bootstrap(OVERMIND_BOOTSTRAP_CHECK="on", **given)
    assert (away.returncode, away.stdout) == (DRIFTED, "wait: drift: connection refused\n")


def test_json_lines_have_stable_keys(site: Site) -> None:
    for options in ([], ["--check"], ["--retire", site.username]):
        done = bootstrap("--format", "json", *options, **site.environment)
        assert done.stderr == ""
        lines = [json.loads(line) for line in done.stdout.splitlines()]
        assert lines
        assert {tuple(line) for line in lines} == {("time", "step", "status", "message")}
    assert (lines[-1]["step"], lines[-1]["status"]) == ("bootstrap", "failed")
    assert done.returncode == MISCONFIGURED


def test_two_runs_with_different_steps_prepare_a_server(party: Peer) -> None:
    given = {"COUCHDB_URL": party.url, "COUCHDB_PASSWORD": "relax"}
    first = bootstrap("--only", "admin", **given)
    assert (first.returncode, first.stdout.splitlines()[-1]) == (READY, "admin: ok")
    second = bootstrap(OVERMIND_BOOTSTRAP_ONLY="database, security", **given)
    assert (second.returncode, second.stdout.splitlines()[-1]) == (READY, "security: ok")
    assert bootstrap("--check", **given).returncode == READY


def test_verify_alone_writes_and_removes_its_test_documents(site: Site, proxy: FaultProxy) -> None:
    site.bootstrap()
    done = bootstrap("--only", "verify", **site.through(proxy.url).environment)
    assert done.returncode == READY
    assert "verify: wrote, read and deleted" in done.stdout
    written = [request.path for request in proxy.requests if request.method == "PUT"]
    assert len(written) == 2
    assert all("/_local/bootstrap-" in path for path in written)
    assert site.server.ask("GET", site.database)["doc_count"] == 0


def test_an_account_is_retired_with_any_selection_of_steps(site: Site) -> None:
    site.bootstrap()
    new = Site(site.server, site.database, f"{site.username}-2")
    done = bootstrap("--only", "user", "--retire", site.username, **new.environment)
    assert done.returncode == READY
    assert "retire: removed" in done.stdout
    new.remove()


@pytest.mark.parametrize("options", [[], ["--check"]])
def test_an_unknown_account_to_retire_is_a_warning(site: Site, options: list[str]) -> None:
    site.bootstrap()
    done = bootstrap("--retire", "nobody", *options, **site.environment)
    assert done.returncode == READY, "the account may have been retired before"
    assert "retire: warning: there is no account 'nobody'" in done.stdout
    assert site.user(), "no other account is touched"


def test_an_account_that_was_just_retired_is_not_a_warning(site: Site) -> None:
    site.bootstrap()
    new = Site(site.server, site.database, f"{site.username}-2")
    done = bootstrap("--retire", site.username, **new.environment)
    assert "retire: warning" not in done.stdout
    new.remove()


@pytest.mark.parametrize("encoding", ["ascii", "ascii:strict", "utf-8"])
def test_names_outside_the_output_encoding_do_not_stop_the_run(site: Site, encoding: str) -> None:
    named = Site(site.server, site.database, f"ü→{site.username}")
    done = bootstrap(**named.environment, PYTHONIOENCODING=encoding, PYTHONUTF8="1")
    assert (done.returncode, done.stderr) == (READY, "")
    assert done.stdout.endswith("verify: ok\n")
    named.remove()


by_the_clock = [pytest.mark.proof, pytest.mark.alone]


@pytest.mark.parametrize(
    "ending",
    ["its time", *(pytest.param(each, marks=by_the_clock) for each in ("SIGTERM", "SIGINT"))],
)
def test_a_slowly_sent_response_does_not_delay_timeouts_and_signals(ending: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        given = {"COUCHDB_URL": f"http://127.0.0.1:{server.getsockname()[1]}"}
        seconds = "1" if ending == "its time" else "60"
        with started("--timeout", seconds, COUCHDB_PASSWORD="swarm", **given) as process:
            connection, _ = server.accept()
            began = time.monotonic()
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
            if ending != "its time":
                process.send_signal(signal.Signals[ending])
            with suppress(ConnectionError):  # it ends between a look and a drip
                while process.poll() is None:
                    connection.sendall(b" ")
                    time.sleep(0.1)  # a drip
                    assert time.monotonic() - began < 5
            connection.close()
        statuses = {"its time": TIMED_OUT, "SIGTERM": 143, "SIGINT": 130}
        assert process.returncode == statuses[ending]
        assert ending == "its time" or time.monotonic() - began < 1.1


def test_passwords_in_server_responses_are_not_printed(site: Site, proxy: FaultProxy) -> None:
    body = b'{"error":"bad_request","reason":"swarm\\nis no password"}'
    proxy.fault = Fault(Answer(400, body), lambda m, p: m == "PUT")
    done = bootstrap(**site.through(proxy.url).environment)
    assert done.returncode == SERVER_ERROR
    assert done.stderr.endswith("bad_request: *** is no password\n")


def test_values_that_are_not_utf_8_are_misconfigured() -> None:
    for name in ("COUCHDB_PASSWORD", "COUCHDB_USERNAME"):
        done = bootstrap(COUCHDB_URL="http://127.0.0.1:1", **{name: "\udcff"})
        assert (done.returncode, done.stderr) == (MISCONFIGURED, f"overmind: {name}: not UTF-8\n")


def test_invalid_options_are_named() -> None:
    given = {"COUCHDB_URL": "http://127.0.0.1:1", "COUCHDB_PASSWORD": "x"}
    for options, word in (
        (["--only", "nonsense"], "nonsense"),
        (["--timeout", "soon"], "--timeout"),
        (["--timeout", "-1"], "--timeout"),
        (["--format", "xml"], "--format"),
        (["--retire", "admin"], "in use"),
    ):
        done = bootstrap(*options, **given)
        assert done.returncode == MISCONFIGURED, options
        assert word in done.stderr
    done = bootstrap("--retire", "x")
    assert (done.returncode, done.stderr) == (
        MISCONFIGURED,
        "bootstrap: --retire: the embedded store has no accounts\n",
    )


def test_a_refetch_that_would_do_nothing_is_refused() -> None:
    couchdb = {"COUCHDB_URL": "http://127.0.0.1:1", "COUCHDB_PASSWORD": "x"}
    peers = couchdb | {"COUCHDB_PEERS": "east=http://127.0.0.1:2", "COUCHDB_PEERS_PASSWORD": "x"}
    for given, options, word in (
        ({}, [], "COUCHDB_PEERS"),
        (couchdb, [], "COUCHDB_PEERS"),
        (peers, ["--check"], "--check"),
        (peers, ["--only", "user"], "'replicate'"),
    ):
        done = bootstrap(*options, OVERMIND_BOOTSTRAP_REFETCH="true", **given)
        assert (done.returncode, done.stdout) == (MISCONFIGURED, ""), options
        assert done.stderr.startswith("bootstrap: --refetch: ")
        assert word in done.stderr


def test_the_help_explains_the_command() -> None:
    text = bootstrap("--help").stdout
    for step in STEPS:
        assert f"\n  {step.name} " in text
    for status in range(SERVER_ERROR + 1):
        assert f"\n  {status} " in text
    assert "OVERMIND_BOOTSTRAP_TIMEOUT" in text


def test_an_unreachable_server_ends_in_a_timeout(site: Site, proxy: FaultProxy) -> None:
    proxy.down()
    done = bootstrap(OVERMIND_BOOTSTRAP_TIMEOUT="1", **site.through(proxy.url).environment)
    assert done.returncode == TIMED_OUT
    assert "connection refused" in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_refused_password_ends_the_run(site: Site) -> None:
    wrong = {"COUCHDB_ADMIN_USERNAME": f"{site.username}-x", "COUCHDB_ADMIN_PASSWORD": "hunter2"}
    done = bootstrap(**site.environment | wrong)
    assert done.returncode == REFUSED
    assert "COUCHDB_ADMIN_PASSWORD" in done.stderr


def test_an_error_of_the_server_is_reported(site: Site, proxy: FaultProxy) -> None:
    answer = Answer(400, b'{"error":"illegal_database_name","reason":"no"}')
    proxy.fault = Fault(
        answer, lambda m, p: m == "PUT" and p.partition("?")[0] == f"/{site.database}"
    )
    done = bootstrap(**site.through(proxy.url).environment)
    assert done.returncode == SERVER_ERROR
    assert "illegal_database_name" in done.stderr


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("where", ["waiting", "in a request"])
def test_a_signal_ends_the_run_within_seconds(
    site: Site, proxy: FaultProxy, number: signal.Signals, where: str
) -> None:
    hanging = Hang(threading.Event())
    proxy.fault = Fault(hanging if where == "in a request" else ResetBefore())
    with started(**site.through(proxy.url).environment) as process:
        seen = 0 if where == "in a request" else 2
        wait_until(lambda: len(proxy.requests) > seen, "the bootstrap has asked the server")
        began = time.monotonic()
        process.send_signal(number)
        process.wait(10)
        assert time.monotonic() - began < 3
        assert process.returncode == 128 + number
        assert process.stderr is not None
        assert process.stderr.read() == b""


def writes_of_a_first_run(server: CouchDBServer) -> list[str]:
    """Return the methods of a run's writing requests, in order."""
    with new_site(server) as site, FaultProxy(server.host, server.port) as proxy:
        site.through(proxy.url).bootstrap()
        return [request.method for request in proxy.requests if request.method != "GET"]


def kill_at_write(site: Site, number: int, *, carried_out: bool) -> None:
    """Kill a run with SIGKILL during its n-th write."""
    release = threading.Event()
    seen = [0]

    def is_it(method: str, _path: str) -> bool:
        seen[0] += method != "GET"
        return method != "GET" and seen[0] == number + 1

    with FaultProxy(site.server.host, site.server.port) as proxy:
        proxy.fault = Fault(Hang(release, forward=carried_out), is_it)
        with started(**site.through(proxy.url).environment) as process:
            wait_until(
                lambda: sum(r.method != "GET" for r in proxy.requests) > number,
                "the write is under way",
            )
            process.kill()
            process.wait(10)
        release.set()


@pytest.mark.proof
@pytest.mark.parametrize("carried_out", [False, True])
def test_a_run_killed_at_any_write_is_completed_by_the_next(
    couchdb: CouchDBServer, carried_out: bool
) -> None:
    """Only writes change the state that a killed run leaves, so it is killed at each write."""
    writes = writes_of_a_first_run(couchdb)
    assert len(writes) >= 9
    for number in range(len(writes)):
        with new_site(couchdb) as site:
            kill_at_write(site, number, carried_out=carried_out)
            site.bootstrap()
            assert_ready(site)


@pytest.mark.proof
@pytest.mark.parametrize("carried_out", [False, True])
def test_a_run_killed_while_creating_the_admin_is_completed_by_the_next(
    party: Peer, carried_out: bool
) -> None:
    with new_site(CouchDBServer(party.url, "admin", "relax")) as site:
        for number in (0, 1) if not carried_out else (1,):
            kill_at_write(site, number, carried_out=carried_out)
        site.bootstrap()
        assert_ready(site)


@pytest.mark.proof
def test_fifty_concurrent_runs_prepare_a_fresh_server(party: Peer) -> None:
    with new_site(CouchDBServer(party.url, "admin", "relax")) as site:
        with ThreadPoolExecutor(50) as pool:
            done = list(pool.map(lambda _: bootstrap(**site.environment), range(50)))
        assert {(run.returncode, run.stderr) for run in done} == {(READY, "")}
        said = "".join(run.stdout for run in done)
        assert "error" not in said.lower()
        assert_ready(site)
        names = site.server.ask("GET", "_all_dbs")
        assert sorted(name for name in names if name[0] != "_") == list(site.databases)


def test_the_embedded_store_is_prepared_with_the_same_output(tmp_path: Path) -> None:
    path = tmp_path / "var" / "o.sqlite3"
    given = {"OVERMIND_SQLITE_PATH": str(path)}
    check = bootstrap("--check", **given)
    assert (check.returncode, check.stdout.splitlines()[0]) == (
        DRIFTED,
        f"database: drift: {path} is missing",
    )
    assert not path.parent.exists()
    first = bootstrap(**given)
    assert (first.returncode, first.stdout.splitlines()) == (
        READY,
        [
            f"database: prepared {path}",
            "database: ok",
            "verify: ok",
        ],
    )
    assert bootstrap(**given).stdout == "database: ok\nverify: ok\n"
    assert bootstrap("--check", **given).returncode == READY
    path.write_bytes(b"rubbish" * 1000)
    assert bootstrap(**given).returncode == MISCONFIGURED
