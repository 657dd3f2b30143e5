"""Tests that a delivery is complete exactly when the target has the source's changes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing

import pytest

from tests.support.apache import Server
from tests.support.documents import SOON, write
from tests.support.regions import Region, regions
from tests.support.site import CouchDBServer
from zerglings.documents import Document
from zerglings.storage.couchdb.database import Database
from zerglings.storage.regions.changes import Change, ChangeLog
from zerglings.storage.regions.checkpoints import START
from zerglings.storage.regions.delivery import Delivery


@pytest.fixture
def two(couchdb: CouchDBServer) -> Iterator[list[Region]]:
    with regions(couchdb, 2) as found:
        yield found


ChangesOf = Callable[[Region], ChangeLog]


@pytest.fixture
def changes_of() -> Iterator[ChangesOf]:
    """Opens the changes of a region's main database."""
    with ExitStack() as clients:

        def open_changes(region: Region) -> ChangeLog:
            client = clients.enter_context(closing(region.backend.server.client(1)))
            return ChangeLog(Database(client, region.databases[0]))

        yield open_changes


def leaf(generation: int, mark: str, **content: object) -> Document:
    """Return a revision without ancestors."""
    return {"_id": "d", "_rev": f"{generation}-{mark * 32}"} | content


def test_it_is_complete_when_all_changes_have_arrived_that_existed_at_first(
    two: list[Region], changes_of: ChangesOf
) -> None:
    first, second = two
    revision = write(first.store, {"_id": "a"})
    write(first.store, {"_id": "b"})
    delivery = Delivery(changes_of(first), changes_of(second))
    assert not delivery.is_complete(START)
    write(first.store, {"_id": "c"})
    second.take(first, "a")
    assert not delivery.is_complete(START)
    write(first.store, {"_id": "a", "_rev": revision})
    second.take(first, "b")
    assert delivery.is_complete(START)


@pytest.mark.parametrize("is_deleted", [False, True])
def test_each_leaf_must_arrive(
    two: list[Region], changes_of: ChangesOf, *, is_deleted: bool
) -> None:
    first, second = two
    highest, lower = leaf(3, "b"), leaf(2, "c", _deleted=is_deleted)
    first.receive([highest, lower])
    second.receive([highest])
    delivery = Delivery(changes_of(first), changes_of(second))
    assert not delivery.is_complete(START)
    second.receive([lower])
    assert delivery.is_complete(START)


def test_a_replication_completes_it_in_both_directions(
    two: list[Region], changes_of: ChangesOf
) -> None:
    first, second = two
    for number, region in enumerate((first, second, first)):
        write(region.store, {"_id": str(number)})
    deliveries = [
        Delivery(changes_of(source), changes_of(target))
        for source, target in ((first, second), (second, first))
    ]
    assert not any(each.is_complete(START) for each in deliveries)
    second.pull(first)
    assert [each.is_complete(START) for each in deliveries] == [True, False]
    first.pull(second)
    assert all(each.is_complete(START) for each in deliveries)


def test_the_leaves_of_all_changed_documents_are_listed_in_pages(
    two: list[Region], changes_of: ChangesOf
) -> None:
    region, _ = two
    written = {Change(id_, write(region.store, {"_id": id_})) for id_ in "abcdef"}
    for size in (1, 4, 6, 100):
        pages = list(changes_of(region).pages_after(START, size, timeout=SOON))
        assert {change for page in pages for change in page} == written
        assert all(len(page) <= size for page in pages)


def test_a_document_with_more_updates_than_couchdb_remembers_arrives_with_a_later_leaf(
    server: Server, two: list[Region], changes_of: ChangesOf
) -> None:
    first, second = two
    for region in two:
        region.ask("PUT", region.databases[0], "_revs_limit", body=5)
    revision = write(first.store, {"_id": "d"})
    delivery = Delivery(changes_of(first), changes_of(second))
    assert not delivery.is_complete(START)
    position = last_position(first)
    for _ in range(20):
        revision = write(first.store, {"_id": "d", "_rev": revision})
    assert not delivery.is_complete(position)
    second.pull(first)
    assert delivery.is_complete(position)


def last_position(region: Region) -> str:
    answer = region.ask("GET", region.databases[0], "_changes", since="now", limit="1")
    return str(answer["last_seq"])
