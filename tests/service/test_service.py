"""End-to-end tests of a running service: the original's walk, races and a lost store."""

from __future__ import annotations

import re
import threading
import time
import uuid
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.support.backends import Backend
from tests.support.documents import read
from tests.support.fault_proxy import FaultProxy
from tests.support.service import Service
from tests.support.site import Site
from tests.support.waiting import wait_until
from zerglings.documents import Document
from zerglings.domain.document_format import decode
from zerglings.domain.pose import replay
from zerglings.domain.zergling import Zergling

ORIGIN = {"location": {"x": 0, "y": 0}, "facing": "N"}


def stored(backend: Backend, zergling_id: str) -> Zergling:
    """Read a zergling directly from the store."""
    store = backend.open()
    document: Document = read(store, zergling_id)
    store.close()
    return decode(document)


def test_the_originals_example_gets_the_originals_responses(service: Service) -> None:
    assert service.call("GET", "/zerglings/").body == b"{}"
    with_body = service.call("POST", "/zerglings/", "M")
    assert with_body.status == 201
    bodies = [with_body.json] + [service.call("POST", "/zerglings/").json for _ in range(2)]
    ids = [body["zergling"]["id"] for body in bodies]
    assert [body["zergling"] for body in bodies] == [{"id": id_} | ORIGIN for id_ in ids]
    listed = service.call("GET", "/zerglings/").json
    assert listed == {"zerglings": [{"id": id_} | ORIGIN for id_ in sorted(ids)]}

    path = f"/zerglings/{ids[1]}"
    service.call("POST", path, '"M"')
    turned = service.call("POST", path, '"L"').json["zergling"]
    assert turned.pop("_rev").startswith("3-")
    here = {"id": ids[1], "location": {"x": 0, "y": 1}, "facing": "W"}
    assert turned == here | {"commandHistory": ["M", "L"]}
    moved = service.call("POST", path, '"M"').json["zergling"]
    assert re.fullmatch(r"4-[0-9a-f]{32}", moved.pop("_rev"))
    there = here | {"location": {"x": -1, "y": 1}}
    assert moved == there | {"commandHistory": ["M", "L", "M"]}


@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
def test_a_304_is_sent_without_a_body(service: Service) -> None:
    path = f"/zerglings/{service.call('POST', '/zerglings/').json['zergling']['id']}"
    cases = [
        *((path, accepted) for accepted in ("application/json", "text/html")),
        *(("/schema/", accepted) for accepted in ("application/json", "application/yaml")),
    ]
    for url, accepted in cases:
        tag = service.call("GET", url, headers={"Accept": accepted}).headers["ETag"]
        headers = {"Accept": accepted, "If-None-Match": tag}
        assert service.call("GET", url, headers=headers).status == 304
    wait_until(lambda: service.log.count(" 304 ") == len(cases), "each is logged")
    assert "no-body response" not in service.log


def test_commands_of_32_concurrent_clients_each_count_once(
    service: Service, backend: Backend
) -> None:
    zergling_id = service.spawn()

    def client(number: int) -> list[int]:
        connection = service.connect()
        statuses = [
            service.call("POST", f"/zerglings/{zergling_id}", letter, connection=connection).status
            for letter in "MRMLM"[number % 5] * 25
        ]
        connection.close()
        return statuses

    with ThreadPoolExecutor(32) as pool:
        statuses = Counter(status for part in pool.map(client, range(32)) for status in part)
    assert statuses == {200: 800}
    words = service.call("GET", f"/zerglings/{zergling_id}/history").json["commandHistory"]
    assert Counter(words) == {"M": 475, "R": 175, "L": 150}
    zergling = stored(backend, zergling_id)
    assert replay(zergling.spawn, words) == zergling.pose


def test_a_service_recovers_from_a_store_outage_under_load(
    couch: Backend, proxy: FaultProxy, tmp_path: Path
) -> None:
    with Service(couch.through(proxy.url).environment, tmp_path) as service:
        zergling_id = service.spawn()
        path = f"/zerglings/{zergling_id}"
        stop = threading.Event()

        def client(_: int) -> Iterator[tuple[int, str | None, float]]:
            connection = service.connect()
            while not stop.is_set():
                began = time.monotonic()
                reply = service.call("POST", path, "M", connection=connection)
                yield reply.status, reply.headers["Retry-After"], time.monotonic() - began
            connection.close()

        with ThreadPoolExecutor(8) as pool:
            clients = [pool.submit(list, client(number)) for number in range(8)]
            try:
                wait_for_history(couch, zergling_id, longer_than=20)
                proxy.down()
                assert seconds_until_brain_is(service, "damaged") < 3
                began = time.monotonic()
                assert service.call("GET", "/healthz").status == 200
                assert time.monotonic() - began < 1
                assert service.call("GET", "/readyz").status == 503
                refused = service.call("POST", "/zerglings/")
                assert (refused.status, refused.headers["Retry-After"]) == (503, "1")
                proxy.up()
                assert seconds_until_brain_is(service, "ok") < 3
                length = stored(couch, zergling_id).command_count
                wait_for_history(couch, zergling_id, longer_than=length + 20)
            finally:
                stop.set()
            replies = [reply for done in clients for reply in done.result()]
        words = service.call("GET", f"{path}/history").json["commandHistory"]

    statuses = Counter(status for status, _, _ in replies)
    assert set(statuses) <= {200, 503}
    assert {after for status, after, _ in replies if status == 503} <= {"1"}
    assert max(seconds for _, _, seconds in replies) < 5
    zergling = stored(couch, zergling_id)
    # What was answered with a success is there; a lost answer may be there or not.
    assert statuses[200] <= len(words) <= len(replies)
    assert replay(zergling.spawn, words) == zergling.pose


