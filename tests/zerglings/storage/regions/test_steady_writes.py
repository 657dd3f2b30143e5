"""Tests that an exchange ends while both regions take commands, on CouchDB's own jobs."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager, suppress

import pytest

from tests.support.apache import Server
from tests.support.backends import Backend
from tests.support.cluster import says
from tests.support.documents import SOON
from tests.support.fault_proxy import FaultProxy
from tests.support.faults import Fault
from tests.support.regions import Region
from tests.support.site import CouchDBServer, Site
from tests.support.waiting import wait_until
from zerglings.domain.pose import Pose
from zerglings.domain.zergling import CommandRequest
from zerglings.hive.hive import Hive
from zerglings.repository.retry_budget import TooMuchContention
from zerglings.storage.base import StoreError
from zerglings.storage.couchdb.database import Database
from zerglings.storage.regions.changes import Change, ChangeLog
from zerglings.storage.regions.checkpoints import START
from zerglings.storage.regions.exchange import Exchange, PeerBehind
from zerglings.storage.regions.jobs import REPLICATOR, job_id

pytestmark = pytest.mark.proof

SHARDS = 2
LIVELY = 3
"""Zerglings that a client keeps moving, while it spawns others."""

TIMEOUT, SHORT = 120.0, 20.0
NOWHERE = 1
"""A port on which nothing listens."""


class Client:
    """Spawns and moves zerglings in one region until it is stopped."""

    def __init__(self, region: Region) -> None:
        self._hive = Hive(region.store)
        self._stopping = threading.Event()
        self.spawned: list[str] = []
        self._thread = threading.Thread(target=self._run)

    def _run(self) -> None:
        while not self._stopping.is_set():
            with suppress(StoreError, TooMuchContention):  # on a busy machine
                self.spawned.append(self._hive.spawn(Pose()).id)
                for id_ in self.spawned[:LIVELY]:
                    self._hive.command(id_, CommandRequest.command("M"))

    @contextmanager
    def running(self) -> Iterator[None]:
        self._thread.start()
        try:
            yield
        finally:
            self._stopping.set()
            self._thread.join()


class Pair:
    """Two regions on one server. The gateway before the second one shows another server."""

    def __init__(self, server: Server, here: Region, there: Region, gateway: FaultProxy) -> None:
        self._server = server
        self.here, self.there, self.gateway = here, there, gateway
        another = says({"couchdb": "Welcome", "version": "3.5.2", "uuid": "another"})
        gateway.fault = Fault(another, lambda _, path: path == "/")
        self._clients = ExitStack()
        east = there.backend.server.through(gateway.url)
        self.databases = [
            Database(self._clients.enter_context(closing(at.client(1))), region.databases[0])
            for at, region in ((here.backend.server, here), (east, there))
        ]

    def pull(self, target: Region, source: Region, name: str, *, port: int | None = None) -> None:
        """Have CouchDB replicate continuously, with a checkpoint every second."""
        id_ = job_id(target.databases[0], name)
        document = {
            "source": source.address(history=False, port=port),
            "target": target.address(history=False),
            "continuous": True,
            "checkpoint_interval": 1000,
        }
        self._server.ask("PUT", f"{REPLICATOR}/{id_}", json=document).raise_for_status()
        self._clients.callback(self._stop, id_)

    def _stop(self, id_: str) -> None:
        path = f"{REPLICATOR}/{id_}"
        revision = self._server.ask("GET", path).json()["_rev"]
        self._server.ask("DELETE", path, params={"rev": revision}).raise_for_status()

    def exchange(self, limit: float = TIMEOUT) -> Exchange:
        return Exchange("east", *self.databases, limit=limit)

    def changes(self, database: Database) -> set[Change]:
        pages = ChangeLog(database).pages_after(START, 1000, timeout=SOON)
        return {change for page in pages for change in page}

    def close(self) -> None:
        self._clients.close()


@contextmanager
def new_region(server: Server, couchdb: CouchDBServer) -> Iterator[Region]:
    """Yield a region with several shards. It needs no bootstrap, as the admin uses it."""
    database = f"overmind-test-{uuid.uuid4().hex[:12]}"
    site = Site(couchdb, database, couchdb.username, couchdb.password)
    for name in site.databases:
        server.ask("PUT", name, params={"q": SHARDS}).raise_for_status()
    region = Region(Backend({"OVERMIND_STORE": "couchdb"} | site.service_environment))
    yield region
    region.store.close()
    for name in site.databases:
        server.ask("DELETE", name).raise_for_status()


@pytest.fixture
def pair(server: Server, couchdb: CouchDBServer, proxy: FaultProxy) -> Iterator[Pair]:
    with ExitStack() as stack:
        here, there = (stack.enter_context(new_region(server, couchdb)) for _ in range(2))
        pair = Pair(server, here, there, proxy)
        stack.callback(pair.close)
        yield pair


@contextmanager
def busy(pair: Pair) -> Iterator[list[Client]]:
    clients = [Client(region) for region in (pair.here, pair.there)]
    with clients[0].running(), clients[1].running():
        wait_until(lambda: all(client.spawned for client in clients), "both regions take commands")
        yield clients


def test_an_exchange_of_several_shards_ends_while_both_regions_take_commands(pair: Pair) -> None:
    pair.pull(pair.here, pair.there, "east")
    pair.pull(pair.there, pair.here, "here")
    with busy(pair) as clients:
        exchange = pair.exchange()
        wait_until(lambda: exchange._sent() and exchange._received(), "first checkpoints", TIMEOUT)
        before = [set(client.spawned) for client in clients]
        exchange.complete()
        assert all(set(client.spawned) > old for client, old in zip(clients, before, strict=True))
        here, there = (
            {change.document_id for change in pair.changes(each)} for each in pair.databases
        )
    assert before[0] <= there
    assert before[1] <= here


def test_a_peer_that_does_not_replicate_is_found_while_both_take_commands(pair: Pair) -> None:
    pair.pull(pair.here, pair.there, "east")
    with busy(pair), pytest.raises(PeerBehind, match=r"^east has not replicated .* missing: "):
        pair.exchange(limit=SHORT).complete()


def test_a_region_that_does_not_replicate_is_found_while_both_take_commands(pair: Pair) -> None:
    pair.pull(pair.here, pair.there, "east", port=NOWHERE)
    pair.pull(pair.there, pair.here, "here")
    with busy(pair), pytest.raises(PeerBehind, match=r"^this region has not .* missing: "):
        pair.exchange(limit=SHORT).complete()
