"""GET /events as clients hear it, over a real socket and both stores."""

from __future__ import annotations

import http.client
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.test import Client

from tests.support.backends import Backend
from tests.support.fault_proxy import FaultProxy
from tests.support.faults import Answer, Fault
from tests.support.listening import Ear, Heard
from tests.support.service import Service

MOVES = 10_000
RESUMES = 50


def spawn(service: Service) -> str:
    zergling_id: str = service.call("POST", "/zerglings/").json["zergling"]["id"]
    return zergling_id


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
        zergling_id = spawn(service)
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
        assert died.last_id != moved.last_id


def test_who_comes_back_hears_what_was_missed(service: Service) -> None:
    zergling_id = spawn(service)
    with Ear(service) as ear:
        position = ear.next().last_id
    command(service, zergling_id, "M")
    other = spawn(service)
    for ear in (Ear(service, position), Ear(service, path=f"/events?since={position}")):
        with ear:
            missed = {event.zergling["id"]: event.kind for event in (ear.next(), ear.next())}
            assert missed == {zergling_id: "moved", other: "spawned"}
            command(service, other, "L")
            assert ear.next().zergling["id"] == other


@pytest.mark.parametrize("position", ["nonsense", "9" * 18, "1\tx", "%0d%0aX: y"])
def test_who_cannot_go_on_where_it_left_is_told_to_begin_anew(
    service: Service, position: str
) -> None:
    with Ear(service, position) as ear:
        first = ear.next()
        assert (first.kind, first.data) == ("reset", {})
        zergling_id = spawn(service)
        assert ear.next().zergling["id"] == zergling_id
