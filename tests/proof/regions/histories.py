"""Commands zerglings in several regions, and checks that all end with each command once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from tests.support.documents import SOON
from tests.support.regions import ROUNDS, Region, replicate
from zerglings.domain.pose import replay
from zerglings.domain.zergling import CommandRequest, Zergling
from zerglings.hive.hive import Hive
from zerglings.repository.archive import Archive

TAIL = 10
"""Commands that a document keeps, few so that chunks are made soon."""


def hive_of(region: Region) -> Hive:
    return Hive(region.store, tail=TAIL)


def move(region: Region, zergling: Zergling, name: str, count: int) -> list[str]:
    """Give a zergling some commands, one write each; return the ids of the requests."""
    hive, ids = hive_of(region), [f"{name}{number}" for number in range(count)]
    for number, id_ in enumerate(ids):
        hive.command(zergling.id, CommandRequest(id_, (("M", "R", "M")[number % 3],)))
    return ids


def ids_in(region: Region, zergling: Zergling) -> list[str]:
    """Return the ids of all requests; check that they lead to the state."""
    hive = hive_of(region)
    found = hive.get(zergling.id)
    words = [word for part in hive.history(zergling.id).parts for word in part]
    assert replay(found.spawn, words) == found.pose
    return list(filter(None, Archive(hive._store.history).ids_since(found, 0, timeout=SOON)))


def converge(
    all_regions: Sequence[Region],
    links: Sequence[tuple[Region, Region]],
    swarm: Sequence[Zergling],
) -> None:
    """Replicate over the links until all regions are equal and have no conflicts."""
    for _ in range(ROUNDS):
        replicate(links)
        for region in all_regions:
            for zergling in swarm:
                hive_of(region)._reader.read([zergling.id], timeout=SOON)
        contents = [region.contents() for region in all_regions]
        if all(each == contents[0] for each in contents) and "_conflicts" not in str(contents):
            return
    raise AssertionError("the regions still differ")


def assert_once(region: Region, zergling: Zergling, given: Sequence[str]) -> None:
    assert Counter(ids_in(region, zergling)) == Counter(given)


def is_apache(region: Region) -> bool:
    return bool(region.ask("GET").get("couchdb") == "Welcome")
