"""Tests for the fault proxy's faults and for the peer's data after a restart."""

from __future__ import annotations

import http.client
import socket
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import requests

from tests.support.fault_proxy import FaultProxy, SeenRequest
from tests.support.faults import Answer, CutBody, Delay, Fault, Hang, Kind, ResetAfter, ResetBefore
from tests.support.peer import Peer, PeerError
from tests.support.waiting import wait_until


class Upstream(ThreadingHTTPServer):
    """A server that echoes request bodies and records the requests."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), EchoHandler)
        self.carried_out: list[str] = []


class EchoHandler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: Upstream

    def log_message(self, *_: object) -> None:
        pass

    def do_PUT(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self._answer(201, body)

    def do_GET(self) -> None:
        if self.path == "/chunked":
            self._answer(
                200, b"3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n", **{"Transfer-Encoding": "chunked"}
            )
        else:
            self._answer(200, b"0123456789")

    def do_HEAD(self) -> None:
        self._answer(200, b"", **{"Content-Length": "10"})

    def do_DELETE(self) -> None:
        self._answer(204, b"", **{"X-Empty": "yes"})

    def _answer(self, status: int, body: bytes, **headers: str) -> None:
        self.server.carried_out.append(f"{self.command} {self.path}")
        self.send_response(status)
        for name, value in (headers or {"Content-Length": str(len(body))}).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)


@pytest.fixture
def upstream() -> Iterator[Upstream]:
    with Upstream() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def proxy(upstream: Upstream) -> Iterator[FaultProxy]:
    with FaultProxy("127.0.0.1", upstream.server_port) as started:
        yield started


@pytest.fixture
def client() -> Iterator[requests.Session]:
    with requests.Session() as session:
        session.trust_env = False
        yield session


def local_port(connection: http.client.HTTPConnection) -> int:
    assert isinstance(connection.sock, socket.socket)
    port: int = connection.sock.getsockname()[1]
    return port


def get_a(connection: http.client.HTTPConnection) -> bytes:
    connection.request("GET", "/a")
    with connection.getresponse() as response:
        return response.read()


def assert_reset(proxy: FaultProxy) -> None:
    """Assert that the proxy resets a connection instead of answering."""
    connection = http.client.HTTPConnection("127.0.0.1", proxy.port, timeout=5)
    connection.request("GET", "/a")
    with pytest.raises(ConnectionResetError):
        connection.getresponse()
    connection.close()


def in_background(proxy: FaultProxy) -> tuple[threading.Thread, list[str]]:
    """Send GET /slow on a thread, which adds the outcome to the returned list."""
    outcome: list[str] = []

    def get() -> None:
        try:
            with requests.get(f"{proxy.url}/slow", timeout=5) as answer:
                outcome.append(answer.text)
        except requests.ConnectionError:
            outcome.append("no answer")

    thread = threading.Thread(target=get)
    thread.start()
    return thread, outcome


def test_without_a_fault_requests_are_forwarded_on_one_connection(proxy: FaultProxy) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", proxy.port, timeout=5)
    answers, ports = [], set()
    for method, path, body in [
        ("PUT", "/a?b=c", b"hello"),
        ("PUT", "/empty", b""),
        ("GET", "/chunked", None),
        ("HEAD", "/head", None),
        ("DELETE", "/gone", None),
        ("GET", "/plain", None),
    ]:
        connection.request(method, path, body)
        with connection.getresponse() as response:
            answers.append((response.status, response.read()))
        ports.add(local_port(connection))
    connection.close()
    assert answers == [
        (201, b"hello"),
        (201, b""),
        (200, b"abcde"),
        (200, b""),
        (204, b""),
        (200, b"0123456789"),
    ]
    assert len(ports) == 1
    assert proxy.requests[0] == SeenRequest("PUT", "/a?b=c", 201)
    assert [seen.status for seen in proxy.requests] == [201, 201, 200, 200, 204, 200]
    proxy.clear()
    assert proxy.requests == []


def test_a_chunked_request_reaches_the_upstream(
    proxy: FaultProxy, client: requests.Session
) -> None:
    answer = client.put(f"{proxy.url}/a", data=iter([b"ab", b"cde"]), timeout=5)
    assert answer.content == b"abcde"


def test_an_answer_is_sent_instead_of_forwarding(
    proxy: FaultProxy, upstream: Upstream, client: requests.Session
) -> None:
    proxy.fault = Fault(Answer(502, b"<h1>Bad</h1>", {"Content-Type": "text/html"}), times=1)
    first = client.get(f"{proxy.url}/a", timeout=5)
    assert (first.status_code, first.text) == (502, "<h1>Bad</h1>")
    assert first.headers == {"Content-Type": "text/html", "Content-Length": "12"}
    assert upstream.carried_out == []
    assert client.get(f"{proxy.url}/a", timeout=5).status_code == 200
    assert [seen.status for seen in proxy.requests] == [502, 200]


def test_the_first_matching_fault_with_uses_left_applies(
    proxy: FaultProxy, client: requests.Session
) -> None:
    proxy.faults = [
        Fault(Answer(401), matches=lambda method, path: method == "PUT" and path == "/a"),
        Fault(Answer(500), times=1),
        Fault(Answer(503)),
    ]
    statuses = [client.get(f"{proxy.url}/a", timeout=5).status_code for _ in range(3)]
    assert statuses == [500, 503, 503]
    assert client.put(f"{proxy.url}/a", data=b"x", timeout=5).status_code == 401


@pytest.mark.parametrize(
    ("kind", "carried_out", "status"),
    [(ResetBefore(), [], None), (ResetAfter(), ["GET /a"], 200)],
)
def test_a_reset_is_sent_before_or_after_the_upstream_handled_the_request(
    proxy: FaultProxy, upstream: Upstream, kind: Kind, carried_out: list[str], status: int | None
) -> None:
    proxy.fault = Fault(kind)
    assert_reset(proxy)
    assert upstream.carried_out == carried_out
    assert proxy.requests == [SeenRequest("GET", "/a", status)]


@pytest.mark.parametrize(("path", "whole"), [("/a", 10), ("/chunked", 5)])
def test_a_cut_body_ends_before_its_declared_length(
    proxy: FaultProxy, path: str, whole: int
) -> None:
    proxy.fault = Fault(CutBody(3))
    connection = http.client.HTTPConnection("127.0.0.1", proxy.port, timeout=5)
    connection.request("GET", path)
    response = connection.getresponse()
    with pytest.raises(http.client.IncompleteRead) as cut:
        response.read()
    connection.close()
    assert (len(cut.value.partial), cut.value.expected) == (3, whole - 3)


@pytest.mark.parametrize(
    ("forward", "carried_out", "released"),
    [(False, [], "no answer"), (True, ["GET /slow"], "0123456789")],
)
def test_a_request_hangs_until_it_is_released(
    proxy: FaultProxy, upstream: Upstream, forward: bool, carried_out: list[str], released: str
) -> None:
    release = threading.Event()
    proxy.fault = Fault(Hang(release, forward=forward))
    thread, outcome = in_background(proxy)
    wait_until(lambda: len(proxy.requests) == 1, "the request has arrived")
    assert (upstream.carried_out, outcome) == (carried_out, [])
    release.set()
    thread.join()
    assert outcome == [released]


def test_a_delay_comes_before_forwarding(proxy: FaultProxy, client: requests.Session) -> None:
    proxy.fault = Fault(Delay(0.1))
    began = time.monotonic()
    assert client.get(f"{proxy.url}/a", timeout=5).text == "0123456789"
    assert time.monotonic() - began >= 0.1


@pytest.mark.parametrize("kind", [Hang(threading.Event()), Delay(60)])
def test_stopping_drops_held_requests(proxy: FaultProxy, upstream: Upstream, kind: Kind) -> None:
    arrived = threading.Event()

    def matches(_method: str, _path: str) -> bool:
        arrived.set()
        return True

    proxy.fault = Fault(kind, matches=matches)
    thread, outcome = in_background(proxy)
    assert arrived.wait(5)
    began = time.monotonic()
    proxy.stop()
    thread.join()
    assert time.monotonic() - began < 1
    assert (outcome, upstream.carried_out) == (["no answer"], [])


def test_down_refuses_and_up_serves_again_on_the_same_port(proxy: FaultProxy) -> None:
    port = proxy.port
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    assert get_a(connection) == b"0123456789"
    proxy.down()
    with pytest.raises(ConnectionError):
        get_a(connection)
    connection.close()
    with pytest.raises(ConnectionRefusedError):
        connection.connect()
    proxy.up()
    assert get_a(connection) == b"0123456789"
    connection.close()
    assert proxy.port == port


def test_an_unreachable_upstream_resets_the_client() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        with FaultProxy("127.0.0.1", unused.getsockname()[1]) as proxy:
            assert_reset(proxy)
            assert proxy.requests == [SeenRequest("GET", "/a", None)]


def test_a_persistent_peer_keeps_its_databases_over_a_kill(
    tmp_path: Path, client: requests.Session
) -> None:
    with Peer.start(tmp_path, persistent=True, admin=("boss", "secret")) as peer:
        database, url = f"{peer.url}/kept", peer.url
        assert client.put(database, auth=("boss", "secret"), timeout=5).status_code == 201
        assert client.get(database, auth=("boss", "wrong"), timeout=5).status_code == 401
        peer.kill()
        with pytest.raises(requests.ConnectionError):
            client.get(database, timeout=5)
        peer.restart()
        assert peer.url == url
        assert client.get(database, auth=("boss", "secret"), timeout=5).status_code == 200


def test_a_peer_that_cannot_start_reports_its_output(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        with pytest.raises(PeerError, match=rf"output on port {port} ends with:\n.*Error"):
            Peer.start(tmp_path, port=port)
