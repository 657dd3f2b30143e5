"""Tests of merges whose parts arrive one by one: replication may split the leaves of a document."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from itertools import permutations

import pytest

from tests.support.backends import Backend
from tests.support.documents import SOON, leaves, read, write
from tests.support.fault_proxy import FaultProxy
from tests.support.regions import Region, regions
from tests.support.site import CouchDBServer
from tests.zerglings.transfer.transfers import exported
from zerglings.documents import Document
from zerglings.domain.pose import Pose
from zerglings.domain.zergling import CommandRequest, Zergling
from zerglings.hive.change_events import Event
from zerglings.hive.healing import Healer
from zerglings.hive.hive import Hive
from zerglings.hive.mutations import NoSuchZergling
from zerglings.repository.archive import Archive
from zerglings.repository.reading import MissingMerge
from zerglings.storage.couchdb.database import Database

TAIL = 10
KEY = "a key"


@pytest.fixture
def two(couchdb: CouchDBServer) -> Iterator[Sequence[Region]]:
    with regions(couchdb, 2) as found:
        yield found


def hive_of(region: Region) -> Hive:
    return Hive(region.store, tail=TAIL)


def move(region: Region, zergling: Zergling, *ids: str, times: int = 1) -> None:
    hive = hive_of(region)
    for id_ in ids:
        hive.command(zergling.id, CommandRequest(id_, ("M",) * times))


@pytest.fixture
def spawn(two: Sequence[Region]) -> Zergling:
    """A zergling that both regions have moved while apart; the first has merged it."""
    first, second = two
    spawn = hive_of(first).spawn(Pose(), KEY)
    second.take(first)
    move(first, spawn, "a", "b", "c")
    move(second, spawn, "x", "y", "z", times=TAIL)
    first.take(second)
    first.take(second, history=True)
    assert hive_of(first).get(spawn.id).command_count == 3 + 3 * TAIL
    return spawn


def only_deletion_arrives(two: Sequence[Region], spawn: Zergling) -> Document:
    """Deliver to the second region only that its leaf was merged; return the merged leaf."""
    first, second = two
    (own,) = second.revisions(spawn.id)
    news = first.revisions(spawn.id)
    (deletion,) = [each for each in news if each.get("_deleted")]
    if parent(deletion) != own["_rev"]:  # the second region's leaf won; delete it all the same
        ids = ["f" * 32, *own["_revisions"]["ids"]]
        revisions = {"start": own["_revisions"]["start"] + 1, "ids": ids}
        deletion |= {"_rev": f"{revisions['start']}-{ids[0]}", "_revisions": revisions}
    second.receive([deletion])
    (merged,) = [each for each in news if not each.get("_deleted")]
    return merged


def parent(revision: Document) -> str:
    known = revision["_revisions"]
    return f"{known['start'] - 1}-{known['ids'][1]}"


CHANGES: list[Callable[[Hive, Zergling], object]] = [
    lambda hive, spawn: hive.command(spawn.id, CommandRequest.command("L")),
    lambda hive, spawn: hive.kill(spawn.id),
    lambda hive, spawn: hive.spawn(Pose(), KEY),
]


def test_a_zergling_whose_merge_has_not_arrived_keeps_its_state_and_takes_no_changes(
    two: Sequence[Region], spawn: Zergling
) -> None:
    before = hive_of(two[1]).get(spawn.id)
    merged = only_deletion_arrives(two, spawn)
    assert leaves(two[1].store, spawn.id) == []
    for change in CHANGES:
        with pytest.raises(MissingMerge):
            change(hive_of(two[1]), spawn)
    here = hive_of(two[1])
    assert here.get(spawn.id) == before
    words = [word for part in here.history(spawn.id).parts for word in part]
    assert words == ["M"] * before.command_count
    two[1].receive([merged])
    assert hive_of(two[1]).get(spawn.id).command_count == 3 + 3 * TAIL


def test_a_stream_reports_no_death_while_a_merge_is_on_its_way(
    two: Sequence[Region], spawn: Zergling
) -> None:
    here = hive_of(two[1])
    before, position = here.get(spawn.id), here.changes_after(None).position
    merged = only_deletion_arrives(two, spawn)
    assert here.changes_after(position).events == [Event("moved", spawn.id, before)]
    two[1].receive([merged])
    assert [event.kind for event in here.changes_after(position).events] == ["moved"]


def test_heal_keeps_the_chunks_of_a_merge_that_is_on_its_way(
    two: Sequence[Region], spawn: Zergling
) -> None:
    only_deletion_arrives(two, spawn)
    chunks = two[1].contents()[1]
    assert chunks
    healer = Healer(two[1].store, TAIL, pause=lambda _: None)
    assert healer.remove_unreachable() == 0
    assert any(spawn.id in failure for failure in healer.failures)
    assert two[1].contents()[1] == chunks


def test_a_call_and_an_export_skip_a_zergling_whose_merge_is_on_its_way(
    two: Sequence[Region], spawn: Zergling
) -> None:
    here = hive_of(two[1])
    other = here.spawn(Pose())
    only_deletion_arrives(two, spawn)
    items = [(id_, CommandRequest.command("M")) for id_ in (spawn.id, other.id)]
    (results,) = here.bulk.command(items)
    assert isinstance(results[0], MissingMerge)
    assert isinstance(results[1], Zergling)
    assert exported(two[1].store).count(b'"zergling"') == 1


def test_a_zergling_that_heal_removed_stays_removed(two: Sequence[Region], spawn: Zergling) -> None:
    first = two[0]
    hive_of(first).kill(spawn.id)
    assert Healer(first.store, TAIL).remove_dead(before=2**60) == 1
    for region in two:
        region.take(first)
        with pytest.raises(NoSuchZergling):
            hive_of(region).get(spawn.id)


@pytest.mark.parametrize("order", range(6))
def test_no_order_of_leaves_and_chunks_loses_or_repeats_a_command(
    two: Sequence[Region], spawn: Zergling, order: int
) -> None:
    first, second = two
    parts: list[Callable[[], object]] = [
        *(lambda leaf=leaf: second.receive([leaf]) for leaf in first.revisions(spawn.id)),
        lambda: second.take(first, history=True),
    ]
    sequence = list(permutations(parts))[order]
    late = set()
    for number, part in enumerate(sequence):
        part()
        try:
            move(second, spawn, f"late{number}")
        except MissingMerge:
            assert leaves(second.store, spawn.id) == []
        else:
            late.add(f"late{number}")
    found = hive_of(second).get(spawn.id)
    ids = list(filter(None, Archive(hive_of(second)._store.history).ids_since(found, 0, timeout=5)))
    assert len(ids) == len(set(ids))
    assert set(ids) == late | {*"abcxyz"}
    assert len(leaves(second.store, spawn.id) or []) == 1


def test_removed_zerglings_take_no_request_each(
    couchdb: CouchDBServer, couch: Backend, proxy: FaultProxy
) -> None:
    """Many of them would take longer than a stream waits for a batch of events."""
    with closing(couchdb.client()) as client:
        if not Database(client, "").is_modern(SOON):
            pytest.skip("this server is not read in bulk")
    with closing(couch.through(proxy.url).open()) as store:
        hive = Hive(store)
        position = hive.changes_after(None).position
        ids = {hive.spawn(Pose()).id for _ in range(10)}
        for id_ in ids:
            write(store, {"_id": id_, "_rev": read(store, id_)["_rev"], "_deleted": True})
        proxy.clear()
        events = hive.changes_after(position).events
        assert {(event.id, event.kind) for event in events} == {(id_, "died") for id_ in ids}
        assert len(proxy.requests) < len(ids)
