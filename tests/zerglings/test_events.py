"""GET /events as clients hear it, over a real socket and both stores."""

from __future__ import annotations

import json
import random
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import Any

import pytest

from tests.support.backends import Backend
from tests.support.fault_proxy import FaultProxy
from tests.support.faults import Answer, Fault
from tests.support.listening import Ear, Heard
from tests.support.service import Service
from tests.support.waiting import wait_until

MOVES = 10_000
RESUMES = 50
SILENCE = 0.5
"""Seconds after which a reader that hears nothing leaves, and comes back."""


@pytest.fixture
def service(shared_service: Service) -> Service:
    return shared_service


def command(service: Service, zergling_id: str, commands: str) -> dict[str, Any]:
    zergling: dict[str, Any] = service.call("POST", f"/zerglings/{zergling_id}", commands).json[
        "zergling"
    ]
    return zergling


def test_what_happens_is_told_with_state_count_and_revision(service: Service) -> None:
    with Ear(service) as ear:
        assert ear.reply.status == 200
        assert ear.reply.headers["Content-Type"] == "text/event-stream"
        assert ear.reply.headers["Cache-Control"] == "no-store"
        ready = ear.next()
        assert (ready.kind, ready.data) == ("ready", {})
        assert ready.last_id
        zergling_id = service.spawn()
        spawned = ear.next()
        assert spawned.kind == "spawned"
        assert spawned.zergling == {
            "id": zergling_id,
            "location": {"x": 0, "y": 0},
            "facing": "N",
            "commandCount": 0,
            "_rev": spawned.zergling["_rev"],
        }
        after = command(service, zergling_id, "MMR")
        moved = ear.next()
        assert moved.kind == "moved"
        assert moved.zergling == {
            "id": zergling_id,
            "location": {"x": 0, "y": 2},
            "facing": "E",
            "commandCount": 3,
            "_rev": after["_rev"],
        }
        assert service.call("DELETE", f"/zerglings/{zergling_id}").status == 204
        died = ear.next()
        assert (died.kind, died.zergling["id"]) == ("died", zergling_id)


def test_who_comes_back_hears_what_was_missed(service: Service) -> None:
    zergling_id = service.spawn()
    with Ear(service) as ear:
        position = ear.next().last_id
    command(service, zergling_id, "M")
    other = service.spawn()
    for last_id, path in ((position, "/events"), ("", f"/events?since={position}")):
        with Ear(service, last_id, path=path) as ear:
            missed = {event.zergling["id"]: event.kind for event in (ear.next(), ear.next())}
            assert missed[zergling_id] == "moved"
            assert set(missed) == {zergling_id, other}
            after = command(service, other, "L")
            while ear.next().zergling["_rev"] != after["_rev"]:
                """What was told already may be told again."""


@pytest.mark.parametrize("position", ["nonsense", "9" * 18, "1\tx", "%0d%0aX: y"])
def test_who_cannot_go_on_where_it_left_is_told_to_begin_anew(
    service: Service, position: str
) -> None:
    with Ear(service, position) as ear:
        first = ear.next()
        assert (first.kind, first.data) == ("reset", {})
        zergling_id = service.spawn()
        assert ear.next().zergling["id"] == zergling_id


@pytest.mark.parametrize("path", ["/events", "/events/"])
def test_head_says_what_get_would_send_and_opens_nothing(service: Service, path: str) -> None:
    connection = service.connect()
    for _ in range(3):
        reply = service.call("HEAD", path, connection=connection)
        assert (reply.status, reply.body) == (200, b"")
        assert reply.headers["Content-Type"] == "text/event-stream"
    connection.close()


@pytest.mark.parametrize("accept", ["text/event-stream", "application/json"])
def test_an_error_is_json_whatever_is_accepted(service: Service, accept: str) -> None:
    reply = service.call("POST", "/events", "", {"Accept": accept})
    assert (reply.status, list(reply.json)) == (405, ["error"])
    assert reply.headers["Content-Type"] == "application/json"
    assert service.call("GET", "/events", headers={"Accept": "image/png"}).status == 406


