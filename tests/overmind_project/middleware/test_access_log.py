"""Tests for the access log: its fields, its formats, and secrets that it must not contain."""

from __future__ import annotations

import re
import threading
import uuid
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.overmind_project.middleware.json_log import (
    DEADLINE_SECONDS,
    JSON_LOG,
    answered,
    lines,
    lines_of,
    sent_raw,
)
from tests.support.backends import Backend
from tests.support.documents import write
from tests.support.fault_proxy import FaultProxy
from tests.support.faults import Answer, Fault, Hang
from tests.support.service import Service
from tests.support.waiting import wait_until

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
        assert answered(service, "GET", "/readyz")["status"] == 503
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
        assert service.call("GET", "/readyz").status == 200, "the account was accepted"
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
    answered(shared, "GET", "/zerglings/")
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
