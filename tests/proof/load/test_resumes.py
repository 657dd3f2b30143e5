"""Tests that a feed reader that reconnects amid thousands of moves misses nothing."""

from __future__ import annotations

import json
import random
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from itertools import islice
from typing import Any

from tests.support.listening import Ear, Heard
from tests.support.service import Service
from tests.support.waiting import wait_until

MOVES = 10_000
RESUMES = 50
SILENCE = 0.5
"""Seconds without an event after which a reader reconnects."""


def test_a_reader_that_reconnects_repeatedly_ends_with_the_stored_state(
    service: Service,
) -> None:
    """Counts never decrease, and a repeated event has the same revision."""
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
