"""Tests for documents and chunks that are too large for the store."""

from __future__ import annotations

import orjson
import pytest

from tests.support.documents import read
from tests.support.limits import refusing_over
from tests.zerglings.hive.batches import Harness, command, error_of
from zerglings.domain.zergling import CommandRequest, Zergling
from zerglings.hive.mutations import CommandMutation, NoSuchZergling
from zerglings.repository.archive import Archive
from zerglings.storage.base import TooLarge


def lived(harness: Harness, words: int) -> Zergling:
    """Return a zergling with so many commands, each in its own request."""
    zergling = harness.spawn()
    mutations = [command(zergling, "M" if number % 3 else "L") for number in range(words)]
    harness.flush(mutations)
    return mutations[-1].outcome()


def size_of(harness: Harness, zergling: Zergling) -> int:
    return len(orjson.dumps(read(harness.store, zergling.id)))


def shown_words(harness: Harness, zergling: Zergling) -> int:
    stored = harness.stored(zergling)
    archive = Archive(harness.store.history)
    older = sum(len(chunk.words) for chunk in archive.newest_first(stored, timeout=5.0))
    return older + len(stored.history)


def limit_to(harness: Harness, size: int) -> None:
    harness.store.before_put = harness.store.history.before_put = refusing_over(size)


def test_a_too_large_document_is_refused_and_the_others_are_written(harness: Harness) -> None:
    large, small = lived(harness, 90), harness.spawn()
    limit_to(harness, size_of(harness, large))
    refused, served = command(large, "M"), command(small, "M")
    while not (refused.is_answered and served.is_answered):
        harness.flush([refused, served])
    assert error_of(refused) is TooLarge
    assert served.outcome().history == ("M",)
    assert harness.stored(large) == large


def test_a_too_large_document_is_shortened_to_the_history_tail(harness: Harness) -> None:
    large = lived(harness, 199)
    limit_to(harness, size_of(harness, large))
    change = command(large, "M")
    while not change.is_answered:
        harness.flush([change])
    assert change.outcome().command_count == 200
    assert 100 <= len(harness.stored(large).history) < 120
    assert shown_words(harness, large) == 200


def test_commands_that_fit_are_stored_beside_one_that_does_not(harness: Harness) -> None:
    zergling = lived(harness, 20)
    limit_to(harness, size_of(harness, zergling) + 300)
    changes = [command(zergling, "M"), command(zergling, "M" * 900), command(zergling, "R")]
    while not all(change.is_answered for change in changes):
        harness.flush(changes)
    assert error_of(changes[1]) is TooLarge
    assert changes[2].outcome().command_count == 22


def test_a_repeated_key_is_known_beside_a_too_large_command(harness: Harness) -> None:
    zergling = harness.spawn()
    harness.flush([command(zergling, "M", key="k")])
    limit_to(harness, size_of(harness, zergling) + 300)
    repeated, refused = command(zergling, "M", key="k"), command(zergling, "M" * 900)
    while not (repeated.is_answered and refused.is_answered):
        harness.flush([repeated, refused])
    assert repeated.outcome().history == ("M",)
    assert error_of(refused) is TooLarge


@pytest.mark.parametrize("is_one_request", [True, False])
def test_a_too_large_zergling_can_always_be_deleted(harness: Harness, is_one_request: bool) -> None:
    if is_one_request:
        large = harness.spawn()
        harness.flush([command(large, "ML" * 450)])
    else:
        large = lived(harness, 190)
    limit_to(harness, 1500)
    death = CommandMutation(large.id, CommandRequest.death(7), None)
    while not death.is_answered:
        harness.flush([death])
    assert death.outcome().is_dead
    assert harness.stored(large).is_dead
    late = command(large, "M")
    harness.flush([late])
    assert error_of(late) is NoSuchZergling


def test_a_too_large_chunk_does_not_stop_other_histories_from_being_shortened(
    harness: Harness,
) -> None:
    wordy, usual = harness.spawn(), lived(harness, 200)
    harness.flush([command(wordy, "M" * 600)])
    harness.store.history.before_put = refusing_over(3000)
    harness.flush([*(command(wordy, "L") for _ in range(110)), command(usual, "M")])
    assert len(harness.stored(wordy).history) == 710
    assert len(harness.stored(usual).history) < 200
    assert shown_words(harness, usual) == 201
