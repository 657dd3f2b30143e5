"""Tests of reads while a merge is on its way: they show what this region had before.

The merge is in another region. Only its deletions have arrived.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from dataclasses import replace

import pytest
from prometheus_client import REGISTRY

from tests.support.arrivals import moved, other_region
from tests.support.backends import Backend
from tests.support.documents import leaves, read
from tests.support.fault_proxy import FaultProxy
from tests.support.faults import Answer, Fault
from tests.support.rivals import plant, plant_document, plant_merged
from tests.support.waiting import wait_until
from zerglings.domain.pose import Pose
from zerglings.domain.zergling import CommandRequest, Zergling
from zerglings.hive.hive import Hive
from zerglings.hive.mutations import NoSuchZergling
from zerglings.repository.reading import MissingMerge
from zerglings.storage.base import Store, StoreUnavailable

MARCH = CommandRequest("march", ("M",))


@pytest.fixture
def backend(couch: Backend) -> Backend:
    """Only CouchDB has rival revisions."""
    return couch


@pytest.fixture
def spawn(hive: Hive) -> Zergling:
    return hive.spawn(Pose())


@pytest.fixture
def own(hive: Hive, spawn: Zergling) -> Zergling:
    """The zergling after a command in this region."""
    return hive.command(spawn.id, CommandRequest("own", ("R",)))


def revision(zergling: Zergling) -> str:
    assert zergling.revision
    return zergling.revision


def merged_away(backend: Backend, *last: Zergling, missed: int = 0) -> None:
    """Deliver that leaves were merged, after some revisions that never came here."""
    for zergling in last:
        generation = int(revision(zergling).partition("-")[0]) + missed + 1
        plant_merged(backend, zergling.id, after=revision(zergling), generation=generation)


def rival(backend: Backend, own: Zergling, after: Zergling, name: str = "east") -> Zergling:
    """Deliver another region's successor of a revision of ``own``, which it outranks."""
    theirs = after.apply(CommandRequest(name, ("M",)))
    generation = int(revision(own).partition("-")[0]) + 1
    planted = plant(backend, theirs, after=revision(after), generation=generation)
    return replace(theirs, revision=planted)


def revisions(backend: Backend, zergling: Zergling) -> set[str]:
    database = backend.environment["COUCHDB_DATABASE"]
    rows = backend.server.ask("GET", database, zergling.id, open_revs="all")
    return {row["ok"]["_rev"] for row in rows}


def compact(backend: Backend) -> None:
    database = backend.environment["COUCHDB_DATABASE"]
    backend.server.ask("POST", database, "_compact", body={})
    wait_until(
        lambda: not backend.server.ask("GET", database).get("compact_running"),
        "the database is compacted",
    )


@pytest.mark.parametrize("missed", [0, 3])
def test_a_read_shows_the_newest_revision_that_came_here(
    backend: Backend, store: Store, own: Zergling, missed: int
) -> None:
    merged_away(backend, own, missed=missed)
    assert leaves(store, own.id) == []
    here = Hive(store)
    assert here.get(own.id) == own
    assert [*here.history(own.id).parts] == [("R",)]


def test_of_several_states_that_with_the_most_commands_is_shown_and_nothing_is_stored(
    backend: Backend, store: Store, hive: Hive, spawn: Zergling, own: Zergling
) -> None:
    longer = hive.command(own.id, MARCH)
    theirs = rival(backend, longer, spawn)
    merged_away(backend, longer, theirs)
    before = revisions(backend, own)
    assert Hive(store).get(own.id) == longer
    assert revisions(backend, own) == before


def test_a_leaf_that_never_came_here_adds_nothing(
    backend: Backend, store: Store, spawn: Zergling, own: Zergling
) -> None:
    merged_away(backend, own)
    merged_away(backend, spawn, missed=2)
    assert Hive(store).get(own.id) == own


def test_leaves_that_were_merged_here_before_add_nothing(
    backend: Backend, store: Store, spawn: Zergling, own: Zergling
) -> None:
    rival(backend, own, spawn)
    here = Hive(store, tail=10)
    assert set(here.get(own.id).request_ids) == {"own", "east"}
    for number in range(30):
        last = here.command(own.id, CommandRequest(f"later{number}", ("M",)))
    assert last.base.chunk is not None
    merged_away(backend, last)
    assert Hive(store).get(own.id) == last


