"""Tests that ``--refetch`` has CouchDB compare everything with the peers once more."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import pytest

from tests.support.apache import Server
from tests.support.cluster import says
from tests.support.fault_proxy import FaultProxy
from tests.support.faults import Fault
from tests.support.site import CouchDBServer, Site, missing_is_fine, new_site
from tests.support.waiting import wait_until
from tests.zerglings.storage.bootstrap.replication.region import (
    NOWHERE,
    PASSWORD,
    Region,
    about_replication,
)
from tests.zerglings.storage.bootstrap.replication.reports import jobs, tasks
from zerglings.storage.bootstrap.runner import TimedOut


def refetch(region: Region, *, timeout: float = 30, url: str = NOWHERE) -> list[str]:
    """Do what ``--refetch`` does, and return the lines about replication."""
    peers = region.peers(east=url)
    return about_replication(region.site.bootstrap(peers=peers, refetches=True, timeout=timeout))


def both(region: Region) -> list[str]:
    return [region.id("east", database) for database in region.site.databases]


def running(region: Region) -> Fault:
    return jobs(*((id_, "running", None) for id_ in both(region)))


def is_look_at_former(_: str, path: str) -> bool:
    return path.startswith("/_scheduler/jobs/job%20of%20")


@pytest.fixture
def behind(region: Region, proxy: FaultProxy) -> Region:
    """A region with a running replication of each database, behind a proxy."""
    behind = region.through(proxy.url)
    behind.bootstrap(east=NOWHERE)
    proxy.faults = [running(region), tasks()]
    return behind


def checkpoint_of(region: Region, database: str) -> Any:
    """Return the checkpoint of the running replication, None if it is missing."""
    with missing_is_fine():
        path = "_local", f"job of {region.id('east', database)}"
        return region.site.server.ask("GET", database, *path)


def store_checkpoints(region: Region) -> None:
    for database in region.site.databases:
        path = "_local", f"job of {region.id('east', database)}"
        region.site.server.ask("PUT", database, *path, body={"source_last_seq": "9"})


def test_each_replication_is_changed_and_its_former_checkpoint_removed(
    region: Region, behind: Region
) -> None:
    document = region.document("east")
    document["source"]["headers"] = {"X-Region": "north"}
    region.write(document | {"connection_timeout": 9000})
    store_checkpoints(region)
    first, second, last = refetch(behind)
    for id_ in both(region):
        assert f"repaired {id_}" in first
        assert f"removed the former checkpoint of {id_}" in second
    assert last == "ok ok"
    assert [checkpoint_of(region, each) for each in region.site.databases] == [None, None]
    found = region.document("east")
    mark = found["source"]["headers"].pop("X-Overmind-Refetched")
    assert found["source"] == document["source"]
    assert found["connection_timeout"] == 9000, "options of operators stay"
    refetch(behind)
    assert region.document("east")["source"]["headers"]["X-Overmind-Refetched"] != mark


def test_later_normal_runs_change_nothing(region: Region, behind: Region) -> None:
    refetch(behind)
    before = region.documents
    assert behind.bootstrap(east=NOWHERE) == ["ok ok"]
    assert region.documents == before


def test_missing_replications_are_created(region: Region) -> None:
    assert refetch(region)[-1] == "ok ok"
    assert set(region.documents) == set(both(region))


def test_a_checkpoint_stays_until_its_replication_has_ended(
    region: Region, behind: Region, proxy: FaultProxy
) -> None:
    """It stores its last checkpoint when it ends."""
    store_checkpoints(region)
    seen = []

    def is_first_look(method: str, path: str) -> bool:
        if is_look_at_former(method, path):
            seen.append(checkpoint_of(region, region.site.database))
        return is_look_at_former(method, path)

    proxy.faults = [Fault(says({"id": "job"}), is_first_look, times=2), *proxy.faults]
    lines = refetch(behind)
    assert len(seen) == 2
    assert None not in seen
    assert any("has not ended its former replication" in line for line in lines)
    assert checkpoint_of(region, region.site.database) is None


def test_a_replication_that_does_not_end_is_named_when_time_is_up(
    region: Region, behind: Region, proxy: FaultProxy
) -> None:
    proxy.faults = [Fault(says({"id": "job"}), is_look_at_former), *proxy.faults]
    with pytest.raises(TimedOut, match="starts from the beginning, but CouchDB has not ended"):
        refetch(behind, timeout=2)
    assert set(region.documents) == set(both(region)), "no replication is missing meanwhile"
    assert behind.bootstrap(east=NOWHERE) == ["ok ok"]


def test_nothing_is_changed_before_couchdb_has_started_the_replications(
    region: Region, behind: Region, proxy: FaultProxy
) -> None:
    """The checkpoint of the one that is not started would be unknown."""
    before = region.documents
    main, history = both(region)
    proxy.faults = [jobs((main, "running", None)), tasks()]
    with pytest.raises(TimedOut, match=f"nothing is changed: CouchDB has not started {history}"):
        refetch(behind, timeout=1)
    assert region.documents == before


@contextmanager
def presented_as(server: CouchDBServer, shown: Site, real: Site) -> Iterator[str]:
    """Yield the URL of a server that has the databases of one site under the names of another's."""
    names = shown.database.encode(), real.database.encode()
    assert len(names[0]) == len(names[1]), "so that lengths in requests stay right"

    def relay(source: socket.socket, target: socket.socket, old: bytes, new: bytes) -> None:
        with source:
            with suppress(OSError):
                while data := source.recv(1 << 20):
                    target.sendall(data.replace(old, new))
            with suppress(OSError):
                target.shutdown(socket.SHUT_RDWR)

    def accept(listener: socket.socket) -> None:
        with suppress(OSError):
            while True:
                client = listener.accept()[0]
                upstream = socket.create_connection((server.host, server.port))
                for ends in ((client, upstream, *names), (upstream, client, b"", b"")):
                    threading.Thread(target=relay, args=ends, daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=accept, args=(listener,), daemon=True).start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        listener.shutdown(socket.SHUT_RDWR)


REFUSE = {"validate_doc_update": "function (doc) { if (doc.bad) { throw {forbidden: 'bad'}; } }"}


def test_refused_documents_arrive_after_the_command(
    server: Server, couchdb: CouchDBServer, region: Region
) -> None:
    here = region.site.database

    def has(id_: str) -> bool:
        with missing_is_fine():
            return bool(couchdb.ask("GET", here, id_))
        return False

    with new_site(couchdb) as east, presented_as(couchdb, region.site, east) as url:
        east.bootstrap()
        region.bootstrap(east=url)
        design = couchdb.ask("PUT", here, "_design/refuse", body=REFUSE)
        for id_, is_bad in (("bad", True), ("good", False)):
            couchdb.ask("PUT", east.database, id_, body={"bad": is_bad})
        wait_until(lambda: has("good"), "the accepted document has arrived")
        couchdb.ask("DELETE", here, "_design/refuse", rev=design["rev"])
        region.bootstrap(east=url)
        couchdb.ask("PUT", east.database, "later", body={})
        wait_until(lambda: has("later"), "a later document has arrived")
        assert not has("bad")
        peers = region.peers(east=url)
        lines = region.site.bootstrap(peers=peers, refetches=True, start_limit=30)
        assert any(f"removed the former checkpoint of {region.id('east')}" in x for x in lines)
        assert PASSWORD not in " ".join(lines)
        wait_until(lambda: has("bad"), "the refused document has arrived")
        assert region.bootstrap(east=url)[-1] == "ok ok"
        region.bootstrap()  # ends the replications before the server they read
