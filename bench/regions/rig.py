"""Regions on this machine: CouchDBs that replicate both ways over links, each with a service.

The CouchDBs are running already. Everything that is made in them is removed at the end.
"""

from __future__ import annotations

import secrets
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from urllib.parse import quote, urlsplit

import orjson
import requests

from bench.errors import BenchError
from bench.regions.links import HOST, Link, Links
from bench.service import manage
from bench.stores import HISTORY, STORE_TIMEOUT, CouchDB
from tests.support.service import Service, processes
from tests.support.waiting import wait_until
from zerglings.storage.regions.heartbeats import PREFIX as HEARTBEAT

NAMES = ("east", "west", "north")

REPLICATOR_SETTINGS = {"interval": "5000", "max_history": "6"}
"""The settings in CouchDB's section ``replicator`` that docs/regions.md recommends."""

USERNAME, PASSWORD = "COUCHDB_PEERS_USERNAME", "COUCHDB_PEERS_PASSWORD"

REVS_LIMIT = {"COUCHDB_REVS_LIMIT": "50"}
"""What bootstrap chooses for databases with peers. Here the peers are set up later."""

TIMEOUT = 300.0
"""Seconds within which a service starts or ends on a machine that is very busy."""

PULL_PAUSE = 0.2
"""Seconds between two one-time replications on a server that has no lasting ones."""

CONTENTS = "_all_docs?include_docs=true&conflicts=true"


@dataclass
class Region:
    """A CouchDB and a service over it.

    ``links`` leads to the other regions by name; this region pulls from them.
    """

    name: str
    couch: CouchDB
    database: str
    service: Service
    links: dict[str, Link] = field(default_factory=dict)

    @property
    def environment(self) -> dict[str, str]:
        """The variables with which a process uses this region's store."""
        store = {"OVERMIND_STORE": "couchdb", "OVERMIND_REGION": self.name}
        return store | self.couch.environment(self.database)

    @property
    def databases(self) -> tuple[str, str]:
        """The database and its history database."""
        return self.database, self.database + HISTORY

    def contents(self) -> tuple[bytes, ...]:
        """Return all documents of both databases as JSON, with their revisions and conflicts.

        The heartbeats of regions are left out, because they change all the time.
        """
        answers = [self._read(f"{name}/{CONTENTS}") for name in self.databases]
        return tuple(
            orjson.dumps(
                [row for row in orjson.loads(each)["rows"] if not row["id"].startswith(HEARTBEAT)]
            )
            for each in answers
        )

    def delay(self) -> float:
        """Return the seconds that the service and its store now take for one trivial request each.

        Above a second, the machine is too busy to blame the service for a 503.
        """
        began = time.monotonic()
        self.service.call("GET", "/healthz")
        self._read(self.database)
        return time.monotonic() - began

    def restart(self, by: signal.Signals) -> None:
        """End the service and start it again; a service that does not end in time is killed."""
        with suppress(subprocess.TimeoutExpired):
            self.service.stop(by)
        wait_until(lambda: not processes(self.service), "the service has ended", TIMEOUT)
        self.service.start()

    def _read(self, path: str) -> bytes:
        answer = requests.get(
            f"{self.couch.url}/{path}", headers=self.couch.headers, timeout=STORE_TIMEOUT
        )
        answer.raise_for_status()
        return answer.content


