"""Regions that are used and exchange single revisions in any order, and what must be left."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

from hypothesis import note
from hypothesis import strategies as st

from tests.support.documents import SOON, leaves
from tests.support.original import Original
from tests.support.regions import ROUNDS, Links, Region, every_pair, hand_over
from zerglings.domain.pose import Pose, replay
from zerglings.domain.zergling import CommandRequest, Zergling
from zerglings.hive.healing import Healer
from zerglings.hive.hive import Hive
from zerglings.hive.mutations import NoSuchZergling
from zerglings.repository.archive import Archive
from zerglings.repository.chunk_store import Incomplete
from zerglings.storage.base import StoreError
from zerglings.storage.regions.exchange import Part

TAIL = 4
"""Commands that a document keeps, few so that chunks are made soon."""

COUNT = 3
"""Regions."""

Exchange = Callable[[Links], None]

PLAIN, STRANGER = 0, 1
"""The two zerglings: the original writes only the second, and only in the first region."""


class World:
    """Three regions with two zerglings. ``acknowledged`` has the requests that must be there."""

    def __init__(self, regions: Sequence[Region]) -> None:
        self.regions = regions
        self._hives = [Hive(region.store, tail=TAIL) for region in regions]
        self._original = Original(regions[0].store)
        spawned = self._hives[0].spawn(Pose(7, 0, "E"), "a key")
        self.ids = [spawned.id, self._original.spawn()]
        self.acknowledged: list[list[CommandRequest]] = [[], []]
        self.is_killed = self.is_removed = False
        self._count = 0

    def command(self, region: int, which: int, words: int) -> None:
        self._count += 1
        self._send(region, which, self._request(f"r{self._count}", words))

    def command_with_a_key(self, region: int, key: int) -> None:
        """Keys repeat in the same and in other regions; the body of a key is always the same."""
        self._send(region, PLAIN, CommandRequest.command("MRM"[: key + 1], f"key {key}"))

    def spawn_again(self, region: int) -> None:
        """Repeat the spawn with its key, where the zergling may not have arrived yet."""
        try:
            spawned = self._hives[region].spawn(Pose(7, 0, "E"), "a key")
        except (NoSuchZergling, Incomplete):
            return
        assert spawned.id == self.ids[PLAIN]

    def original(self) -> None:
        self._count += 1
        word = f"o{self._count}"
        if self._original.command(self.ids[STRANGER], word):
            self.acknowledged[STRANGER].append(CommandRequest(word, (word,)))

    def arrive_alone(self, region: int) -> None:
        """Move what the original wrote after a cut where the chunk has not arrived yet."""
        for _ in range(TAIL):
            self.command(0, STRANGER, 3)
        self.original()
        self.send_leaf(0, region, STRANGER, 0)
        self.command(region, STRANGER, 1)

    def kill(self, region: int) -> None:
        try:
            self._hives[region].kill(self.ids[PLAIN])
        except (NoSuchZergling, Incomplete):
            return
        self.is_killed = True

    def read(self, region: int, which: int) -> None:
        try:
            self._hives[region].get(self.ids[which])
        except NoSuchZergling:
            assert self.is_killed or not self.regions[region].revisions(self.ids[which])
        except Incomplete:
            assert not self._is_alive(region, which), "a read fails only if no leaf is there"

    def send_leaf(self, source: int, target: int, which: int, number: int) -> None:
        """Deliver one leaf of a document, perhaps a deleted one, without the others."""
        if leaves := self.regions[source].revisions(self.ids[which]):
            self.regions[target].receive([leaves[number % len(leaves)]])

    def send_chunk(self, source: int, target: int, number: int) -> None:
        region = self.regions[source]
        if ids := region.ids(history=True):
            self.regions[target].take(region, ids[number % len(ids)], history=True)

    def send_all(self, source: int, target: int) -> None:
        hand_over([(self.regions[source], self.regions[target])])

    def purge(self, region: int) -> None:
        """Remove deleted leaves, as heal does, and compact. The peer can do neither."""
        here = self.regions[region]
        if here.ask("GET").get("couchdb") == "Welcome":
            stored = [id_ for id_ in self.ids if leaves(here.store, id_)]
            here.store.forget_deleted_leaves(stored, timeout=SOON)
            for database in here.databases:
                here.ask("POST", database, "_compact", body={})

    def heal(self, region: int, elsewhere: int, which: int, words: int) -> None:
        """Remove what the region does not need any more, while a region takes commands."""
        here = self.regions[region]
        others = [other for other in self.regions if other is not here]

        def go_on() -> None:
            self.command(elsewhere, which, words)

        def exchange_part(part: Part) -> None:
            go_on()
            for source, target in [(here, other) for other in others] + [
                (other, here) for other in others
            ]:
                target.take(source, history=part == "history")

        healer = Healer(here.store, TAIL, pause=lambda _: go_on(), exchange=exchange_part)
        healer.merge()
        self.is_removed |= healer.remove_dead(time.time() + 1) > 0
        healer.remove_unreachable()

    def restart(self, region: int) -> None:
        self._hives[region] = Hive(self.regions[region].store, tail=TAIL)

    def converge(self, exchange: Exchange) -> None:
        """Exchange everything until all regions are equal and without conflicts."""
        for _ in range(ROUNDS):
            exchange(every_pair(self.regions))
            for number, _ in enumerate(self.regions):
                self.restart(number)
                for which in (PLAIN, STRANGER):
                    self._check_found(self._found(number, which), which)
            contents = [region.contents() for region in self.regions]
            if all(each == contents[0] for each in contents) and "_conflicts" not in str(contents):
                return
        raise AssertionError(f"the regions still differ: {contents}")

    def check(self, region: int) -> None:
        """Every acknowledged request is there, once, and the state is that of the history.

        Requests to the original's zergling may count twice: it drops their ids.
        """
        for which in (PLAIN, STRANGER):
            zergling = self._check_found(self._found(region, which), which)
            if zergling is None:
                continue
            words, ids = self._whole(region, zergling)
            assert replay(zergling.spawn, words) == zergling.pose
            assert zergling.command_count == len(words)
            if which == PLAIN:
                given = {request.id for request in self.acknowledged[PLAIN]}
                assert Counter(id_ for id_ in ids if "@" not in id_) == Counter(given)
                assert zergling.is_dead == self.is_killed
                assert zergling.spawn == Pose(7, 0, "E")
            else:
                given = {request.words[0] for request in self.acknowledged[STRANGER]}
                assert given == {word for word in words if word[0] in "ro"}
                assert zergling.spawn == Pose()

    def _request(self, name: str, words: int) -> CommandRequest:
        return CommandRequest(name, (name, "M", "R", "M")[: 1 + words])

    def _send(self, region: int, which: int, request: CommandRequest) -> None:
        try:
            self._hives[region].command(self.ids[which], request)
        except NoSuchZergling:
            assert self.is_killed or not self.regions[region].revisions(self.ids[which])
        except Incomplete:
            assert request.key_mark is not None or not self._is_alive(region, which)
        else:
            self.acknowledged[which].append(request)

    def _is_alive(self, region: int, which: int) -> bool:
        leaves = self.regions[region].revisions(self.ids[which])
        return any("_deleted" not in leaf for leaf in leaves)

    def _found(self, region: int, which: int) -> Zergling | StoreError | None:
        """Return a zergling, also a dead one."""
        id_ = self.ids[which]
        return self._hives[region]._reader.read([id_], timeout=SOON).get(id_)

    def _check_found(self, found: Zergling | StoreError | None, which: int) -> Zergling | None:
        """Return a zergling; None if it is the one that was removed, which stays dead."""
        if which == PLAIN and self.is_removed:
            assert found is None or (isinstance(found, Zergling) and found.is_dead)
            return None
        assert isinstance(found, Zergling)
        return found

    def _whole(self, region: int, zergling: Zergling) -> tuple[list[str], list[str]]:
        """Return all words of a zergling, and the ids of its requests."""
        archive = Archive(self._hives[region]._store.history)
        parts = archive.words(zergling, 0, zergling.command_count, timeout=SOON)
        words = [word for part in parts for word in part]
        return words, list(filter(None, archive.ids_since(zergling, 0, timeout=SOON)))


regions = st.integers(0, COUNT - 1)
zerglings = st.sampled_from((PLAIN, STRANGER))
pairs = st.tuples(regions, regions).filter(lambda pair: pair[0] != pair[1])
few = st.integers(0, 3)

Step = tuple[Any, ...]


def _step(does: Callable[..., None], *arguments: st.SearchStrategy[Any]) -> st.SearchStrategy[Step]:
    return st.tuples(st.just(does), *arguments)


def _between(does: Callable[..., None], *more: st.SearchStrategy[Any]) -> st.SearchStrategy[Step]:
    """A step from one region to another."""
    return st.tuples(pairs, *more).map(lambda drawn: (does, *drawn[0], *drawn[1:]))


usual = [
    _step(World.command, regions, zerglings, few),
    _step(World.command_with_a_key, regions, st.integers(0, 2)),
    _step(World.spawn_again, regions),
    _step(World.original),
    _step(World.arrive_alone, st.integers(1, COUNT - 1)),
    _step(World.read, regions, zerglings),
    _between(World.send_leaf, zerglings, few),
    _between(World.send_chunk, few),
    _between(World.send_all),
    _step(World.purge, regions),
    _step(World.heal, regions, regions, zerglings, few),
    _step(World.restart, regions),
]
steps = st.lists(st.one_of(*usual, *usual, _step(World.kill, regions)), min_size=5, max_size=40)


def live(all_regions: Sequence[Region], taken: Sequence[Step], exchange: Exchange) -> None:
    """Take the steps, exchange everything, and check each region."""
    note(str([(step.__name__, *arguments) for step, *arguments in taken]))
    world = World(all_regions)
    for does, *arguments in taken:
        does(world, *arguments)
    world.converge(exchange)
    for number, _ in enumerate(all_regions):
        world.check(number)