def test_more_streams_than_may_be_are_refused_and_starve_nobody(
    backend: Backend, tmp_path: Path
) -> None:
    environment = backend.environment | {"OVERMIND_THREADS": "8", "OVERMIND_STREAMS": "4"}
    with Service(environment, tmp_path) as service:
        ears = [Ear(service) for _ in range(4)]
        assert all(ear.next().kind == "ready" for ear in ears)
        for _ in range(10):
            refused = service.call("GET", "/events", headers={"Accept": "text/event-stream"})
            assert (refused.status, refused.headers["Retry-After"]) == (503, "1")
            assert "Too many listen" in refused.json["error"]
            assert service.call("GET", "/zerglings/").status == 200
        zergling_id = service.spawn()
        assert all(ear.next().zergling["id"] == zergling_id for ear in ears)
        ears.pop().close()
        wait_until(lambda: opens(service), "a stream opens")
        for ear in ears:
            ear.close()


def opens(service: Service) -> bool:
    """Whether there is room for a stream."""
    with Ear(service) as ear:
        return ear.reply.status == 200


def test_streams_end_cleanly_when_the_service_stops(backend: Backend, tmp_path: Path) -> None:
    service = Service(backend.environment, tmp_path)
    ears = [Ear(service) for _ in range(5)]
    assert all(ear.next().kind == "ready" for ear in ears)
    began = time.monotonic()
    service.stop()
    assert time.monotonic() - began < 5, "streams hold a stop up for no longer than a moment"
    for ear in ears:
        assert list(ear.events()) == [], "the stream is whole: its end was sent"
        ear.close()
    assert "Traceback" not in service.log


def test_while_the_store_is_away_nobody_is_let_in_and_those_inside_stay(
    couch: Backend, proxy: FaultProxy, tmp_path: Path
) -> None:
    with Service(couch.through(proxy.url).environment, tmp_path) as service, Ear(service) as ear:
        ear.next()
        proxy.fault = Fault(Answer(500))
        wait_until(lambda: "no news while the store fails" in service.log, "it is logged")
        for last_id in ("", "1"):
            with Ear(service, last_id) as other:
                assert (other.reply.status, other.reply.headers["Retry-After"]) == (503, "1")
        proxy.fault = None
        zergling_id = service.spawn()
        assert ear.next().zergling["id"] == zergling_id


@pytest.mark.proof
def test_a_reader_that_comes_back_again_and_again_ends_with_what_the_store_has(
    service: Service,
) -> None:
    """Counts never go back, and what is heard twice has the revision that it had."""
    results = service.call("POST", "/swarm/spawn", '{"count": 100}').json["results"]
    ids = [result["zergling"]["id"] for result in results]
    with Ear(service) as ear:
        position = ear.next().last_id
    resumes = 0
    is_done = threading.Event()

    def drive() -> None:
        for call in range(MOVES // len(ids)):
            wait_until(lambda call=call: resumes >= call * RESUMES * len(ids) // MOVES, "resumed")  # type: ignore[misc]  # the default binds it
            orders = [{"id": id_, "command": "MLMR"[call % 4]} for id_ in ids]
            reply = service.call("POST", "/swarm/commands", json.dumps({"commands": orders}))
            assert {result["status"] for result in reply.json["results"]} == {200}
        is_done.set()

    heard: dict[str, dict[str, Any]] = {}
    with ThreadPoolExecutor() as pool:
        driven = pool.submit(drive)
        while not (is_done.is_set() and heard_all(service, ids, heard)):
            with Ear(service, position) as ear, suppress(TimeoutError):
                ear.leave_after(SILENCE)
                for event in islice(ear.events(), random.randint(1, 150)):
                    note(heard, event)
            position = ear.last_id
            resumes += 1
        driven.result()
    assert resumes >= RESUMES
    assert {zergling["commandCount"] for zergling in heard.values()} == {MOVES // len(ids)}


def note(heard: dict[str, dict[str, Any]], event: Heard) -> None:
    zergling = event.zergling
    before = heard.get(zergling["id"])
    if before is not None:
        assert zergling["commandCount"] >= before["commandCount"]
        is_repeat = zergling["commandCount"] == before["commandCount"]
        assert (zergling == before) == is_repeat
    heard[zergling["id"]] = zergling


def heard_all(service: Service, ids: list[str], heard: dict[str, dict[str, Any]]) -> bool:
    if set(heard) != set(ids) or len({z["commandCount"] for z in heard.values()}) > 1:
        return False
    stored = (service.call("GET", f"/zerglings/{id_}").json["zergling"] for id_ in ids)
    return all(zergling["_rev"] == heard[zergling["id"]]["_rev"] for zergling in stored)