class Rig:
    """Regions, each linked with each.

    Args:
        regions: the regions.
        peers: the variables that name the account with which each region pulls from the others.
    """

    def __init__(self, regions: Sequence[Region], peers: Mapping[str, str]) -> None:
        self.regions = regions
        self._peers = peers
        self._ending = threading.Event()
        self._pulling = threading.Lock()
        self._threads: list[threading.Thread] = []

    @property
    def pairs(self) -> list[tuple[str, str]]:
        """The names of each two regions."""
        names = [region.name for region in self.regions]
        return [(one, other) for one in names for other in names if one < other]

    @property
    def has_scheduler(self) -> bool:
        """Whether every CouchDB replicates by itself. PouchDB Server does not."""
        return all(_has_scheduler(region.couch) for region in self.regions)

    def environment(self, region: Region) -> dict[str, str]:
        """Return the variables of a region's ``bootstrap_couch`` and ``heal``."""
        return _environment_with_peers(region, self._peers)

    def cut(self, pairs: Collection[tuple[str, str]]) -> None:
        """Cut the links of some pairs of regions, in both directions."""
        with self._pulling:
            for link in self._links(pairs):
                link.cut()

    def restore(self, pairs: Collection[tuple[str, str]]) -> None:
        """Restore the links of some pairs of regions."""
        for link in self._links(pairs):
            link.restore()

    def replicate(self) -> None:
        """Have each region pull both databases from all others, continuously."""
        for region in self.regions:
            if _has_scheduler(region.couch):
                _list_peers(region, self._peers)
            else:
                self._threads.append(threading.Thread(target=self._pull, args=(region,)))
                self._threads[-1].start()

    def stop_replicating(self) -> None:
        """End the replications, and remove what they needed."""
        self._ending.set()
        for thread in self._threads:
            thread.join()
        for region in self.regions:
            if _has_scheduler(region.couch):
                _list_peers(replace(region, links={}), self._peers)
                region.couch.drop_account(self._peers[USERNAME])

    def _pull(self, region: Region) -> None:
        """Replicate to a region again and again until the end.

        PouchDB Server has no scheduler, and an interrupted replication ends its process. So a link
        is cut between two replications.
        """
        couch = CouchDB(_with_account(region.couch))
        while not self._ending.wait(PULL_PAUSE):
            for peer in self.regions:
                for database in region.databases if peer is not region else ():
                    link = region.links[peer.name]
                    source = _with_account(peer.couch, f"http://{HOST}:{link.port}")
                    with self._pulling:
                        if not link.is_cut:
                            target = f"{_with_account(region.couch)}/{database}"
                            job = {"source": f"{source}/{database}", "target": target}
                            couch.ask("POST", "_replicate", job)

    def _links(self, pairs: Collection[tuple[str, str]]) -> Iterator[Link]:
        for region in self.regions:
            for peer, link in region.links.items():
                if (region.name, peer) in pairs or (peer, region.name) in pairs:
                    yield link


def _environment_with_peers(region: Region, account: Mapping[str, str]) -> dict[str, str]:
    urls = [f"{name}=http://{HOST}:{link.port}" for name, link in region.links.items()]
    return region.environment | {**account, "COUCHDB_PEERS": ",".join(urls)}


def _list_peers(region: Region, account: Mapping[str, str]) -> None:
    """Set up a region's replications from the regions that it has links to."""
    environment = _environment_with_peers(region, account)
    manage("bootstrap_couch", "--only", "replicate", environment=environment, limit=TIMEOUT)


def _with_account(couch: CouchDB, url: str | None = None) -> str:
    account = ":".join(quote(word, safe="") for word in couch.account)
    return (url or couch.url).replace("://", f"://{account}@")


def _has_scheduler(couch: CouchDB) -> bool:
    return "scheduler" in couch.ask("GET", "").get("features", [])


@contextmanager
def rig(urls: Sequence[str], *, replicating: bool = True) -> Iterator[Rig]:
    """Start regions on these CouchDBs (``http://admin:password@host:port``)."""
    if not 2 <= len(urls) <= len(NAMES):
        raise BenchError(f"{len(urls)} CouchDBs given; regions need 2 or {len(NAMES)}")
    database = f"overmind-bench-{secrets.token_hex(4)}"
    with ExitStack() as stack:
        links = stack.enter_context(Links())
        regions = [
            stack.enter_context(_region(name, CouchDB(url.rstrip("/")), database))
            for name, url in zip(NAMES, urls, strict=False)
        ]
        for region in regions:
            for peer in regions:
                if peer is not region:
                    where = urlsplit(peer.couch.url)
                    region.links[peer.name] = links.to(where.hostname or "", where.port or 5984)
        started = Rig(regions, {USERNAME: f"{database}-peer", PASSWORD: secrets.token_urlsafe()})
        stack.callback(started.stop_replicating)
        if replicating:
            started.replicate()
        yield started


@contextmanager
def _region(name: str, couch: CouchDB, database: str) -> Iterator[Region]:
    environment = couch.environment(database) | {"OVERMIND_REGION": name}
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        stack.callback(couch.drop, database)
        manage("bootstrap_couch", environment=environment | REVS_LIMIT, limit=TIMEOUT)
        stack.enter_context(_replicator_settings(couch))
        service = stack.enter_context(Service(environment, directory, start_timeout=TIMEOUT))
        yield Region(name, couch, database, service)


@contextmanager
def _replicator_settings(couch: CouchDB) -> Iterator[None]:
    """Give every node of a CouchDB ``REPLICATOR_SETTINGS`` during the block.

    PouchDB Server has no such settings.
    """
    nodes = couch.ask("GET", "_membership")["cluster_nodes"] if _has_scheduler(couch) else []
    with ExitStack() as stack:
        for node in nodes:
            for setting, value in REPLICATOR_SETTINGS.items():
                path = f"_node/{quote(node, safe='')}/_config/replicator/{setting}"
                before = couch.ask("GET", path, missing_is_fine=True)
                if isinstance(before, str):
                    stack.callback(couch.ask, "PUT", path, before)
                else:
                    stack.callback(couch.ask, "DELETE", path)
                couch.ask("PUT", path, value)
        yield
