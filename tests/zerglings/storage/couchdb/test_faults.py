"""Tests that any CouchDB or network fault ends a store call with an error of the contract."""

from __future__ import annotations

import json
import socket
import ssl
import threading
import time
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import trustme

from tests.support.backends import Backend, couchdb_backend
from tests.support.fault_proxy import FaultProxy
from tests.support.faults import Answer, CutBody, Fault, Hang, Kind, ResetAfter, ResetBefore
from tests.support.site import CouchDBServer
from zerglings.storage.base import (
    AccountRefused,
    Conflict,
    NotBootstrapped,
    OutcomeUnknown,
    Store,
    StoreError,
    StoreUnavailable,
    TooLarge,
    WriteFailed,
)
from zerglings.storage.couchdb.account import Account
from zerglings.storage.couchdb.client import CouchDBClient
from zerglings.storage.couchdb.store import CouchDBStore

TIMEOUT = 2.0
JSON = {"Content-Type": "application/json"}
HTML = {"Content-Type": "text/html"}


def couch_error(status: int, error: str, reason: str) -> Answer:
    return Answer(status, json.dumps({"error": error, "reason": reason}).encode(), JSON)


def read(store: Store) -> object:
    return store.get_many([str(uuid.uuid4())], timeout=TIMEOUT)


def read_all_copies(store: Store) -> object:
    return store.get_many([str(uuid.uuid4())], timeout=TIMEOUT, all_copies=True)


def write(store: Store) -> object:
    return raised(store, 1)


def write_two(store: Store) -> object:
    return raised(store, 2)


def raised(store: Store, count: int) -> object:
    """Write documents and raise the error of the last one."""
    documents = [{"_id": str(uuid.uuid4())} for _ in range(count)]
    result = store.put_many(documents, timeout=TIMEOUT)[-1]
    if isinstance(result, StoreError):
        raise result
    return result


WRITES = (write, write_two)


def listing(store: Store) -> object:
    return store.page(None, 10, timeout=TIMEOUT)


FAULTS: dict[str, tuple[Kind, type[StoreError], type[StoreError]]] = {
    # what happens: (what a read raises, what a write raises)
    "reset before": (ResetBefore(), StoreUnavailable, OutcomeUnknown),
    "reset after": (ResetAfter(), StoreUnavailable, OutcomeUnknown),
    "cut body": (CutBody(3), StoreUnavailable, OutcomeUnknown),
    "400": (couch_error(400, "bad_request", "bad"), StoreUnavailable, StoreUnavailable),
    "401": (couch_error(401, "unauthorized", "Name or password"), AccountRefused, AccountRefused),
    "403": (couch_error(403, "forbidden", "not allowed"), AccountRefused, AccountRefused),
    "403 locked": (
        couch_error(403, "forbidden", "Account is temporarily locked due to failures"),
        StoreUnavailable,
        StoreUnavailable,
    ),
    "404 no database": (
        couch_error(404, "not_found", "no_db_file"),
        NotBootstrapped,
        NotBootstrapped,
    ),
    "404 no database, newer words": (
        couch_error(404, "not_found", "Database does not exist."),
        NotBootstrapped,
        NotBootstrapped,
    ),
    "404 HTML": (Answer(404, b"<html>", HTML), StoreUnavailable, StoreUnavailable),
    "409 HTML": (Answer(409, b"<html>", HTML), StoreUnavailable, StoreUnavailable),
    "409": (couch_error(409, "conflict", "Document update conflict."), StoreUnavailable, Conflict),
    "412": (couch_error(412, "file_exists", "x"), StoreUnavailable, Conflict),
    "412 HTML": (Answer(412, b"<html>", HTML), StoreUnavailable, StoreUnavailable),
    "429": (Answer(429, b"", {}), StoreUnavailable, StoreUnavailable),
    "413": (couch_error(413, "document_too_large", ""), StoreUnavailable, TooLarge),
    "413 HTML": (Answer(413, b"<html>", HTML), StoreUnavailable, TooLarge),
    "500": (couch_error(500, "internal", "oops"), StoreUnavailable, WriteFailed),
    "500 full volume": (
        couch_error(500, "error", "internal_server_error"),
        StoreUnavailable,
        WriteFailed,
    ),
    "503 a node is down": (
        couch_error(503, "nodedown", "progress not possible"),
        StoreUnavailable,
        WriteFailed,
    ),
    "502 HTML": (Answer(502, b"<html>bad gateway", HTML), StoreUnavailable, OutcomeUnknown),
    "503 HTML": (Answer(503, b"<html>no", HTML), StoreUnavailable, OutcomeUnknown),
    "503 without type": (Answer(503, b"no"), StoreUnavailable, OutcomeUnknown),
    "301": (
        Answer(301, b"", {"Location": "http://127.0.0.1:1/"}),
        StoreUnavailable,
        StoreUnavailable,
    ),
    "200 without type or body": (Answer(200), StoreUnavailable, OutcomeUnknown),
    "200 HTML": (Answer(200, b"<html>welcome", HTML), StoreUnavailable, OutcomeUnknown),
    "200 null": (Answer(200, b"null", JSON), StoreUnavailable, OutcomeUnknown),
    "200 list": (Answer(200, b"[1]", JSON), StoreUnavailable, OutcomeUnknown),
    "200 other object": (Answer(200, b'{"hello":1}', JSON), StoreUnavailable, OutcomeUnknown),
    "200 cut JSON": (Answer(200, b'{"_id": "a', JSON), StoreUnavailable, OutcomeUnknown),
    "200 invalid UTF-8": (Answer(200, b'{"a":"\xff"}', JSON), StoreUnavailable, OutcomeUnknown),
}


