"""Tests that keys are recognised after a merge has appended many commands behind them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pytest

from tests.support.regions import Region, every_pair, hand_over, meet, regions
from tests.support.site import CouchDBServer
from zerglings.domain.pose import Pose
from zerglings.domain.zergling import WORDS_REMEMBERED, CommandRequest, Zergling
from zerglings.hive.hive import Hive

APART = 1500
"""Words that one region adds while apart, in a few requests; more than are remembered."""


@pytest.fixture
def two(couchdb: CouchDBServer) -> Iterator[Sequence[Region]]:
    with regions(couchdb, 2) as found:
        yield found


def keyed(hive: Hive, zergling: Zergling, key: str, words: str = "R") -> Zergling:
    return hive.command(zergling.id, CommandRequest.command(words, key))


@pytest.fixture
def spawn(two: Sequence[Region]) -> Zergling:
    """A zergling that one region moved often and the other far, until they met."""
    often, far = two
    zergling = Hive(often.store).spawn(Pose())
    hand_over(every_pair(two))
    for number in range(20):  # more revisions, so that this history comes first
        keyed(Hive(often.store), zergling, f"often {number}")
    for number in range(APART // 500):
        keyed(Hive(far.store), zergling, f"far {number}", "M" * 500)
    meet(two, zergling.id)
    return zergling


@pytest.mark.parametrize("key", ["often 19", "far 2"])
def test_a_repeated_key_counts_once_however_much_was_appended(
    two: Sequence[Region], spawn: Zergling, key: str
) -> None:
    words = "R" if key.startswith("often") else "M" * 500
    for region in two:
        assert keyed(Hive(region.store), spawn, key, words).command_count == 20 + APART


def test_the_merge_is_forgotten_once_enough_commands_follow(
    two: Sequence[Region], spawn: Zergling
) -> None:
    region, _ = two
    hive = Hive(region.store)
    assert hive.get(spawn.id).merged is not None
    for number in range(2):
        keyed(hive, spawn, f"later {number}", "M" * (WORDS_REMEMBERED // 2))
    assert Hive(region.store).get(spawn.id).merged is None


def test_a_second_merge_keeps_what_the_first_appended(
    two: Sequence[Region], spawn: Zergling
) -> None:
    often, far = two
    for number in range(20):
        keyed(Hive(often.store), spawn, f"again {number}")
    keyed(Hive(far.store), spawn, "once more", "M")
    meet(two, spawn.id)
    count = Hive(often.store).get(spawn.id).command_count
    assert keyed(Hive(far.store), spawn, "often 19").command_count == count
