"""Tests for one flush of many mutations: order, revisions, conditions and separate errors."""

from __future__ import annotations

import time
import uuid

import pytest

from tests.support.documents import read, write
from tests.support.faulty_store import raising
from tests.zerglings.hive.batches import Harness, command, error_of, if_revision
from zerglings.domain.pose import Pose
from zerglings.domain.zergling import COORDINATE_LIMIT, CommandRequest, OutOfBounds, Zergling
from zerglings.hive.mutations import (
    CommandMutation,
    KeyReused,
    NoSuchZergling,
    PreconditionFailed,
    SpawnMutation,
)
from zerglings.hive.pending import pause_before_next_attempt, timeout_for
from zerglings.repository.retry_budget import GRACE, STORE_CALL_TIMEOUT
from zerglings.storage.base import Conflict, OutcomeUnknown, StoreError, StoreUnavailable


def test_mutations_of_one_zergling_share_one_write_in_arrival_order(harness: Harness) -> None:
    zergling = harness.spawn()
    harness.store.puts.clear()
    mutations = [command(zergling, letter) for letter in "MLRRM"]
    harness.flush(mutations)
    assert [len(documents) for documents in harness.store.puts] == [1]
    assert ["".join(change.outcome().history) for change in mutations] == [
        "M",
        "ML",
        "MLR",
        "MLRR",
        "MLRRM",
    ]
    assert harness.stored(zergling) == mutations[-1].outcome()


def test_only_the_last_mutation_returns_the_written_revision(harness: Harness) -> None:
    zergling = harness.spawn()
    mutations = [command(zergling, letter) for letter in "MLR"]
    harness.flush(mutations)
    revisions = [change.outcome().revision for change in mutations]
    assert revisions[:2] == [zergling.revision] * 2
    assert revisions[2] == harness.stored(zergling).revision != zergling.revision
    late = command(zergling, "M", if_revision(revisions[0]))
    harness.flush([late])
    assert error_of(late) is PreconditionFailed


def test_only_the_first_of_several_mutations_passes_the_same_precondition(harness: Harness) -> None:
    zergling, other = harness.spawn(), harness.spawn()
    mutations = [command(zergling, "M", if_revision(zergling.revision)) for _ in range(3)]
    free = [command(zergling, "L"), command(other, "R", if_revision(other.revision))]
    harness.flush([*mutations, *free])
    assert mutations[0].outcome().history == ("M",)
    assert [error_of(change) for change in mutations[1:]] == [PreconditionFailed] * 2
    assert free[0].outcome().history == ("M", "L")
    assert free[1].outcome().history == ("R",)


def test_a_failed_precondition_fails_only_its_own_mutation(harness: Harness) -> None:
    zergling = harness.spawn()
    mutations = [
        command(zergling, "M", if_revision("0-x")),
        command(zergling, "L", if_revision(zergling.revision)),
    ]
    harness.flush(mutations)
    assert error_of(mutations[0]) is PreconditionFailed
    assert mutations[1].outcome().history == ("L",)


def test_each_mutation_gets_its_own_error_and_the_rest_succeed(harness: Harness) -> None:
    zergling, edge = harness.spawn(), harness.spawn(Pose(COORDINATE_LIMIT, 0, "E"))
    nobody = Zergling.spawned(str(uuid.uuid4()), Pose())
    keyed = [command(zergling, "M", key="k"), command(zergling, "L", key="k")]
    over, lost = command(edge, "M"), command(nobody, "M")
    death = CommandMutation(edge.id, CommandRequest.death(7), None)
    after = command(edge, "L")
    fine = command(zergling, "R")
    harness.flush([*keyed, over, lost, death, after, fine])
    assert keyed[0].outcome().history == ("M",)
    assert error_of(keyed[1]) is KeyReused
    assert (error_of(over), error_of(lost), error_of(after)) == (
        OutOfBounds,
        NoSuchZergling,
        NoSuchZergling,
    )
    assert death.outcome().is_dead
    assert fine.outcome().history == ("M", "R")


def test_a_key_repeated_within_a_batch_is_applied_once(harness: Harness) -> None:
    zergling = harness.spawn()
    mutations = [command(zergling, "M", key="k") for _ in range(2)]
    harness.flush(mutations)
    assert mutations[0].outcome() == mutations[1].outcome() == harness.stored(zergling)
    assert harness.stored(zergling).history == ("M",)


