"""Tests that a region which is added later, or restored, becomes equal; nothing old comes back."""

from __future__ import annotations

import time
from collections.abc import Sequence

import pytest

from tests.proof.regions.histories import (
    TAIL,
    assert_once,
    converge,
    hive_of,
    is_apache,
    move,
)
from tests.support.regions import Region, every_pair, replicate
from tests.zerglings.transfer.transfers import exported, imported
from zerglings.domain.pose import Pose
from zerglings.domain.zergling import CommandRequest, Zergling
from zerglings.hive.healing import Healer
from zerglings.hive.mutations import NoSuchZergling
from zerglings.storage.regions.exchange import Part
from zerglings.transfer.tally import CHUNK

LONG_AGO, GRACE = 1000.0, 500.0
"""Seconds since a death, and for which heal keeps the dead."""


def die_long_ago(region: Region, zergling: Zergling) -> None:
    hive_of(region).command(zergling.id, CommandRequest.death(time.time() - LONG_AGO))


def heal(region: Region, peers: Sequence[Region]) -> None:
    """Do what ``manage.py heal`` does."""

    def exchange(_part: Part) -> None:
        replicate(every_pair([region, *peers]))

    healer = Healer(region.store, TAIL, pause=lambda _: None, exchange=exchange)
    healer.merge()
    healer.remove_dead(time.time() - GRACE)
    healer.remove_unreachable()
    if is_apache(region):
        healer.purge()
    assert healer.failures == []


def chunks(region: Region, zergling: Zergling) -> set[str]:
    documents = region.store.history.page(None, 1000, timeout=5).documents
    return {document["_id"] for document in documents if document["_id"].startswith(zergling.id)}


def test_an_empty_region_that_is_added_later_becomes_equal(three: list[Region]) -> None:
    first, second, _ = three
    spawn = hive_of(first).spawn(Pose())
    lately, long_ago = (hive_of(first).spawn(Pose(), key) for key in ("lately", "long ago"))
    move(first, long_ago, "x", 3 * TAIL)
    second.pull_all(first)
    given = move(first, spawn, "a", 3 * TAIL) + move(second, spawn, "b", 4 * TAIL)
    hive_of(first).kill(lately.id)
    die_long_ago(first, long_ago)
    converge([first, second], every_pair([first, second]), [spawn, lately, long_ago])
    heal(first, [second])
    heal(second, [first])
    assert chunks(first, long_ago) == set()
    given += move(first, spawn, "c", 2)
    converge(three, every_pair(three), [spawn, lately, long_ago])
    for region in three:
        assert_once(region, spawn, given)
        assert [seen.id for seen in hive_of(region).list().zerglings] == [spawn.id]
        for dead, key in ((lately, "lately"), (long_ago, "long ago")):
            with pytest.raises(NoSuchZergling):
                hive_of(region).get(dead.id)
            with pytest.raises(NoSuchZergling):
                hive_of(region).spawn(Pose(), key)
        assert chunks(region, long_ago) == set()


def test_a_region_restored_from_an_old_export_becomes_equal(three: list[Region]) -> None:
    first, second, restored = three
    spawn, dying = (hive_of(first).spawn(Pose()) for _ in range(2))
    given = move(first, spawn, "old", 3 * TAIL)
    second.pull_all(first)
    backup = exported(second.store)
    given += move(first, spawn, "a", TAIL) + move(second, spawn, "b", TAIL)
    hive_of(first).kill(dying.id)
    converge([first, second], every_pair([first, second]), [spawn, dying])
    imported(restored.store, backup)
    given += move(restored, spawn, "c", TAIL)
    converge(three, every_pair(three), [spawn, dying])
    for region in three:
        assert_once(region, spawn, given)
        with pytest.raises(NoSuchZergling):
            hive_of(region).get(dying.id)


def test_a_region_restored_from_an_export_with_the_dead_that_heal_has_removed_becomes_equal(
    three: list[Region],
) -> None:
    first, second, restored = three
    spawn, dead = (hive_of(first).spawn(Pose()) for _ in range(2))
    given = move(first, spawn, "old", 3 * TAIL)
    move(first, dead, "x", 3 * TAIL)
    die_long_ago(first, dead)
    second.pull_all(first)
    backup = exported(second.store)
    heal(first, [second])
    heal(second, [first])
    assert chunks(second, dead) == set()
    given += move(first, spawn, "a", TAIL) + move(second, spawn, "b", TAIL)
    imported(restored.store, backup)
    given += move(restored, spawn, "c", TAIL)
    converge(three, every_pair(three), [spawn, dead])
    for region in three:
        assert_once(region, spawn, given)
        with pytest.raises(NoSuchZergling):
            hive_of(region).get(dead.id)
        assert [seen.id for seen in hive_of(region).list().zerglings] == [spawn.id]
    heal(restored, [first, second])
    converge(three, every_pair(three), [spawn, dead])
    for region in three:
        assert dead.id not in str(region.contents())


def test_a_part_of_a_history_that_heal_has_removed_since_the_export_is_restored(
    three: list[Region],
) -> None:
    """The export was made before the regions met; merging made the part unnecessary.

    The deletion of the part reaches the restored region, which still needs it.
    """
    first, second, restored = three
    spawn = hive_of(first).spawn(Pose())
    second.pull_all(first)
    given = move(first, spawn, "a", 5 * TAIL) + move(second, spawn, "b", 3 * TAIL)
    backup = exported(second.store)
    parts = chunks(second, spawn)
    converge([first, second], every_pair([first, second]), [spawn])
    heal(first, [second])
    heal(second, [first])
    assert not parts <= chunks(second, spawn), "one was removed"
    imported(restored.store, backup)
    given += move(restored, spawn, "c", 3)
    replicate(every_pair(three))
    assert not parts <= chunks(restored, spawn)
    imported(restored.store, backup, [CHUNK])
    converge(three, every_pair(three), [spawn])
    for region in three:
        assert_once(region, spawn, given)
