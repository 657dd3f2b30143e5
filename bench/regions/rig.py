"""Regions on this machine: CouchDBs that replicate both ways over links, each with a service.

The CouchDBs are running already. Everything that is made in them is removed at the end.
"""

from __future__ import annotations

import secrets
import signal
import subprocess
import tempfile
import time
from collections.abc import Collection, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from urllib.parse import quote, urlsplit

import requests

from bench.errors import BenchError
from bench.regions.links import Link, Links
from bench.service import manage
from bench.stores import HISTORY, STORE_TIMEOUT, CouchDB
from tests.support.service import Service, processes
from tests.support.waiting import wait_until

NAMES = ("east", "west", "north")

INTERVAL = "5000"
"""Milliseconds after which CouchDB looks again at jobs that have failed; its default is 60 s."""

RETRIES = 20
"""Retries of a request before a job fails and waits for the next look."""

PATIENCE = 300.0
"""Seconds within which a service starts or ends on a machine that is very busy."""

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
        return {"OVERMIND_STORE": "couchdb"} | self.couch.environment(self.database)

    @property
    def databases(self) -> tuple[str, str]:
        """The database and its history database."""
        return self.database, self.database + HISTORY

    def contents(self) -> tuple[bytes, ...]:
        """Return all documents of both databases, with their revisions and conflicts."""
        return tuple(self._read(f"{name}/{CONTENTS}") for name in self.databases)

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
        wait_until(lambda: not processes(self.service), "the service has ended", PATIENCE)
        self.service.start()

    def _read(self, path: str) -> bytes:
        answer = requests.get(
            f"{self.couch.url}/{path}", headers=self.couch.headers, timeout=STORE_TIMEOUT
        )
        answer.raise_for_status()
        return answer.content


class Rig:
    """Regions, each linked with each."""

    def __init__(self, regions: Sequence[Region]) -> None:
        self.regions = regions

    @property
    def pairs(self) -> list[tuple[str, str]]:
        """The names of each two regions."""
        names = [region.name for region in self.regions]
        return [(one, other) for one in names for other in names if one < other]

    def cut(self, pairs: Collection[tuple[str, str]]) -> None:
        """Cut the links of some pairs of regions, in both directions."""
        for link in self._links(pairs):
            link.cut()

    def restore(self, pairs: Collection[tuple[str, str]]) -> None:
        """Restore the links of some pairs of regions."""
        for link in self._links(pairs):
            link.restore()

    def replicate(self) -> None:
        """Start the jobs of all regions."""
        for region in self.regions:
            for peer in self.regions:
                if peer is not region:
                    start_jobs(region, peer)

    def stop_replicating(self) -> None:
        """Remove the jobs of all regions."""
        for region in self.regions:
            for peer in self.regions:
                if peer is not region:
                    stop_jobs(region, peer)

    def _links(self, pairs: Collection[tuple[str, str]]) -> Iterator[Link]:
        for region in self.regions:
            for peer, link in region.links.items():
                if (region.name, peer) in pairs or (peer, region.name) in pairs:
                    yield link


def start_jobs(region: Region, peer: Region) -> None:
    """Have a region pull both databases from a peer, continuously."""
    for database in region.databases:
        link = f"http://127.0.0.1:{region.links[peer.name].port}"
        job = {
            "source": _with_account(link, peer.couch, database),
            "target": _with_account(region.couch.url, region.couch, database),
            "continuous": True,
            "retries_per_request": RETRIES,
        }
        region.couch.ask("PUT", _job_path(database, peer), job)


def stop_jobs(region: Region, peer: Region) -> None:
    """Remove the jobs with which a region pulls from a peer, if they exist.

    PouchDB Server keeps them until it ends: its process crashes when one is removed.
    """
    if not _has_scheduler(region.couch):
        return
    for database in region.databases:
        path = _job_path(database, peer)
        job = region.couch.ask("GET", path, missing_is_fine=True)
        if "_rev" in job:
            region.couch.ask("DELETE", f"{path}?rev={job['_rev']}")


def _has_scheduler(couch: CouchDB) -> bool:
    return "scheduler" in couch.ask("GET", "").get("features", [])


def _job_path(database: str, peer: Region) -> str:
    return "_replicator/" + quote(f"overmind:{database}:{peer.name}", safe="")


def _with_account(url: str, couch: CouchDB, database: str) -> str:
    account = ":".join(quote(word, safe="") for word in couch.account)
    return f"{url.replace('://', f'://{account}@')}/{database}"


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
        started = Rig(regions)
        stack.callback(started.stop_replicating)
        if replicating:
            started.replicate()
        yield started


@contextmanager
def _region(name: str, couch: CouchDB, database: str) -> Iterator[Region]:
    environment = couch.environment(database)
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        stack.callback(couch.drop, database)
        manage("bootstrap_couch", environment=environment, limit=PATIENCE)
        stack.enter_context(_quick_retries(couch))
        service = stack.enter_context(Service(environment, directory, patience=PATIENCE))
        yield Region(name, couch, database, service)


@contextmanager
def _quick_retries(couch: CouchDB) -> Iterator[None]:
    """Have every node of a CouchDB look at failed jobs each ``INTERVAL`` during the block.

    PouchDB Server has no such setting.
    """
    nodes = couch.ask("GET", "_membership")["cluster_nodes"] if _has_scheduler(couch) else []
    with ExitStack() as stack:
        for node in nodes:
            path = f"_node/{quote(node, safe='')}/_config/replicator/interval"
            before = couch.ask("GET", path, missing_is_fine=True)
            if isinstance(before, str):
                stack.callback(partial(couch.ask, "PUT", path, before))
            else:
                stack.callback(partial(couch.ask, "DELETE", path))
            couch.ask("PUT", path, INTERVAL)
        yield
