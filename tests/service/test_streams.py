"""Tests for streamed responses over a real socket."""

from __future__ import annotations

import http.client
import json
import uuid
from pathlib import Path

import pytest

from tests.support.backends import Backend
from tests.support.documents import SOON
from tests.support.fault_proxy import FaultProxy
from tests.support.faults import Answer, Fault
from tests.support.service import Service
from zerglings.domain.document_format import encode
from zerglings.domain.pose import Pose
from zerglings.domain.zergling import Zergling
from zerglings.storage.base import PAGE_LIMIT

SWARM = PAGE_LIMIT + 200
"""Zerglings, more than one page."""


def fill(backend: Backend) -> list[str]:
    ids = sorted(str(uuid.uuid4()) for _ in range(SWARM))
    store = backend.open()
    for start in range(0, SWARM, 200):
        swarm = [Zergling.spawned(id_, Pose()) for id_ in ids[start : start + 200]]
        store.put_many([encode(zergling) for zergling in swarm], timeout=SOON)
    store.close()
    return ids


def is_second_page(_method: str, path: str) -> bool:
    return "_all_docs" in path and "startkey" in path


def test_a_list_of_several_pages_is_complete(service: Service, backend: Backend) -> None:
    ids = fill(backend)
    reply = service.call("GET", "/zerglings/")
    assert [zergling["id"] for zergling in reply.json["zerglings"]] == ids
    assert reply.headers["Transfer-Encoding"] == "chunked"
    connection = service.connect()
    head = service.call("HEAD", "/zerglings/", connection=connection)
    assert (head.status, head.body) == (200, b"")
    assert service.call("GET", "/healthz", connection=connection).json == {"status": "ok"}
    connection.close()


def test_a_list_cut_off_by_a_store_failure_is_incomplete_and_not_json(
    couch: Backend, proxy: FaultProxy, tmp_path: Path
) -> None:
    ids = fill(couch)
    with Service(couch.through(proxy.url).environment, tmp_path) as service:
        proxy.fault = Fault(Answer(500), is_second_page)
        with pytest.raises(http.client.IncompleteRead) as cut:
            service.call("GET", "/zerglings/")
        with pytest.raises(json.JSONDecodeError):
            json.loads(cut.value.partial)
        proxy.fault = None
        assert len(service.call("GET", "/zerglings/").json["zerglings"]) == len(ids)


def test_a_csv_list_cut_off_by_a_store_failure_ends_in_an_error_of_the_connection(
    couch: Backend, proxy: FaultProxy, tmp_path: Path
) -> None:
    ids = fill(couch)
    with Service(couch.through(proxy.url).environment, tmp_path) as service:
        proxy.fault = Fault(Answer(500), is_second_page)
        with pytest.raises(http.client.IncompleteRead) as cut:
            service.call("GET", "/zerglings/?format=csv")
        header, *lines = cut.value.partial.decode().splitlines()
        assert header == "id,x,y,facing"
        assert [line.split(",")[0] for line in lines] == ids[:PAGE_LIMIT]
        proxy.fault = None
        assert len(service.call("GET", "/zerglings/?format=csv").body.splitlines()) == 1 + SWARM


def test_a_list_is_a_503_if_the_store_fails_at_the_first_page(
    couch: Backend, proxy: FaultProxy, tmp_path: Path
) -> None:
    with Service(couch.through(proxy.url).environment, tmp_path) as service:
        proxy.fault = Fault(Answer(500), lambda _method, path: "_all_docs" in path)
        reply = service.call("GET", "/zerglings/")
        assert (reply.status, reply.headers["Retry-After"]) == (503, "1")
        assert list(reply.json) == ["error"]