def wait_for_history(backend: Backend, zergling_id: str, longer_than: int) -> None:
    wait_until(
        lambda: stored(backend, zergling_id).command_count > longer_than, "the zergling moves on"
    )


def seconds_until_brain_is(service: Service, state: str) -> float:
    began = time.monotonic()
    wait_until(
        lambda: service.call("GET", "/_health").json["health"]["brain"] == state,
        f"the brain is {state}",
    )
    return time.monotonic() - began


def test_a_service_started_before_its_store_is_not_ready_until_it_answers(
    couch: Backend, proxy: FaultProxy, tmp_path: Path
) -> None:
    proxy.down()
    with Service(couch.through(proxy.url).environment, tmp_path) as service:
        not_ready = service.call("GET", "/readyz")
        assert (not_ready.status, not_ready.headers["Retry-After"]) == (503, "1")
        assert not_ready.json == {"error": "Not ready: the store does not answer."}
        assert "connection refused" in service.log
        assert service.call("POST", "/zerglings/").status == 503
        proxy.up()
        assert service.call("GET", "/readyz").status == 200
        assert service.call("POST", "/zerglings/").status == 201


def test_an_account_is_replaced_by_name_under_load(site: Site, tmp_path: Path) -> None:
    """As in a roll-out: create the new account, start new pods, then retire the old account."""
    site.bootstrap()
    new = Site(site.server, site.database, f"{site.username}-2", "new")
    stop = threading.Event()
    (tmp_path / "new").mkdir()
    with ExitStack() as old_pods, ExitStack() as new_pods:
        balancer = [old_pods.enter_context(Service(site.service_environment, tmp_path))]
        ids = [balancer[0].spawn() for _ in range(16)]

        def client(number: int) -> list[int]:
            path = f"/zerglings/{ids[number % 16]}"
            statuses: list[int] = []
            while not stop.is_set():
                # As through a Service of Kubernetes: a new connection to whatever pod is there.
                statuses.append(balancer[0].call("POST", path, "M").status)
            return statuses

        with ThreadPoolExecutor(64) as pool:
            clients = [pool.submit(client, number) for number in range(64)]
            try:
                wait_until_moved(site, ids)
                new.bootstrap()
                wait_until_moved(site, ids)
                balancer[0] = new_pods.enter_context(
                    Service(new.service_environment, tmp_path / "new")
                )
                wait_until_moved(site, ids)
                old_pods.close()
                new.bootstrap(retired=site.username)
                wait_until_moved(site, ids)
            finally:
                stop.set()
            statuses = Counter(status for done in clients for status in done.result())
        assert set(statuses) == {200}
        documents = [site.server.ask("GET", site.database, id_) for id_ in ids]
        total = sum(decode(document).command_count for document in documents)
        assert total == statuses[200]
    new.remove()


def wait_until_moved(site: Site, ids: list[str]) -> None:
    """Wait until each zergling has moved again."""

    def revisions() -> list[str]:
        return [site.server.ask("GET", site.database, id_)["_rev"] for id_ in ids]

    before = revisions()
    wait_until(
        lambda: all(now != then for now, then in zip(revisions(), before, strict=True)),
        "each zergling moves on",
        60,
    )


def test_responses_do_not_reveal_a_refused_account(couch: Backend, tmp_path: Path) -> None:
    wrong = {"COUCHDB_USERNAME": f"nobody-{uuid.uuid4().hex[:8]}", "COUCHDB_PASSWORD": "hunter2"}
    with Service(couch.environment | wrong, tmp_path) as service:
        for path in ("/zerglings/", "/readyz"):
            reply = service.call("GET", path)
            assert reply.status == 503
            assert b"hunter2" not in reply.body
        assert service.call("GET", "/_health").json["health"]["brain"] == "damaged"
        assert "hunter2" not in service.log
        assert "COUCHDB_USERNAME" in service.log
