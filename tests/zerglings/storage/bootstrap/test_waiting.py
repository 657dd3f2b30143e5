"""Tests that bootstrap waits while a server starts, hangs or fails for a moment."""

from __future__ import annotations

import threading

import pytest

from tests.support.fault_proxy import FaultProxy
from tests.support.faults import Answer, Fault, Hang, Kind, ResetAfter, ResetBefore
from tests.support.ready import assert_ready
from tests.support.site import Site
from tests.zerglings.storage.bootstrap.states import JSON, LOCKED
from zerglings.storage.bootstrap import server as server_module
from zerglings.storage.bootstrap.runner import TimedOut

HTML = {"Content-Type": "text/html"}
PASSING: dict[str, Kind] = {
    "503 HTML": Answer(503, b"<html>starting", HTML),
    "502 HTML": Answer(502, b"<html>bad gateway", HTML),
    "404 HTML": Answer(404, b"<html>", HTML),
    "404 seeding": Answer(404, b'{"status":"seeding","seeds":{}}', JSON),
    "500 conflict": Answer(500, b'{"error":"conflict","reason":"x"}', JSON),
    "409 conflict": Answer(409, b'{"error":"conflict","reason":"Document update conflict."}', JSON),
    "reset": ResetBefore(),
    "reset after it was carried out": ResetAfter(),
    "locked": LOCKED,
}


@pytest.mark.parametrize(
    ("name", "method"),
    [(name, "GET") for name in PASSING]
    + [(name, "PUT") for name in PASSING if name != "409 conflict"],
)
def test_a_transient_failure_of_any_request_is_waited_for(
    site: Site, proxy: FaultProxy, name: str, method: str
) -> None:
    """Each request of each step fails once."""
    failed: set[tuple[str, str]] = set()

    def first_time(seen_method: str, path: str) -> bool:
        is_new = (seen_method, path) not in failed and seen_method == method
        failed.add((seen_method, path))
        return is_new and "_local" not in path

    proxy.fault = Fault(PASSING[name], first_time)
    lines = site.through(proxy.url).bootstrap()
    assert any(" waiting " in line for line in lines)
    assert_ready(site)


def test_a_hanging_server_ends_in_a_timeout(site: Site, proxy: FaultProxy) -> None:
    proxy.fault = Fault(Hang(threading.Event()))
    with pytest.raises(TimedOut, match="no answer in time"):
        site.through(proxy.url).bootstrap(timeout=1)


def test_a_request_that_hangs_is_repeated(
    site: Site, proxy: FaultProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server_module, "ADMIN_REQUEST_TIMEOUT", 0.5)
    proxy.fault = Fault(Hang(threading.Event(), forward=True), lambda m, p: m == "PUT", times=3)
    lines = site.through(proxy.url).bootstrap()
    assert any("waiting no answer in time" in line for line in lines)
    assert_ready(site)


def test_a_server_that_starts_later_is_waited_for(site: Site, proxy: FaultProxy) -> None:
    proxy.down()
    coming = threading.Timer(1.5, proxy.up)
    coming.start()
    lines = site.through(proxy.url).bootstrap()
    coming.join()
    assert lines[:2] == ["wait waiting connection refused", "wait ok ok"]


def test_a_name_that_does_not_resolve_is_waited_for(site: Site) -> None:
    lost = site.through("http://couchdb.invalid:5984")
    with pytest.raises(TimedOut, match="its name does not resolve"):
        lost.bootstrap(timeout=0.5)


def test_another_service_on_the_port_is_not_taken_for_couchdb(
    site: Site, proxy: FaultProxy
) -> None:
    for body in (b'{"hello":"world"}', b"[]", b"hello"):
        proxy.fault = Fault(Answer(200, body, JSON))
        with pytest.raises(TimedOut, match=r"not CouchDB|not JSON"):
            site.through(proxy.url).bootstrap(timeout=0.3)
