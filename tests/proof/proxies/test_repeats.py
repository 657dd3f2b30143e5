"""Tests that a proxy may repeat a POST with an Idempotency-Key whose outcome was unknown.

The store carries out each write and its response is lost. The service answers that the outcome is
unknown, and the proxy sends the request again.
"""

from __future__ import annotations

import http.client
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, closing
from functools import cache, partial
from pathlib import Path

import pytest

from tests.proof.proxies.haproxy import haproxy
from tests.proof.proxies.varnish import varnish
from tests.support.backends import couchdb_backend
from tests.support.fault_proxy import FaultProxy
from tests.support.faults import Fault, ResetAfter, ResetBefore
from tests.support.service import Reply, Service
from tests.support.site import CouchDBServer

Front = Callable[[Path, int], AbstractContextManager[int]]

AGAIN_AFTER_503 = """
sub vcl_recv { std.cache_req_body(64KB); }
sub vcl_backend_response { if (beresp.status == 503) { return (retry); } }
"""
CLOSED_FOR_POST = """
sub vcl_backend_fetch {
    if (bereq.method == "POST") { set bereq.http.Connection = "close"; }
}
"""
RETRIES = "option http-buffer-request\n    retry-on all-retryable-errors"
"""HAProxy repeats only requests that it buffered completely before forwarding them."""

FRONTS: dict[str, Front] = {
    "HAProxy": haproxy,
    "HAProxy, repeating": partial(haproxy, settings=RETRIES),
    "HAProxy, not for POST": partial(
        haproxy, settings=f"{RETRIES}\n    http-request disable-l7-retry if METH_POST"
    ),
    "Varnish": varnish,
    "Varnish, repeating": partial(varnish, rules=AGAIN_AFTER_503),
    "Varnish, closing": partial(varnish, rules=CLOSED_FOR_POST),
}

TRIES = 30
NOT_KEPT = (503, 1, 1)
"""What happens if Varnish has not kept a connection yet; see ``lose_response_to_post``."""

each_repeating = pytest.mark.parametrize(
    ("front", "times"), [("HAProxy, repeating", 4), ("Varnish, repeating", 5)]
)
"""How often each proxy sends a POST whose response is always a 503."""


class Doubt:
    """Loses the response to each write, and all further ones until the service reports it."""

    def __init__(self, store: FaultProxy, edge: FaultProxy) -> None:
        self._edge = edge
        self._lost = 0
        store.faults = [
            Fault(ResetAfter(), self._is_first_write),
            Fault(ResetBefore(), lambda _method, _path: self._is_unsaid()),
        ]

    def _is_first_write(self, method: str, path: str) -> bool:
        is_write = method == "PUT" or path.endswith("/_bulk_docs")
        if not is_write or self._is_unsaid():
            return False
        self._lost += 1
        return True

    def _is_unsaid(self) -> bool:
        return self._lost > sum(seen.status == 503 for seen in self._edge.requests)


class Place:
    """A service, the proxies in front of it, and fault proxies on both sides of it."""

    def __init__(
        self, service: Service, store: FaultProxy, edge: FaultProxy, ports: Callable[[str], int]
    ) -> None:
        self.service = service
        self.store = store
        self.edge = edge
        self._ports = ports

    def post(self, front: str, path: str, body: str | None = None, key: str | None = None) -> Reply:
        """Send a POST through a proxy."""
        headers = {} if key is None else {"Idempotency-Key": key}
        port = self._ports(front)
        with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=60)) as connection:
            return self.service.call("POST", path, body, headers, connection=connection)

    def post_in_doubt(
        self, front: str, path: str, body: str | None = None, key: str | None = None
    ) -> int:
        """Send a POST whose outcome is unknown to the service; return the last status."""
        self._ports(front)  # it may have to be started
        self.edge.clear()
        Doubt(self.store, self.edge)
        try:
            return self.post(front, path, body, key).status
        finally:
            self.store.fault = None

    @property
    def posts(self) -> int:
        """The number of POSTs that came from the proxy."""
        return sum(seen.method == "POST" for seen in self.edge.requests)

    def commands(self, id_: str) -> list[str]:
        reply = self.service.call("GET", f"/zerglings/{id_}/history")
        history: list[str] = reply.json["commandHistory"]
        return history

    @property
    def zerglings(self) -> int:
        return len(self.service.call("GET", "/zerglings/").json.get("zerglings", []))