def test_a_spawn_repeated_within_a_batch_spawns_once(harness: Harness) -> None:
    newborn = Zergling.spawned(str(uuid.uuid4()), Pose())
    spawns = [SpawnMutation(newborn, is_keyed=True) for _ in range(2)]
    harness.flush(spawns)
    assert spawns[0].outcome() == spawns[1].outcome() == harness.stored(newborn)


def test_spawns_and_commands_share_one_write(harness: Harness) -> None:
    zergling = harness.spawn()
    harness.store.puts.clear()
    spawns = [
        SpawnMutation(Zergling.spawned(str(uuid.uuid4()), Pose()), is_keyed=False) for _ in "ab"
    ]
    harness.flush([*spawns, command(zergling, "M")])
    assert [len(documents) for documents in harness.store.puts] == [3]


def test_mutations_that_lost_a_race_stay_pending_and_the_rest_are_answered(
    harness: Harness,
) -> None:
    raced, other = harness.spawn(), harness.spawn()
    harness.store.before_put = lambda document: (
        raising(Conflict("raced"))() if document["_id"] == raced.id else None
    )
    mutations = [command(raced, "M"), command(other, "M"), command(raced, "L")]
    harness.flush(mutations)
    assert [change.is_answered for change in mutations] == [False, True, False]
    harness.store.before_put = lambda document: None
    harness.flush([mutations[0], mutations[2]])
    assert mutations[2].outcome().history == ("M", "L")


@pytest.mark.parametrize("error", [OutcomeUnknown("lost"), StoreUnavailable("away")])
def test_no_mutation_is_answered_before_the_store_confirms_the_write(
    harness: Harness, error: StoreError
) -> None:
    """This includes an error that follows from an earlier mutation that may not be stored."""
    zergling = harness.spawn()
    mutations = [command(zergling, "M", if_revision(zergling.revision)) for _ in range(2)]
    harness.store.before_put = raising(error)
    harness.flush(mutations)
    assert [change.is_answered for change in mutations] == [False, False]
    harness.flush(mutations)
    assert mutations[0].outcome().history == ("M",)
    assert error_of(mutations[1]) is PreconditionFailed


def test_a_stored_write_with_a_lost_response_is_not_repeated(harness: Harness) -> None:
    zergling = harness.spawn()
    mutations = [command(zergling, letter) for letter in "ML"]
    harness.store.after_put = raising(OutcomeUnknown("lost"))
    harness.flush(mutations)
    assert [change.is_answered for change in mutations] == [False, False]
    harness.flush(mutations)
    assert harness.stored(zergling).history == ("M", "L")
    assert mutations[0].outcome() == mutations[1].outcome() == harness.stored(zergling)


def test_a_command_sent_twice_and_refused_the_second_time_counts_once(
    harness: Harness,
) -> None:
    """A proxy may send a write twice and return the second response."""
    zergling = harness.spawn()
    ours = command(zergling, "M", if_revision(zergling.revision))
    harness.store.after_put = raising(Conflict("it is there already"))
    harness.flush([ours])
    harness.flush([ours])
    assert ours.outcome().history == ("M",)
    assert harness.stored(zergling).history == ("M",)


def test_a_spawn_sent_twice_and_refused_the_second_time_succeeds(harness: Harness) -> None:
    birth = SpawnMutation(Zergling.spawned(str(uuid.uuid4()), Pose()), is_keyed=False)
    harness.store.after_put = raising(Conflict("it is there already"))
    harness.flush([birth])
    harness.flush([birth])
    assert birth.outcome().revision is not None


def test_a_write_with_unknown_outcome_is_never_reported_as_refused(harness: Harness) -> None:
    """It may still arrive, or be stored on a node that is unreachable for now."""
    zergling = harness.spawn()
    ours, other = command(zergling, "M", if_revision(zergling.revision)), command(zergling, "L")
    harness.store.before_put = raising(OutcomeUnknown("lost"))
    harness.flush([ours])
    harness.flush([other])
    assert other.is_answered
    harness.flush([ours])
    assert error_of(ours) is OutcomeUnknown


