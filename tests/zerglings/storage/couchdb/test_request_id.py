"""Tests that CouchDB's log and the service's have the same request id."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from tests.support.backends import SOON
from tests.support.fault_proxy import FaultProxy
from tests.support.faults import Answer, Fault, ResetAfter
from zerglings.log_context import CONTEXT
from zerglings.storage.base import OutcomeUnknown, Store, StoreUnavailable
from zerglings.storage.couchdb.account import Account
from zerglings.storage.couchdb.client import CouchDBClient

HEADER = "X-Couch-Request-ID"
RANDOM = re.compile("[0-9a-f]{32}")


class Echo(BaseHTTPRequestHandler):
    """Responds with the request id that it received."""

    def do_GET(self) -> None:
        body = json.dumps({"id": self.headers[HEADER]}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Log nothing."""


@pytest.fixture
def client() -> Iterator[CouchDBClient]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Echo) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,)).start()
        client = CouchDBClient(f"http://127.0.0.1:{server.server_port}", Account("a", lambda: "b"))
        yield client
        client.close()
        server.shutdown()


@pytest.fixture
def within() -> Iterator[None]:
    token = CONTEXT.set({"request_id": "walk-1"})
    yield
    CONTEXT.reset(token)


def sent(client: CouchDBClient) -> str:
    told: str = client.request("GET", [], timeout=SOON)["id"]
    return told


@pytest.mark.parametrize(
    "given", ["0f" * 16, "5fb0c7a2-1111-4222-8333-444455556666", "walk_1", "a"]
)
def test_the_request_id_is_sent_to_couchdb(client: CouchDBClient, given: str) -> None:
    token = CONTEXT.set({"request_id": given})
    assert sent(client) == given
    CONTEXT.reset(token)


@pytest.mark.parametrize("given", ["a" * 37, "a.b", None])
def test_a_request_id_that_couchdb_rejects_is_replaced_by_a_random_one(
    client: CouchDBClient, given: str | None
) -> None:
    token = CONTEXT.set({} if given is None else {"request_id": given})
    first, second = sent(client), sent(client)
    assert RANDOM.fullmatch(first)
    assert RANDOM.fullmatch(second)
    assert first != second
    CONTEXT.reset(token)


@pytest.mark.usefixtures("within")
def test_store_errors_carry_the_request_id(store: Store, proxy: FaultProxy) -> None:
    json_type = {"Content-Type": "application/json"}
    proxy.fault = Fault(Answer(500, b'{"error":"x","reason":"y"}', json_type))
    with pytest.raises(StoreUnavailable) as refused:
        store.get_many(["a"], timeout=SOON)
    assert f"{HEADER} walk-1" in refused.value.__notes__
    proxy.fault = Fault(ResetAfter())
    with pytest.raises(OutcomeUnknown) as lost:
        store.put_many([{"_id": "a"}], timeout=SOON)
    assert lost.value.__notes__ == [f"{HEADER} walk-1"]


@pytest.mark.usefixtures("within")
def test_errors_without_a_sent_request_carry_no_id(store: Store, proxy: FaultProxy) -> None:
    proxy.down()
    with pytest.raises(StoreUnavailable) as refused:
        store.get_many(["a"], timeout=SOON)
    assert not getattr(refused.value, "__notes__", [])