@pytest.fixture(scope="module")
def place(couchdb: CouchDBServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    with ExitStack() as stack:
        backend = stack.enter_context(couchdb_backend(couchdb))
        store = stack.enter_context(FaultProxy(couchdb.host, couchdb.port))
        environment = backend.through(store.url).environment
        directory = tmp_path_factory.mktemp("service")
        service = stack.enter_context(Service(environment, directory))
        edge = stack.enter_context(FaultProxy("127.0.0.1", service.port))

        @cache
        def port(front: str) -> int:
            context = FRONTS[front](tmp_path_factory.mktemp("front"), edge.port)
            return stack.enter_context(context)

        yield Place(service, store, edge, port)


@each_repeating
def test_a_command_with_a_key_moves_once(place: Place, front: str, times: int) -> None:
    id_ = place.service.spawn()
    status = place.post_in_doubt(front, f"/zerglings/{id_}", "M", "a-step")
    assert (status, place.posts) == (200, 2)
    assert place.commands(id_) == ["M"]


@each_repeating
def test_a_command_without_a_key_moves_each_time_it_is_sent(
    place: Place, front: str, times: int
) -> None:
    id_ = place.service.spawn()
    status = place.post_in_doubt(front, f"/zerglings/{id_}", "M")
    assert (status, place.posts) == (503, times)
    assert place.commands(id_) == ["M"] * times


@each_repeating
def test_a_spawn_with_a_key_spawns_once(place: Place, front: str, times: int) -> None:
    before = place.zerglings
    status = place.post_in_doubt(front, "/zerglings/", key=f"a-spawn-{times}")
    assert (status, place.posts) == (201, 2)
    assert place.zerglings == before + 1


@each_repeating
def test_a_spawn_without_a_key_spawns_each_time_it_is_sent(
    place: Place, front: str, times: int
) -> None:
    before = place.zerglings
    status = place.post_in_doubt(front, "/zerglings/")
    assert (status, place.posts) == (503, times)
    assert place.zerglings == before + times


@pytest.mark.parametrize("front", ["HAProxy", "HAProxy, not for POST", "Varnish"])
def test_proxies_not_configured_to_retry_repeat_no_command(place: Place, front: str) -> None:
    id_ = place.service.spawn()
    status = place.post_in_doubt(front, f"/zerglings/{id_}", "M")
    assert (status, place.posts) == (503, 1)
    assert place.commands(id_) == ["M"]


@pytest.mark.parametrize(
    ("front", "key", "expected"),
    [
        ("Varnish", None, (201, 2, 2)),
        ("Varnish", "kept", (201, 2, 1)),
        ("Varnish, closing", None, (503, 1, 1)),
    ],
)
def test_varnish_sends_an_empty_post_twice_if_a_kept_connection_ends(
    place: Place, front: str, key: str | None, expected: tuple[int, int, int]
) -> None:
    """Varnish keeps a connection only after its response has ended, so a try may come too early."""
    for number in range(TRIES):
        seen = lose_response_to_post(place, front, key and f"{key}-{number}")
        if seen == expected:
            break
        assert seen == NOT_KEPT
    assert seen == expected


def lose_response_to_post(place: Place, front: str, key: str | None) -> tuple[int, int, int]:
    """Return the status, the number of POSTs from the proxy, and the number of new zerglings."""
    before = place.zerglings
    place.post(front, "/healthz")  # so that a connection is kept
    place.edge.clear()
    place.edge.fault = Fault(ResetAfter(), lambda method, _path: method == "POST", times=1)
    try:
        status = place.post(front, "/zerglings/", key=key).status
    finally:
        place.edge.fault = None
    return status, place.posts, place.zerglings - before
