"""Tests for GET /events over a real socket and both stores."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from tests.support.backends import Backend
from tests.support.fault_proxy import FaultProxy
from tests.support.faults import Answer, Fault
from tests.support.listening import Ear, Heard
from tests.support.service import Service
from tests.support.waiting import wait_until


@pytest.fixture
def service(shared_service: Service) -> Service:
    return shared_service


def command(service: Service, zergling_id: str, commands: str) -> dict[str, Any]:
    zergling: dict[str, Any] = service.call("POST", f"/zerglings/{zergling_id}", commands).json[
        "zergling"
    ]
    return zergling


def next_about(ear: Ear, *ids: str) -> Heard:
    """Return the next event about these zerglings, skipping those of other tests."""
    while (event := ear.next()).zergling["id"] not in ids:
        pass
    return event


def test_events_carry_state_count_and_revision(service: Service) -> None:
    with Ear(service) as ear:
        assert ear.reply.status == 200
        assert ear.reply.headers["Content-Type"] == "text/event-stream"
        assert ear.reply.headers["Cache-Control"] == "no-store, no-transform"
        ready = ear.next()
        assert (ready.kind, ready.data) == ("ready", {})
        assert ready.last_id
        zergling_id = service.spawn()
        spawned = next_about(ear, zergling_id)
        assert spawned.kind == "spawned"
        assert spawned.zergling == {
            "id": zergling_id,
            "location": {"x": 0, "y": 0},
            "facing": "N",
            "commandCount": 0,
            "_rev": spawned.zergling["_rev"],
        }
        after = command(service, zergling_id, "MMR")
        moved = next_about(ear, zergling_id)
        assert moved.kind == "moved"
        assert moved.zergling == {
            "id": zergling_id,
            "location": {"x": 0, "y": 2},
            "facing": "E",
            "commandCount": 3,
            "_rev": after["_rev"],
        }
        assert service.call("DELETE", f"/zerglings/{zergling_id}").status == 204
        assert next_about(ear, zergling_id).kind == "died"


def test_a_resumed_stream_delivers_missed_events(service: Service) -> None:
    zergling_id = service.spawn()
    with Ear(service) as ear:
        position = ear.next().last_id
    command(service, zergling_id, "M")
    other = service.spawn()
    for last_id, path in ((position, "/events"), ("", f"/events?since={position}")):
        with Ear(service, last_id, path=path) as ear:
            missed: dict[str, str] = {}
            while len(missed) < 2:
                event = next_about(ear, zergling_id, other)
                missed[event.zergling["id"]] = event.kind
            assert missed[zergling_id] == "moved"
            after = command(service, other, "L")
            while ear.next().zergling["_rev"] != after["_rev"]:
                """Earlier events may be repeated."""


@pytest.mark.parametrize("position", ["nonsense", "9" * 18, "1\tx", "%0d%0aX: y"])
def test_an_unknown_position_starts_with_a_reset_event(service: Service, position: str) -> None:
    with Ear(service, position) as ear:
        first = ear.next()
        assert (first.kind, first.data) == ("reset", {})
        assert next_about(ear, service.spawn()).kind == "spawned"


@pytest.mark.parametrize("path", ["/events", "/events/"])
def test_head_returns_the_headers_of_get_and_opens_no_stream(service: Service, path: str) -> None:
    connection = service.connect()
    for _ in range(3):
        reply = service.call("HEAD", path, connection=connection)
        assert (reply.status, reply.body) == (200, b"")
        assert reply.headers["Content-Type"] == "text/event-stream"
        assert "Content-Length" not in reply.headers  # GET has none either
    connection.close()


@pytest.mark.parametrize("accept", ["text/event-stream", "application/json"])
def test_errors_are_json_for_every_accept_header(service: Service, accept: str) -> None:
    reply = service.call("POST", "/events", "", {"Accept": accept})
    assert (reply.status, list(reply.json)) == (405, ["error"])
    assert reply.headers["Content-Type"] == "application/json"
    assert service.call("GET", "/events", headers={"Accept": "image/png"}).status == 406


def test_excess_streams_are_rejected_and_do_not_block_other_requests(
    backend: Backend, tmp_path: Path
) -> None:
    environment = backend.environment | {"OVERMIND_THREADS": "8", "OVERMIND_STREAMS": "4"}
    with Service(environment, tmp_path) as service:
        ears = [Ear(service) for _ in range(4)]
        assert all(ear.next().kind == "ready" for ear in ears)
        for _ in range(10):
            refused = service.call("GET", "/events", headers={"Accept": "text/event-stream"})
            assert (refused.status, refused.headers["Retry-After"]) == (503, "1")
            assert "Too many event streams" in refused.json["error"]
            assert service.call("GET", "/zerglings/").status == 200
        zergling_id = service.spawn()
        assert all(ear.next().zergling["id"] == zergling_id for ear in ears)
        ears.pop().close()
        wait_until(lambda: opens(service), "a stream opens")
        for ear in ears:
            ear.close()


def opens(service: Service) -> bool:
    """Whether a new stream is accepted."""
    with Ear(service) as ear:
        return ear.reply.status == 200


def test_streams_end_cleanly_when_the_service_stops(backend: Backend, tmp_path: Path) -> None:
    service = Service(backend.environment, tmp_path)
    ears = [Ear(service) for _ in range(5)]
    assert all(ear.next().kind == "ready" for ear in ears)
    began = time.monotonic()
    service.stop()
    assert time.monotonic() - began < 5, "streams do not delay the stop"
    for ear in ears:
        assert list(ear.events()) == [], "the stream was ended properly"
        ear.close()
    assert "Traceback" not in service.log


def test_new_streams_are_rejected_and_open_ones_kept_during_an_outage(
    couch: Backend, proxy: FaultProxy, tmp_path: Path
) -> None:
    with Service(couch.through(proxy.url).environment, tmp_path) as service, Ear(service) as ear:
        ear.next()
        proxy.fault = Fault(Answer(500))
        wait_until(lambda: "streams pause while the store fails" in service.log, "it is logged")
        for last_id in ("", "1"):
            with Ear(service, last_id) as other:
                assert (other.reply.status, other.reply.headers["Retry-After"]) == (503, "1")
        proxy.fault = None
        zergling_id = service.spawn()
        assert ear.next().zergling["id"] == zergling_id
