"""Tests for writes that use the revision cache in place of a read."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.support.documents import leaves, read, write
from tests.zerglings.hive.batches import Harness, command, error_of, if_revision
from zerglings.domain.zergling import CommandRequest, Zergling
from zerglings.hive.mutations import CommandMutation, KeyReused, NoSuchZergling, PreconditionFailed
from zerglings.hive.revision_cache import READ_EVERY


def warm(harness: Harness, zergling: Zergling, times: int = 60) -> None:
    """Move a zergling until the process writes it from its cache."""
    for _ in range(times):
        change = command(zergling, "R")
        harness.flush([change])
        change.outcome()


def test_an_uncontended_zergling_is_moved_without_reading_it(harness: Harness) -> None:
    zergling = harness.spawn()
    warm(harness, zergling)
    harness.store.gets.clear()
    warm(harness, zergling, 2 * READ_EVERY)
    assert len(harness.store.gets) == 2, "some writes read first, to detect conflicts"
    assert harness.stored(zergling).command_count == 60 + 2 * READ_EVERY


def test_a_stale_cache_entry_costs_one_attempt(harness: Harness) -> None:
    zergling = harness.spawn()
    warm(harness, zergling)
    write(harness.store, read(harness.store, zergling.id))
    change = command(zergling, "M")
    attempts = 0
    while not change.is_answered:
        harness.flush([change])
        attempts += 1
    assert attempts <= 2
    assert harness.stored(zergling).history[-1] == "M"


Refusal = tuple[Callable[[Zergling], CommandMutation], type[BaseException]]


@pytest.mark.parametrize(
    ("refused", "error"),
    [
        (lambda z: command(z, "M", if_revision("0-x")), PreconditionFailed),
        (lambda z: command(z, "L", key="known"), KeyReused),
    ],
)
def test_preconditions_and_keys_are_not_refused_from_the_cache(
    harness: Harness, refused: Callable[[Zergling], CommandMutation], error: type[BaseException]
) -> None:
    zergling = harness.spawn()
    harness.flush([command(zergling, "M", key="known")])
    warm(harness, zergling)
    harness.store.gets.clear()
    change = refused(zergling)
    harness.flush([change])
    assert error_of(change) is error
    assert harness.store.gets == [({zergling.id}, False)]


def test_a_command_after_a_cached_death_is_not_found(harness: Harness) -> None:
    zergling = harness.spawn()
    warm(harness, zergling)
    death = CommandMutation(zergling.id, CommandRequest.death(7), None)
    harness.flush([death])
    assert death.outcome().is_dead
    late = command(zergling, "M")
    harness.flush([late])
    assert error_of(late) is NoSuchZergling
    assert leaves(harness.store, zergling.id)
