"""Tests for request metrics and the access log, with a real service of several processes."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import threading
import uuid
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.support.backends import Backend, sqlite_backend
from tests.support.documents import SOON, write
from tests.support.fault_proxy import FaultProxy
from tests.support.faults import Answer, Fault, Hang
from tests.support.prometheus import Metrics
from tests.support.service import Service, workers
from tests.support.waiting import wait_until
from zerglings.domain.document import encode
from zerglings.domain.zergling import Pose, Zergling
from zerglings.storage.base import PAGE_LIMIT

PROCESSES = 4
DEADLINE_SECONDS = 20.0
REQUESTS = "overmind_http_requests_total"
DURATION = "overmind_http_request_duration_seconds"
UUID_HEX = re.compile(r"[0-9a-f]{32}")
TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
JSON_LOG = {"OVERMIND_LOG_FORMAT": "json"}
ANSWER_FIELDS = {
    "timestamp",
    "level",
    "logger",
    "message",
    "request_id",
    "method",
    "route",
    "status",
    "duration_ms",
    "bytes",
    "client",
}

Line = dict[str, Any]

Counted = Counter[tuple[str, str, str]]
"""Requests by route, method and status."""


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """One service of several processes for all tests that only add to it."""
    directory = tmp_path_factory.mktemp("observed")
    environment = sqlite_backend(directory).environment | JSON_LOG
    with Service(environment | {"WEB_CONCURRENCY": str(PROCESSES)}, directory) as service:
        yield service


def lines(service: Service) -> list[Line]:
    """Return the whole lines of a JSON log."""
    return [json.loads(line) for line in service.log.split("\n")[:-1] if line]


def lines_of(service: Service, request_id: str) -> list[Line]:
    """Return what was logged on behalf of a request, when its own line is there."""

    def found() -> list[Line]:
        return [line for line in lines(service) if line.get("request_id") == request_id]

    wait_until(lambda: any("status" in line for line in found()), f"a line of {request_id}")
    return found()


def answered(service: Service, method: str, path: str, **headers: str) -> Line:
    """Send a request and return its line of the log."""
    request_id = uuid.uuid4().hex
    service.call(method, path, headers={"X-Request-ID": request_id} | headers)
    (line,) = [line for line in lines_of(service, request_id) if "status" in line]
    return line


def sent_raw(service: Service, data: bytes) -> bytes:
    """Send bytes, say that these were all, and return what comes back."""
    with socket.create_connection(("127.0.0.1", service.port), timeout=10) as connection:
        connection.sendall(data)
        connection.shutdown(socket.SHUT_WR)
        return b"".join(iter(lambda: connection.recv(65536), b""))


# Counting


def send_a_mix(service: Service, rounds: int) -> Counted:
    """Send requests of many kinds from many clients; return how many of each were sent."""

    def one_round(_: int) -> Counted:
        sent: Counted = Counter()

        def send(route: str, method: str, path: str, body: str | bytes | None = None) -> Any:
            reply = service.call(method, path, body)
            known = method if method != "BREW" else "other"
            sent[route, known, str(reply.status)] += 1
            return reply

        spawned = send("zergling-list", "POST", "/zerglings/").json["zergling"]["id"]
        send("zergling-detail", "POST", f"/zerglings/{spawned}", '"M"')
        send("zergling-detail", "POST", f"/zerglings/{spawned}", '"X"')
        send("zergling-detail", "GET", f"/zerglings/{spawned}/")
        send("zergling-detail", "HEAD", f"/zerglings/{spawned}")
        send("zergling-detail", "GET", f"/zerglings/{uuid.uuid4()}")
        send("zergling-detail", "PUT", f"/zerglings/{spawned}", "{}")
        send("zergling-history", "GET", f"/zerglings/{spawned}/history")
        send("zergling-list", "GET", "/zerglings/")
        send("zergling-list", "HEAD", "/zerglings/")
        send("zergling-list", "BREW", "/zerglings/")
        send("none", "GET", f"/nowhere/{uuid.uuid4()}")
        send("none", "POST", "/zerglings/", b"M" * 100_000)  # refused before Django
        send("healthz", "GET", "/healthz")
        send("entry", "GET", "/")
        return sent

    with ThreadPoolExecutor(8) as pool:
        return sum(pool.map(one_round, range(rounds)), Counter())


def counted(service: Service) -> Counted:
    """Return what the service has counted, itself being asked left out."""
    return Counter(
        {
            (labels["route"], labels["method"], labels["status"]): int(value)
            for labels, value in Metrics.of(service).samples(REQUESTS)
            if labels["route"] != "metrics"
        }
    )


def test_totals_equal_the_requests_sent_to_four_processes(shared: Service) -> None:
    assert len(workers(shared)) == PROCESSES
    before = counted(shared)
    times_before = Metrics.of(shared).total(f"{DURATION}_count")
    sent = send_a_mix(shared, rounds=25)
    assert sent["none", "POST", "413"] == 25
    assert len(sent) == 15
    wait_until(lambda: counted(shared) - before == sent, "what was sent is counted")
    scrape = Metrics.of(shared)
    own = scrape.total(f"{DURATION}_count", route="metrics")
    assert scrape.total(f"{DURATION}_count") - own >= sent.total()
    assert scrape.total(f"{DURATION}_count") > times_before
    assert scrape.total("overmind_http_requests_in_flight") == 1, "that which asks"


def test_counts_of_a_killed_process_are_kept(sqlite: Backend, tmp_path: Path) -> None:
    environment = sqlite.environment | {"WEB_CONCURRENCY": "2"}
    with Service(environment, tmp_path) as service:
        before = counted(service)
        sent = send_a_mix(service, rounds=4)
        for _ in range(3):
            wait_until(partial(has_counted, service, before, sent), "all is counted")
            victim = workers(service)[0]
            os.kill(victim, signal.SIGKILL)
            wait_until(partial(is_gone, service, victim), "the victim has ended")
            wait_until(lambda: has_all_ready(service, 2), "the victim has a successor")
            sent += send_a_mix(service, rounds=4)
        wait_until(partial(has_counted, service, before, sent), "each request is counted once")
        assert Metrics.of(service).total("overmind_http_requests_in_flight") == 1


def has_counted(service: Service, before: Counted, sent: Counted) -> bool:
    """Whether it has counted what was sent, which it does when clients have their answers."""
    return counted(service) - before == sent


def has_all_ready(service: Service, processes: int) -> bool:
    """Whether so many workers have loaded all that counts."""
    ids = workers(service)
    return len(ids) == processes and all(map(is_counting, ids))


def is_counting(worker: int) -> bool:
    try:
        files = [os.readlink(link) for link in Path(f"/proc/{worker}/fd").iterdir()]
    except FileNotFoundError:  # it opens and closes some meanwhile
        return False
    return any("gauge_livesum" in file for file in files)


def is_gone(service: Service, worker: int) -> bool:
    return worker not in workers(service)


def test_requests_of_a_killed_process_are_not_counted_as_in_flight(
    couch: Backend, proxy: FaultProxy, tmp_path: Path
) -> None:
    with Service(couch.through(proxy.url).environment, tmp_path) as service:
        service.call("GET", "/zerglings/")
        proxy.fault = Fault(Hang(threading.Event()))
        seen = len(proxy.requests)
        with ThreadPoolExecutor(1) as pool:
            hanging = pool.submit(service.call, "GET", f"/zerglings/{uuid.uuid4()}")
            wait_until(lambda: len(proxy.requests) > seen, "the request hangs")
            assert Metrics.of(service).total("overmind_http_requests_in_flight") == 2
            os.kill(workers(service)[0], signal.SIGKILL)
            with pytest.raises(OSError, match=r"."):
                hanging.result(DEADLINE_SECONDS)
        wait_until(lambda: is_answering(service), "a successor answers")
        assert Metrics.of(service).total("overmind_http_requests_in_flight") == 1


def is_answering(service: Service) -> bool:
    try:
        return service.call("GET", "/healthz").status == 200
    except OSError:
        return False


def test_clients_cannot_create_new_labels(shared: Service) -> None:
    hostile = ("/%22%7d%0ax 1", "/zerglings/..%2f..", "/zerglings/a/b", "/?x=%0a", "/METRICS")
    for path in hostile:
        for method in ("GET", "X-" + uuid.uuid4().hex.upper(), "get"):
            shared.call(method, path.replace(" ", "%20"))
    scrape = Metrics.of(shared)
    assert scrape.labels(REQUESTS, "method") <= {"GET", "HEAD", "POST", "PUT", "other"}
    assert scrape.labels(REQUESTS, "route") <= {
        "none",
        "entry",
        "health",
        "healthz",
        "metrics",
        "readyz",
        "zergling-list",
        "zergling-detail",
        "zergling-history",
    }
    assert all(re.fullmatch("[1-5][0-9][0-9]", s) for s in scrape.labels(REQUESTS, "status"))


def test_an_outage_is_counted_as_a_503(couch: Backend, proxy: FaultProxy, tmp_path: Path) -> None:
    with Service(couch.through(proxy.url).environment, tmp_path) as service:
        proxy.fault = Fault(Answer(500))
        assert service.call("GET", "/zerglings/").status == 503
        assert Metrics.of(service).total(REQUESTS, route="zergling-list", status="503") == 1


def is_second_page(_method: str, path: str) -> bool:
    return "_all_docs" in path and "startkey" in path


def test_a_response_cut_off_by_the_service_is_counted_as_cut(
    couch: Backend, proxy: FaultProxy, tmp_path: Path
) -> None:
    store = couch.open()
    ids = [str(uuid.uuid4()) for _ in range(PAGE_LIMIT + 100)]
    store.put_many([encode(Zergling.spawned(id_, Pose())) for id_ in ids], timeout=SOON)
    store.close()
    with Service(couch.through(proxy.url).environment | JSON_LOG, tmp_path) as service:
        proxy.fault = Fault(Answer(500), is_second_page)
        sent_raw(service, b"GET /zerglings/ HTTP/1.1\r\nHost: x\r\nX-Request-ID: cut\r\n\r\n")
        wait_until(lambda: "Error handling a request" in service.log, "the server logs the error")
        line, of_the_server = lines_of(service, "cut")
        assert (line["status"], line["cut_by"]) == (200, "service")
        assert of_the_server["logger"] == "gunicorn.error"
        assert Metrics.of(service).total("overmind_http_answers_cut_total", by="service") == 1


# The request's id and its trace


def test_a_request_id_is_returned_and_logged(shared: Service) -> None:
    reply = shared.call("GET", "/zerglings/", headers={"X-Request-ID": "a.B-c_9"})
    assert reply.headers.get_all("X-Request-ID") == ["a.B-c_9"]
    (line,) = lines_of(shared, "a.B-c_9")
    assert line["route"] == "zergling-list"


def test_every_response_has_its_own_request_id(shared: Service) -> None:
    paths = ["/zerglings/", "/nowhere", "/healthz", "/metrics", "/"]
    replies = [shared.call("GET", path) for path in paths]
    replies.append(shared.call("POST", "/zerglings/", b"x" * 70_000))
    ids = [reply.headers["X-Request-ID"] for reply in replies]
    assert all(UUID_HEX.fullmatch(id_) for id_ in ids)
    assert len(set(ids)) == len(ids)


@pytest.mark.parametrize(
    "given",
    ["", " ", "a b", "a,b", "x" * 129, "ä".encode().decode("latin-1"), "a\tb", "<script>", 'a"b'],
)
def test_an_invalid_request_id_is_replaced(shared: Service, given: str) -> None:
    reply = shared.call("GET", "/healthz", headers={"X-Request-ID": given})
    assert UUID_HEX.fullmatch(reply.headers["X-Request-ID"])


@pytest.mark.parametrize(
    "header",
    [
        b"X-Request-ID: a\rX-Evil: 1",
        b"X-Request-ID: a\nX-Evil: 1",
        b"X-Request-ID: a\r\n X-Evil: 1",
        b"X-Request-ID: a%0d%0aX-Evil: 1",
        b"X-Request-ID: a\x00",
        b"X-Request-ID: a\r\nX-Request-ID: b",
    ],
)
def test_a_request_id_cannot_split_the_response_header(shared: Service, header: bytes) -> None:
    request = b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n" + header + b"\r\n\r\n"
    head = sent_raw(shared, request).partition(b"\r\n\r\n")[0].lower()
    assert b"x-evil" not in head
    assert b"x-request-id: a\r\n" not in head
    assert head.count(b"x-request-id") <= 1


def test_a_valid_traceparent_is_logged(shared: Service) -> None:
    line = answered(shared, "GET", "/zerglings/", traceparent=f"00-{TRACE}-{SPAN}-01")
    assert (line["trace_id"], line["span_id"]) == (TRACE, SPAN)
    later = answered(shared, "GET", "/zerglings/", traceparent=f"cc-{TRACE}-{SPAN}-01-what-else")
    assert later["trace_id"] == TRACE


@pytest.mark.parametrize(
    "parent",
    [
        "",
        "00",
        f"ff-{TRACE}-{SPAN}-01",
        f"00-{TRACE.upper()}-{SPAN}-01",
        f"00-{'0' * 32}-{SPAN}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"00-{TRACE}-{SPAN}-01-more",
        f"00-{TRACE}-{SPAN}",
        f"00-{TRACE}-{SPAN}-1",
        f"01-{TRACE}-{SPAN}-01.more",
        f"00-{TRACE}-{SPAN}-01, 00-{TRACE}-{SPAN}-01",
    ],
)
def test_an_invalid_traceparent_is_not_logged(shared: Service, parent: str) -> None:
    assert "trace_id" not in answered(shared, "GET", "/zerglings/", traceparent=parent)


# The log


def test_the_access_log_line_has_the_documented_fields(shared: Service) -> None:
    line = answered(shared, "POST", "/zerglings/")
    spawned = line.pop("zergling_id")
    assert line.keys() == ANSWER_FIELDS
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", line["timestamp"])
    assert line["message"] == "POST zergling-list 201"
    assert (line["level"], line["logger"]) == ("INFO", "overmind.request")
    assert (line["method"], line["route"], line["status"]) == ("POST", "zergling-list", 201)
    assert line["client"] == "127.0.0.1"
    assert 0 < line["duration_ms"] < 30_000
    reply = shared.call("GET", f"/zerglings/{spawned}")
    assert reply.status == 200
    moved = answered(shared, "GET", f"/zerglings/{spawned}")
    assert (moved["zergling_id"], moved["bytes"]) == (spawned, len(reply.body))


def test_only_valid_ids_are_logged_as_zergling_ids(shared: Service) -> None:
    for path in ("/zerglings/hunter2", "/zerglings/hunter2/history", f"/hunter2/{uuid.uuid4()}"):
        assert "zergling_id" not in answered(shared, "GET", path)
    assert "hunter2" not in shared.log


def test_headers_queries_and_bodies_are_not_logged(shared: Service) -> None:
    id_ = shared.spawn()
    secrets = {
        "Authorization": "Basic c2Vzam-one",
        "Idempotency-Key": "c2Vzam-two",
        "Cookie": "c2Vzam-three",
        "Referer": "http://c2Vzam-four/",
        "User-Agent": "c2Vzam-five",
    }
    path = f"/zerglings/{id_}?token=c2Vzam-six"
    assert shared.call("POST", path, '"M"', secrets).status == 200
    assert shared.call("POST", path, '"c2Vzam-seven"', secrets).status == 400
    assert shared.call("GET", "/c2Vzam-eight?c2Vzam-nine", headers=secrets).status == 404
    for malformed in (
        b"GET /c2Vzam-a?c2Vzam-b HTTP/9.9\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nAuthorization Basic c2Vzam-c\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nAuthorization c2Vzam-d : x\r\n\r\n",
        b"c2Vzam-e\r\n\r\n",
        b"POST /?c2Vzam-f HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nc2Vzam-g\r\n",
    ):
        assert b" 400 " in sent_raw(shared, malformed).partition(b"\r\n")[0]
    wait_until(lambda: shared.log.count("Malformed request") >= 4, "the refusals are logged")
    answered(shared, "GET", "/zerglings/")
    assert "c2Vzam" not in shared.log


def test_a_password_refused_by_the_store_is_not_logged(couch: Backend, tmp_path: Path) -> None:
    wrong = {"COUCHDB_USERNAME": f"nobody-{uuid.uuid4().hex[:8]}", "COUCHDB_PASSWORD": "hunter2"}
    with Service(couch.environment | wrong | JSON_LOG, tmp_path) as service:
        assert service.call("GET", "/readyz").status == 503
        assert answered(service, "GET", "/zerglings/")["status"] == 503
        assert "COUCHDB_USERNAME" in service.log
        assert "hunter2" not in service.log


def test_probes_are_logged_only_if_they_fail(
    couch: Backend, proxy: FaultProxy, tmp_path: Path
) -> None:
    with Service(couch.through(proxy.url).environment | JSON_LOG, tmp_path) as service:
        for path in ("/healthz", "/readyz", "/_health", "/metrics"):
            assert service.call("GET", path).status == 200
        proxy.fault = Fault(Answer(500))
        assert service.call("GET", "/readyz").status == 503
        answered(service, "GET", "/nowhere")
        said = [line["message"] for line in lines(service) if line["logger"] == "overmind.request"]
        assert said == ["GET readyz 503", "GET none 404"]


def test_every_line_logged_during_a_request_has_its_id(
    couch: Backend, proxy: FaultProxy, tmp_path: Path
) -> None:
    store = couch.open()
    write(store, {"_id": "stranger", "id": "x"})
    store.close()
    ids = [f"client-{number}" for number in range(6)]
    with Service(couch.through(proxy.url).environment | JSON_LOG, tmp_path) as service:
        assert service.call("GET", "/readyz").status == 200, "the account has proved good"
        release = threading.Event()
        proxy.fault = Fault(Hang(release, forward=True), lambda _, path: "_all_docs" in path)
        with ThreadPoolExecutor(len(ids)) as pool:

            def ask(request_id: str) -> int:
                return service.call(
                    "GET", "/zerglings/", headers={"X-Request-ID": request_id}
                ).status

            asked = [pool.submit(ask, request_id) for request_id in ids]

            def hanging() -> int:
                return sum("_all_docs" in request.path for request in proxy.requests)

            wait_until(lambda: hanging() == len(ids), "all are under way at once")
            release.set()
            assert [each.result(DEADLINE_SECONDS) for each in asked] == [200] * len(ids)
        for request_id in ids:
            logged = lines_of(service, request_id)
            assert [line["logger"] for line in logged] == [
                "zerglings.repository.reading",
                "overmind.request",
            ]


def test_every_line_of_a_json_log_is_an_object(shared: Service) -> None:
    shared.call("GET", "/zerglings/")
    loggers = {line["logger"] for line in lines(shared)}
    assert {"gunicorn.error", "overmind.request"} <= loggers


def test_the_default_log_format_is_text(sqlite: Backend, tmp_path: Path) -> None:
    with Service(sqlite.environment, tmp_path) as service:
        service.call("GET", "/zerglings/", headers={"X-Request-ID": "me"})
        wait_until(lambda: "request_id=me" in service.log, "the line is there")
        (line,) = [line for line in service.log.splitlines() if "request_id=me" in line]
    assert re.fullmatch(
        r"\S+Z INFO overmind\.request: GET zergling-list 200 duration_ms=[0-9.]+ bytes=2"
        r" client=127\.0\.0\.1 request_id=me",
        line,
    )
