"""Tests of rivals that cannot be merged within the time of one read: deep or many divergences."""

from __future__ import annotations

import pytest

from tests.support.arrivals import (
    TAIL,
    all_ids,
    as_the_original_writes,
    deliver,
    deliver_chunks,
    moved,
    other_region,
)
from tests.support.backends import Backend
from tests.support.documents import SOON, leaves, read, write
from tests.support.faulty_store import FaultyStore
from tests.support.original import Original
from tests.support.rivals import plant_merged
from zerglings.documents import Document
from zerglings.domain.chunks import shorten
from zerglings.domain.document_format import encode
from zerglings.domain.pose import Pose
from zerglings.domain.zergling import CommandRequest, Zergling
from zerglings.hive.hive import Hive
from zerglings.hive.mutations import NoSuchZergling
from zerglings.repository import chunk_store, reading
from zerglings.repository.archive import Archive
from zerglings.repository.reading import Reader
from zerglings.repository.retry_budget import TimeLeft
from zerglings.storage.base import Store, StoreUnavailable

EAST = 850
"""Commands of the other region: in about eight chunks."""


@pytest.fixture
def backend(couch: Backend) -> Backend:
    """Only CouchDB has rival revisions."""
    return couch


@pytest.fixture
def spawn(hive: Hive) -> Zergling:
    return hive.spawn(Pose())


class Slow(FaultyStore):
    """A store whose time is up after so many pages of one chunk in each read."""

    def __init__(self, store: Store, pages: int) -> None:
        super().__init__(store)
        self.pages = self.left = pages
        self.read = 0
        self.history.before_page = self._page
        self.before_get = lambda ids: self._start()

    def _start(self) -> None:
        self.left = self.pages

    def _page(self) -> None:
        self.left -= 1
        if self.left < 0:
            raise StoreUnavailable("the store took too long")
        self.read += 1


@pytest.fixture
def slow(store: Store, monkeypatch: pytest.MonkeyPatch) -> Slow:
    monkeypatch.setattr(chunk_store, "CHUNKS_PER_READ", 1)
    return Slow(store, pages=2)


def diverge(backend: Backend, store: Store, spawn: Zergling) -> None:
    document, chunks = other_region(spawn, EAST)
    deliver(backend, document, spawn, generation=900)
    deliver_chunks(store, chunks)


def test_a_zergling_is_served_and_commanded_while_its_rivals_take_long_to_read(
    backend: Backend, hive: Hive, slow: Slow, spawn: Zergling
) -> None:
    own = hive.command(spawn.id, CommandRequest("own", ("R",)))
    diverge(backend, slow, spawn)
    here = Hive(slow)
    assert here.get(spawn.id).command_count in (EAST, own.command_count)
    before = here.get(spawn.id).command_count
    after = here.command(spawn.id, CommandRequest("later", ("M",)))
    assert after.command_count == before + 1


def test_each_read_goes_on_where_the_last_one_stopped(
    backend: Backend, hive: Hive, slow: Slow, spawn: Zergling
) -> None:
    hive.command(spawn.id, CommandRequest("own", ("R",)))
    diverge(backend, slow, spawn)
    here = Hive(slow)
    reads = 0
    while len(leaves(slow, spawn.id) or []) > 1:
        here.get(spawn.id)
        reads += 1
        assert reads <= EAST // TAIL  # two chunks each would take half as many
    assert slow.read <= EAST // TAIL + 1
    expected = ["own", *(f"east{number}" for number in range(EAST))]
    assert sorted(filter(None, all_ids(hive, spawn))) == sorted(expected)


def test_a_death_is_served_before_its_rivals_are_merged(
    backend: Backend, hive: Hive, slow: Slow, spawn: Zergling
) -> None:
    hive.kill(spawn.id)
    diverge(backend, slow, spawn)
    here = Hive(slow)
    with pytest.raises(NoSuchZergling):
        here.get(spawn.id)
    with pytest.raises(NoSuchZergling):
        here.command(spawn.id, CommandRequest("later", ("M",)))


