"""Tests that an incomplete list of documents never decides about a zergling's history."""

from __future__ import annotations

import pytest

from tests.support.documents import read
from tests.support.faulty_store import FaultyStore
from tests.support.original import Original
from zerglings.domain.pose import Pose
from zerglings.domain.zergling import CommandRequest
from zerglings.hive.healing import Healer
from zerglings.hive.hive import Hive
from zerglings.storage.base import CopiesBehind, Store

TAIL = 4


@pytest.fixture
def overwritten(store: Store) -> str:
    """A zergling with chunks whose document the original has rewritten since."""
    hive = Hive(store, tail=TAIL)
    zergling = hive.spawn(Pose())
    for _ in range(30):
        hive.command(zergling.id, CommandRequest.command("MR"))
    assert store.history.page(None, 10, timeout=5.0).documents
    Original(store).command(zergling.id, "M")
    assert "base" not in read(store, zergling.id)
    return zergling.id


def words(hive: Hive, zergling_id: str) -> list[str]:
    return [word for part in hive.history(zergling_id).parts for word in part]


def test_history_missing_from_an_incomplete_list_is_not_taken_for_absent(
    overwritten: str, faulty: FaultyStore, store: Store
) -> None:
    before = read(store, overwritten)
    hive = Hive(faulty, tail=TAIL)
    faulty.history.lacks = lambda: 12
    with pytest.raises(CopiesBehind):
        hive.get(overwritten)
    with pytest.raises(CopiesBehind):
        hive.command(overwritten, CommandRequest.command("L"))
    assert read(store, overwritten) == before
    faulty.history.lacks = lambda: 0
    hive.command(overwritten, CommandRequest.command("L"))
    assert words(hive, overwritten) == ["M", "R"] * 30 + ["M", "L"]


def test_a_list_made_while_a_copy_was_incomplete_is_read_again(
    overwritten: str, faulty: FaultyStore
) -> None:
    lacks = iter([12])
    faulty.history.lacks = lambda: next(lacks, 0)
    assert words(Hive(faulty, tail=TAIL), overwritten) == ["M", "R"] * 30 + ["M"]


def test_chunks_missing_from_an_incomplete_list_are_not_removed(
    overwritten: str, faulty: FaultyStore, store: Store
) -> None:
    chunks = store.history.page(None, 1000, timeout=5.0).documents

    def whole_at_first() -> None:
        """The scan finds the chunks, then a copy is empty."""
        faulty.history.lacks = lambda: 12

    healer = Healer(faulty, TAIL, pause=lambda _: None)
    faulty.before_get = lambda _: whole_at_first()
    assert healer.remove_unreachable() == 0
    assert store.history.page(None, 1000, timeout=5.0).documents == chunks
    assert healer.failures