def test_the_commands_do_not_become_fewer_while_chunks_are_on_their_way_too(
    backend: Backend, store: Store, spawn: Zergling, own: Zergling
) -> None:
    merged_away(backend, own)
    document, _ = other_region(spawn)
    merge = plant_document(backend, document, after=revision(spawn), generation=400)
    shown = Hive(store).get(own.id)
    assert shown.command_count == 350
    plant_merged(backend, own.id, after=merge)
    assert Hive(store).get(own.id) == shown


@pytest.mark.parametrize("has_rival", [False, True])
def test_each_such_read_is_counted_once(
    backend: Backend, store: Store, spawn: Zergling, own: Zergling, *, has_rival: bool
) -> None:
    if has_rival:
        document, _ = other_region(spawn)
        theirs = plant_document(backend, document, after=revision(spawn), generation=400)
        plant_merged(backend, own.id, after=theirs)
    merged_away(backend, own)
    counted = REGISTRY.get_sample_value("overmind_merges_deferred_total") or 0
    Hive(store).get(own.id)
    assert REGISTRY.get_sample_value("overmind_merges_deferred_total") == counted + 1


def test_only_reads_that_need_it_ask_for_ancestors(
    backend: Backend, proxy: FaultProxy, hive: Hive, own: Zergling
) -> None:
    living = hive.spawn(Pose())
    removed = hive.spawn(Pose())
    plant_document(backend, {"_id": removed.id, "_deleted": True}, after=revision(removed))
    merged_away(backend, own)

    def ancestors_read() -> int:
        return sum("open_revs=%5B" in request.path for request in proxy.requests)

    with closing(backend.through(proxy.url).open()) as store:
        here = Hive(store)
        here.get(living.id)
        with pytest.raises(NoSuchZergling):
            here.get(removed.id)
        assert ancestors_read() == 0
        here.get(own.id)
        assert ancestors_read() == 1


CHANGES: list[Callable[[Hive, str], object]] = [
    lambda hive, id_: hive.command(id_, MARCH),
    lambda hive, id_: hive.kill(id_),
]


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_waits_for_the_merge(
    backend: Backend, hive: Hive, own: Zergling, change: Callable[[Hive, str], object]
) -> None:
    merged_away(backend, own)
    before = revisions(backend, own)
    assert hive.get(own.id) == own
    with pytest.raises(MissingMerge):
        change(hive, own.id)
    assert revisions(backend, own) == before


def test_a_zergling_that_was_dead_here_stays_dead(
    backend: Backend, hive: Hive, store: Store, spawn: Zergling, own: Zergling
) -> None:
    hive.kill(own.id)
    plant_merged(backend, own.id, after=read(store, own.id)["_rev"])
    with pytest.raises(NoSuchZergling):
        Hive(store).get(own.id)
    merged_away(backend, rival(backend, own, spawn))
    for act in (Hive.get, *CHANGES):
        with pytest.raises(NoSuchZergling):
            act(Hive(store), own.id)


def test_a_compacted_zergling_waits_for_the_merge(
    backend: Backend, store: Store, own: Zergling
) -> None:
    merged_away(backend, own)
    compact(backend)
    with pytest.raises(MissingMerge):
        Hive(store).get(own.id)


def test_the_merge_is_shown_as_soon_as_it_is_there(
    backend: Backend, store: Store, spawn: Zergling, own: Zergling
) -> None:
    theirs = rival(backend, own, spawn)
    merged_away(backend, own)
    assert Hive(store).get(own.id).request_ids == ("east",)
    merged_away(backend, theirs)
    merge = moved(theirs, 3, "merged")
    plant(backend, merge, after=revision(theirs))
    assert Hive(store).get(own.id).request_ids == merge.request_ids


def test_a_failure_of_the_store_is_reported_as_such(
    backend: Backend, proxy: FaultProxy, own: Zergling
) -> None:
    merged_away(backend, own)
    proxy.fault = Fault(Answer(500), lambda _, path: "open_revs=%5B" in path)
    with (
        closing(backend.through(proxy.url).open()) as store,
        pytest.raises(StoreUnavailable) as caught,
    ):
        Hive(store).get(own.id)
    assert not isinstance(caught.value, MissingMerge)