@pytest.mark.parametrize("call", [read, read_all_copies, write, write_two, listing])
@pytest.mark.parametrize("name", FAULTS)
@pytest.mark.parametrize("is_first", [True, False])
def test_each_fault_raises_the_store_error_of_the_contract(
    store: Store, proxy: FaultProxy, name: str, call: Callable[[Store], object], is_first: bool
) -> None:
    kind, read_error, write_error = FAULTS[name]
    if not is_first:  # by then the store knows which server it is
        read(store)
    proxy.fault = Fault(kind)
    with pytest.raises(StoreError) as caught:
        call(store)
    assert type(caught.value) is (write_error if call in WRITES else read_error)
    assert "127.0.0.1" not in str(caught.value)


def test_a_refused_connection_is_reported_as_unavailable(store: Store, proxy: FaultProxy) -> None:
    proxy.down()
    for call in (read, write, listing, ping):
        with pytest.raises(StoreUnavailable, match="connection refused"):
            call(store)


def ping(store: Store) -> None:
    store.ping(timeout=TIMEOUT)


def test_an_unresolvable_host_name_is_reported() -> None:
    client = CouchDBClient("http://couchdb.invalid:5984", Account("", str))
    with pytest.raises(StoreUnavailable, match="does not resolve"):
        write(CouchDBStore(client, "zerglings"))
    client.close()


@pytest.mark.parametrize("host", ["a..b", "a" * 70])
def test_an_invalid_host_name_is_reported_as_unavailable(host: str) -> None:
    client = CouchDBClient(f"http://{host}:5984", Account("", str))
    for call in (read, write):
        with pytest.raises(StoreUnavailable):
            call(CouchDBStore(client, "zerglings"))
    client.close()


def test_a_hanging_server_ends_the_call_at_its_timeout(store: Store, proxy: FaultProxy) -> None:
    proxy.fault = Fault(Hang(threading.Event()))
    for call, error in ((read, StoreUnavailable), (write, OutcomeUnknown)):
        began = time.monotonic()
        with pytest.raises(error, match="no answer in time"):
            call(store)
        assert time.monotonic() - began < TIMEOUT + 1


def test_a_connection_attempt_times_out_after_one_second() -> None:
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        waiting = []
        for _ in range(3):  # fill the backlog, so that the kernel ignores the next ones
            waiting.append(socket.socket())
            waiting[-1].setblocking(False)
            waiting[-1].connect_ex(full.getsockname())
        client = CouchDBClient(f"http://127.0.0.1:{full.getsockname()[1]}", Account("", str))
        began = time.monotonic()
        with pytest.raises(StoreUnavailable):
            write(CouchDBStore(client, "zerglings"))
        assert time.monotonic() - began < 2
        for connection in waiting:
            connection.close()
        client.close()


def test_the_store_works_again_once_the_server_is_back(store: Store, proxy: FaultProxy) -> None:
    write(store)
    proxy.down()
    with pytest.raises(StoreUnavailable):
        write(store)
    proxy.up()
    write(store)


def test_a_write_with_a_lost_response_has_an_unknown_outcome(
    store: Store, proxy: FaultProxy
) -> None:
    document_id = str(uuid.uuid4())
    proxy.fault = Fault(ResetAfter(), times=1)
    with pytest.raises(OutcomeUnknown):
        store.put_many([{"_id": document_id, "n": 1}], timeout=TIMEOUT)
    found = store.get_many([document_id], timeout=TIMEOUT)
    assert [leaf["n"] for leaf in found[document_id]] == [1]


def test_a_missing_database_answers_pings_but_is_not_ready(couchdb: CouchDBServer) -> None:
    client = couchdb.client()
    store = CouchDBStore(client, "overmind-test-not-there")
    store.ping(timeout=TIMEOUT)
    with pytest.raises(NotBootstrapped, match="bootstrap_couch"):
        store.check_ready(timeout=TIMEOUT)
    client.close()


