"""Tests that each shard has one marker, which no list shows, behind all earlier changes."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from zlib import crc32

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.apache import PASSWORD, Server
from tests.support.backends import Backend
from tests.support.site import CouchDBServer
from zerglings.storage.base import StoreUnavailable
from zerglings.storage.couchdb.account import Account
from zerglings.storage.couchdb.client import CouchDBClient
from zerglings.storage.couchdb.database import Database
from zerglings.storage.regions.markers import WHOLE, Markers, marker_id

ID = "region:east:0"


@pytest.fixture
def main(couch: Backend) -> Iterator[Database]:
    database = Database(couch.server.client(), couch.environment["COUCHDB_DATABASE"])
    yield database
    database.client.close()


def leaves(database: Database, id_: str = ID) -> list[dict[str, object]]:
    rows = database.ask_for_list(id_, timeout=5, params={"open_revs": "all"})
    return [row["ok"] for row in rows]


@given(st.integers(1, 32), st.from_regex(r"[a-z0-9-]{1,63}", fullmatch=True))
def test_the_id_of_a_marker_is_in_its_shard(shards: int, region: str) -> None:
    size = 2**32 // shards
    for number in range(shards):
        range_ = number * size, (number + 1) * size - 1
        assert range_[0] <= crc32(marker_id(region, range_).encode()) <= range_[1]
    assert marker_id(region, WHOLE) == f"region:{region}:0"


def test_a_marker_that_was_never_written_has_no_time(main: Database) -> None:
    assert Markers(main).times([ID]) == [None]


def test_a_marker_has_the_time_of_its_newest_revision(main: Database) -> None:
    for time in (7.5, 9, 8):
        Markers(main).write([ID, "region:east:5"], time)
        assert Markers(main).times([ID, "region:east:5"]) == [time, time]
    (leaf,) = leaves(main)
    assert str(leaf["_rev"]).startswith("3-")


def test_no_list_shows_a_marker(main: Database, couch: Backend) -> None:
    Markers(main).write([ID], 7)
    assert main.ask("GET", "_all_docs", timeout=5)["rows"] == []
    store = couch.open()
    assert store.page(None, 10, timeout=5).documents == []
    store.close()


def test_processes_that_write_at_once_leave_one_revision(main: Database) -> None:
    processes = [Markers(main) for _ in range(8)]
    for time in (0.0, 1.0, 2.0, 3.0, 4.0):
        with ThreadPoolExecutor(len(processes)) as pool:
            for done in [pool.submit(each.write, [ID], time) for each in processes]:
                done.result()
    assert len(leaves(main)) == 1
    assert Markers(main).times([ID]) == [4]


def test_a_marker_without_a_time_has_not_arrived(main: Database) -> None:
    rival = {"_id": ID, "_rev": "9-a", "_deleted": True, "time": "soon"}
    main.write("POST", "_bulk_docs", timeout=5, body={"docs": [rival], "new_edits": False})
    assert Markers(main).times([ID]) == [None]


def test_a_missing_database_is_an_error(couchdb: CouchDBServer) -> None:
    markers = Markers(Database(couchdb.client(), f"overmind-test-{uuid.uuid4().hex}"))
    for call in (lambda: markers.times([ID]), lambda: markers.write([ID], 7)):
        with pytest.raises(StoreUnavailable):
            call()


def with_shards(server: Server, database: str, shards: int) -> None:
    server.ask("DELETE", database).raise_for_status()
    server.ask("PUT", f"{database}?q={shards}").raise_for_status()


@pytest.mark.parametrize("shards", [1, 2, 3, 8])
def test_each_shard_of_couchdb_has_a_marker(
    server: Server, couchdb: CouchDBServer, database: str, shards: int
) -> None:
    with_shards(server, database, shards)
    ids = Markers(Database(couchdb.client(), database)).ids("east")
    ranges = {server.ask("GET", f"{database}/_shards/{id_}").json()["range"] for id_ in ids}
    assert len(ranges) == len(ids) == shards


def test_a_member_of_a_database_may_write_markers(
    server: Server, couchdb: CouchDBServer, database: str, account: str
) -> None:
    members = {"members": {"names": [account], "roles": []}}
    server.ask("PUT", f"{database}/_security", json=members).raise_for_status()
    client = CouchDBClient(couchdb.url, Account(account, lambda: PASSWORD), connections=1)
    markers = Markers(Database(client, database))
    ids = markers.ids("east")
    markers.write(ids, 7)
    assert markers.times(ids) == [7] * len(ids)
    client.close()


def test_couchdb_lists_a_marker_behind_the_earlier_changes_of_its_shard(
    server: Server, couchdb: CouchDBServer, database: str
) -> None:
    with_shards(server, database, 2)
    markers = Markers(Database(couchdb.client(), database))
    ids = markers.ids("east")
    for time in range(2):
        docs = [{"_id": f"{uuid.uuid4()}"} for _ in range(50)]
        server.ask("POST", f"{database}/_bulk_docs", json={"docs": docs}).raise_for_status()
        markers.write(ids, time)
    rows = server.ask("GET", f"{database}/_changes").json()["results"]
    middle = 0x80000000
    for half in (True, False):
        of_shard = [row["id"] for row in rows if (crc32(row["id"].encode()) < middle) == half]
        assert len(of_shard) > 2
        assert of_shard[-1] in ids
        assert not set(of_shard[:-1]) & set(ids)