def test_a_command_stored_without_its_abandoned_predecessor_is_not_repeated(
    harness: Harness,
) -> None:
    """The first attempt followed another caller's commands; the stored one did not."""
    zergling = harness.spawn()
    long, ours = command(zergling, "LR" * 3), command(zergling, "M")
    harness.store.before_put = raising(Conflict("others were faster"))
    harness.flush([long, ours])
    assert not long.is_answered
    harness.store.after_put = raising(OutcomeUnknown("the answer was lost"))
    harness.flush([ours])
    assert not ours.is_answered
    harness.flush([ours])
    assert ours.outcome().history == ("M",)
    assert harness.stored(zergling).history == ("M",)


def test_only_stored_commands_are_moved_into_chunks(harness: Harness) -> None:
    """Otherwise an attempt that lost a race would leave chunks of commands never stored."""
    zergling = harness.spawn()
    harness.flush([command(zergling, "M" * 150)])
    batch = [command(zergling, "L" * 300), command(zergling, "R" * 300)]
    harness.store.before_put = raising(Conflict("others were faster"))
    harness.flush(batch)
    chunks = harness.store.history.page(None, 100, timeout=STORE_CALL_TIMEOUT).documents
    assert [set(chunk["commands"]) for chunk in chunks] == [{"M"}]
    harness.flush(batch)
    assert harness.stored(zergling).command_count == 750


def test_an_unreadable_history_fails_only_its_own_mutations(
    harness: Harness, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken, fine = harness.spawn(), harness.spawn()
    document = read(harness.store, broken.id)
    document["base"] |= {"chunk": f"{broken.id}:0000000000000000:0000000000000000", "count": 9}
    write(harness.store, document)
    keyed, other = command(broken, "M", key="k"), command(fine, "M")
    for _ in range(10):
        if not keyed.is_answered:
            harness.flush([keyed] if other.is_answered else [keyed, other])
    assert other.outcome().history == ("M",)
    assert issubclass(error_of(keyed), StoreUnavailable)


def test_a_command_waits_for_the_revision_of_a_spawn_in_the_same_batch(harness: Harness) -> None:
    newborn = Zergling.spawned(str(uuid.uuid4()), Pose())
    birth, move = SpawnMutation(newborn, is_keyed=True), command(newborn, "M")
    harness.flush([birth, move])
    assert birth.outcome().revision is not None
    assert not move.is_answered
    harness.flush([move])
    assert move.outcome() == harness.stored(newborn)


def test_a_call_near_its_deadline_does_not_shorten_the_timeout_of_a_batch(harness: Harness) -> None:
    hasty, patient = command(harness.spawn(), "M"), command(harness.spawn(), "M")
    hasty.budget._end = time.monotonic() + 0.1
    assert timeout_for([hasty, patient]) == STORE_CALL_TIMEOUT


def test_a_leader_near_its_deadline_shortens_the_timeout_of_a_batch(harness: Harness) -> None:
    hasty, patient = command(harness.spawn(), "M"), command(harness.spawn(), "M")
    hasty.budget._end = time.monotonic() + 0.1
    hasty.is_leader = True
    assert GRACE < timeout_for([hasty, patient]) <= GRACE + 0.1


def test_a_retry_pauses_only_without_new_calls_in_the_batch(
    monkeypatch: pytest.MonkeyPatch, harness: Harness
) -> None:
    pauses: list[float] = []
    monkeypatch.setattr("zerglings.hive.pending.time.sleep", pauses.append)
    again, new = command(harness.spawn(), "M"), command(harness.spawn(), "M")
    for _ in range(5):
        again.attempt_failed(Conflict("raced"))
    pause_before_next_attempt([again, new])
    assert pauses == []
    pause_before_next_attempt([again])
    assert len(pauses) == 1


def test_slow_history_reads_do_not_delay_the_batch(harness: Harness) -> None:
    swarm = [harness.spawn() for _ in range(5)]
    for zergling in swarm[1:]:
        change = command(zergling, "R" * 150)
        harness.flush([change])
        harness.flush([command(zergling, "R" * 101)])
    harness.store.history.before_page = lambda: time.sleep(0.6)
    changes = [command(swarm[0], "M"), *(command(z, "M", key="k") for z in swarm[1:])]
    began = time.monotonic()
    harness.flush(changes)
    assert time.monotonic() - began < STORE_CALL_TIMEOUT
    assert changes[0].outcome().history == ("M",)