@pytest.mark.parametrize("document_id", [".", ".."])
def test_an_id_that_would_leave_the_database_path_is_never_sent(
    store: Store, proxy: FaultProxy, document_id: str
) -> None:
    with pytest.raises(ValueError, match="CouchDB path"):
        store.get_many([document_id], timeout=TIMEOUT, all_copies=True)
    with pytest.raises(ValueError, match="CouchDB path"):
        store.put_many([{"_id": document_id}], timeout=TIMEOUT)
    assert proxy.requests == []


def test_writes_request_a_full_commit_from_old_servers(
    couch: Backend, couchdb: CouchDBServer
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        store = couch.through(f"http://127.0.0.1:{port}").open()
        with ThreadPoolExecutor(1) as pool:
            outcome = pool.submit(write, store)
            connection, _ = server.accept()
            request = b""
            while b"\r\n\r\n" not in request:
                request += connection.recv(65536)
            connection.close()
            assert isinstance(outcome.exception(), OutcomeUnknown)
        store.close()
    assert b"X-Couch-Full-Commit: true" in request


def test_proxy_variables_of_the_environment_are_ignored(
    couch: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:1")
    store = couch.open()
    write(store)
    store.close()


def test_an_untrusted_certificate_is_refused_before_any_data_is_sent() -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("127.0.0.1").configure_cert(context)
    received: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            for _ in range(2):
                connection, _address = server.accept()
                with connection:
                    try:
                        with context.wrap_socket(connection, server_side=True) as tls:
                            received.append(tls.recv(1))
                    except (ssl.SSLError, ConnectionError):
                        continue

        thread = threading.Thread(target=serve)
        thread.start()
        client = CouchDBClient(
            f"https://127.0.0.1:{server.getsockname()[1]}", Account("a", lambda: "b")
        )
        store = CouchDBStore(client, "zerglings")
        for call in (read, write):  # twice, as a setting may be lost after the first call
            with pytest.raises(StoreUnavailable, match="certificate"):
                call(store)
        thread.join()
        client.close()
    assert received == []


def test_a_missing_ca_file_stops_every_request(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        client = CouchDBClient(
            f"https://127.0.0.1:{server.getsockname()[1]}",
            Account("a", lambda: "b"),
            ca_file=tmp_path / "gone.pem",
        )
        store = CouchDBStore(client, "zerglings")
        for call in (read, write):
            with pytest.raises(StoreUnavailable, match="COUCHDB_CA_FILE is gone"):
                call(store)
        client.close()


def test_a_refused_account_is_named_without_its_password(
    couchdb: CouchDBServer, couch: Backend
) -> None:
    account = Account(f"nobody-{uuid.uuid4().hex}", lambda: "a-wrong-secret")
    client = CouchDBClient(couchdb.url, account)
    with pytest.raises(AccountRefused, match="nobody-") as caught:
        read(CouchDBStore(client, couch.environment["COUCHDB_DATABASE"]))
    assert "a-wrong-secret" not in str(caught.value)
    assert "COUCHDB_PASSWORD" in str(caught.value)
    client.close()


def test_a_refused_password_is_not_sent_repeatedly(
    store: Store, proxy: FaultProxy, couch: Backend
) -> None:
    proxy.fault = Fault(couch_error(401, "unauthorized", "Name or password is incorrect."))
    for _ in range(20):
        with pytest.raises(AccountRefused):
            read(store)
    assert len(proxy.requests) == 1


def test_an_unproven_password_is_sent_by_one_thread_at_a_time(
    couch: Backend, proxy: FaultProxy
) -> None:
    proxy.fault = Fault(couch_error(401, "unauthorized", "Name or password is incorrect."))
    store = couch.through(proxy.url).open()
    with ThreadPoolExecutor(16) as pool:
        outcomes = [pool.submit(read, store) for _ in range(32)]
        assert {type(outcome.exception()) for outcome in outcomes} == {AccountRefused}
    assert len(proxy.requests) == 1
    store.close()


def test_a_changed_password_is_used_immediately(couchdb: CouchDBServer, proxy: FaultProxy) -> None:
    passwords = ["wrong", couchdb.password]
    with couchdb_backend(couchdb) as backend:
        account = Account(couchdb.username, lambda: passwords[0])
        client = CouchDBClient(proxy.url, account)
        store = CouchDBStore(client, backend.environment["COUCHDB_DATABASE"])
        proxy.fault = Fault(couch_error(401, "unauthorized", "no"), times=1)
        with pytest.raises(AccountRefused):
            write(store)
        passwords.pop(0)
        write(store)
        assert [request.status for request in proxy.requests] == [401, 201]
        client.close()