def test_many_rivals_are_served_although_the_time_is_up(
    backend: Backend, store: Store, hive: Hive, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = []
    for number in range(5):
        spawn = hive.spawn(Pose())
        hive.command(spawn.id, CommandRequest(f"own{number}", ("R",)))
        shorter, _ = shorten(moved(spawn, 3, f"east{number}-"), TAIL)
        deliver(backend, encode(shorter), spawn)
        ids.append(spawn.id)
    use_up_time(monkeypatch)
    assert counts(store, ids) == dict.fromkeys(ids, 4)


def use_up_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave no time for merges and for the chunks of zerglings."""
    monkeypatch.setattr(reading, "TimeLeft", lambda seconds: TimeLeft(0))


def counts(store: Store, ids: list[str]) -> dict[str, int | type[object]]:
    """Read zerglings, and return how many commands each has, or the error."""
    found = Reader(store, Archive(store.history)).read(ids, timeout=SOON)
    return {
        id_: each.command_count if isinstance(each, Zergling) else type(each)
        for id_, each in found.items()
    }


def test_a_short_history_of_the_original_is_served_although_the_time_is_up(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = Original(store)
    id_ = original.spawn()
    original.command(id_, "M")
    use_up_time(monkeypatch)
    assert counts(store, [id_]) == {id_: 1}


def test_a_removed_zergling_is_known_to_be_removed_although_the_time_is_up(
    store: Store, spawn: Zergling, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(store, {"_id": spawn.id, "_rev": spawn.revision, "_deleted": True})
    use_up_time(monkeypatch)
    assert counts(store, [spawn.id]) == {spawn.id: type(None)}


def test_a_rival_that_needs_no_chunk_is_served_when_the_time_is_up(
    backend: Backend, store: Store, hive: Hive, spawn: Zergling, monkeypatch: pytest.MonkeyPatch
) -> None:
    hive.command(spawn.id, CommandRequest("own", ("R",)))
    document, chunks = other_region(spawn)
    deliver_chunks(store, chunks)
    deliver(backend, as_the_original_writes(document), spawn)
    use_up_time(monkeypatch)
    assert counts(store, [spawn.id]) == {spawn.id: 1}


def lose_base(store: Store, spawn: Zergling) -> None:
    """Have the original rewrite a zergling whose older commands are in chunks."""
    document, chunks = other_region(spawn)
    deliver_chunks(store, chunks)
    current = read(store, spawn.id)
    write(store, as_the_original_writes(document) | {"_rev": current["_rev"]})


def test_no_history_is_served_without_its_older_part_when_the_time_is_up(
    store: Store, spawn: Zergling, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Their idempotency keys would be unknown."""
    lose_base(store, spawn)
    assert counts(store, [spawn.id]) == {spawn.id: 350}
    use_up_time(monkeypatch)
    assert counts(store, [spawn.id]) == {spawn.id: StoreUnavailable}


def test_a_slow_merge_takes_no_time_from_zerglings_without_rivals(
    backend: Backend, store: Store, hive: Hive, spawn: Zergling, monkeypatch: pytest.MonkeyPatch
) -> None:
    merged, alone = spawn, hive.spawn(Pose())
    hive.command(merged.id, CommandRequest("own", ("R",)))
    deliver(backend, encode(moved(merged, 3, "east")), merged)
    lose_base(store, alone)
    time_left = TimeLeft(SOON)
    monkeypatch.setattr(reading, "TimeLeft", lambda seconds: time_left)
    slow = FaultyStore(store)
    slow.before_put = lambda document: use_up(time_left)
    assert counts(slow, [merged.id, alone.id]) == {merged.id: 4, alone.id: 350}


def use_up(time_left: TimeLeft) -> None:
    time_left._end = 0.0


def test_a_rival_that_was_restored_is_served_when_the_time_is_up(
    backend: Backend, store: Store, spawn: Zergling, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The original has written both, so both lack their base."""
    long, chunks = shorten(moved(spawn, 350, "east"), TAIL)
    deliver_chunks(store, chunks)
    for generation, name in ((400, "a"), (500, "b")):
        rival = encode(moved(long, 3 if name == "b" else 1, name))
        deliver(backend, as_the_original_writes(rival), spawn, generation)
    time_left = TimeLeft(SOON)
    monkeypatch.setattr(reading, "TimeLeft", lambda seconds: time_left)
    slow = FaultyStore(store)
    slow.history.before_page = lambda: use_up(time_left)
    assert counts(slow, [spawn.id]) == {spawn.id: 353}
    assert len(leaves(store, spawn.id) or []) == 2


def test_restoring_a_base_again_reads_only_newer_chunks(
    store: Store, spawn: Zergling, monkeypatch: pytest.MonkeyPatch
) -> None:
    faulty = FaultyStore(store)
    pages: list[int] = []
    faulty.history.before_page = lambda: pages.append(1)
    reader = Reader(faulty, Archive(faulty.history))
    monkeypatch.setattr(chunk_store, "CHUNKS_PER_READ", 1)
    long, chunks = shorten(moved(spawn, 5000, "east"), TAIL)
    deliver_chunks(store, chunks)
    document = encode(long)
    needed = []
    for number in range(3):
        current = read(store, spawn.id)
        write(store, as_the_original_writes(document) | {"_rev": current["_rev"]})
        pages.clear()
        (found,) = reader.read([spawn.id], timeout=SOON).values()
        assert isinstance(found, Zergling)
        assert (found.command_count, found.spawn) == (5000 + number, spawn.spawn)
        needed.append(len(pages))
        document = encode(found.apply(CommandRequest(f"more{number}", ("M",))))
    assert needed[0] > len(chunks) > 5
    assert max(needed[1:]) <= 2


def test_a_last_state_takes_no_time_from_other_zerglings(
    backend: Backend, store: Store, hive: Hive, spawn: Zergling, monkeypatch: pytest.MonkeyPatch
) -> None:
    merged, alone = spawn, hive.spawn(Pose())
    plant_merged(backend, merged.id, after=merged.revision or "", generation=2)
    lose_base(store, alone)
    time_left = TimeLeft(SOON)
    monkeypatch.setattr(reading, "TimeLeft", lambda seconds: time_left)

    def last_states(document_id: str, *, timeout: float) -> list[Document]:
        use_up(time_left)
        raise StoreUnavailable("no answer in time")

    monkeypatch.setattr(store, "last_states", last_states)
    assert counts(store, [merged.id, alone.id]) == {merged.id: StoreUnavailable, alone.id: 350}
