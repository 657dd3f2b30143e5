"""Tests for request metrics of several processes, also after one was killed."""

from __future__ import annotations

import os
import re
import signal
import threading
import uuid
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.overmind_project.middleware.json_log import (
    DEADLINE_SECONDS,
    JSON_LOG,
    PROCESSES,
    lines_of,
    sent_raw,
)
from tests.support.backends import Backend
from tests.support.documents import SOON
from tests.support.fault_proxy import FaultProxy
from tests.support.faults import Answer, Fault, Hang
from tests.support.prometheus import Metrics
from tests.support.service import Service, workers
from tests.support.waiting import wait_until
from zerglings.domain.document_format import encode
from zerglings.domain.pose import Pose
from zerglings.domain.zergling import Zergling
from zerglings.storage.base import PAGE_LIMIT

REQUESTS = "overmind_http_requests_total"
DURATION = "overmind_http_request_duration_seconds"
Counted = Counter[tuple[str, str, str]]
"""Requests by route, method and status."""


def send_a_mix(service: Service, rounds: int) -> Counted:
    """Send requests of many kinds from many clients, and return the number of each kind."""

    def one_round(_: int) -> Counted:
        sent: Counted = Counter()

        def send(route: str, method: str, path: str, body: str | bytes | None = None) -> Any:
            reply = service.call(method, path, body)
            known = method if method != "PROPFIND" else "other"
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
        send("zergling-list", "PROPFIND", "/zerglings/")
        send("none", "GET", f"/nowhere/{uuid.uuid4()}")
        send("none", "POST", "/zerglings/", b"M" * 100_000)  # refused before Django
        send("healthz", "GET", "/healthz")
        send("entry", "GET", "/")
        return sent

    with ThreadPoolExecutor(8) as pool:
        return sum(pool.map(one_round, range(rounds)), Counter())


def counted(service: Service) -> Counted:
    """Return the counted requests, without those of the metrics."""
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
    assert scrape.total("overmind_http_requests_in_flight") == 1, "the scrape itself"


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
    """Whether all requests are counted, which happens after their responses are sent."""
    return counted(service) - before == sent


def has_all_ready(service: Service, processes: int) -> bool:
    """Whether so many workers have opened their metrics files."""
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
        of_the_server, line = sorted(lines_of(service, "cut"), key=lambda each: "status" in each)
        assert (line["status"], line["cut_by"]) == (200, "service")
        assert of_the_server["logger"] == "gunicorn.error"
        assert Metrics.of(service).total("overmind_http_answers_cut_total", by="service") == 1
