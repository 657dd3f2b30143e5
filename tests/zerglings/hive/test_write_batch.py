"""Tests for one flush of many mutations: order, revisions, conditions and separate errors."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass

import orjson
import pytest

from tests.support.documents import leaves, read, write
from tests.support.faulty_store import FaultyStore, raising
from tests.support.limits import refusing_over
from zerglings.domain.document import decode
from zerglings.domain.zergling import COORDINATE_LIMIT, CommandRequest, OutOfBounds, Pose, Zergling
from zerglings.hive.mutations import (
    CommandMutation,
    KeyReused,
    NoSuchZergling,
    Precondition,
    PreconditionFailed,
    SpawnMutation,
)
from zerglings.hive.pending import pause_before_next_attempt, timeout_for
from zerglings.hive.revision_cache import READ_EVERY
from zerglings.hive.write_batch import WriteBatch
from zerglings.repository.archive import Archive
from zerglings.repository.reading import Reader
from zerglings.repository.retry_budget import CALL_TIMEOUT, GRACE
from zerglings.storage.base import (
    Conflict,
    OutcomeUnknown,
    Store,
    StoreError,
    StoreUnavailable,
    TooLarge,
)


@dataclass
class Bench:
    """A flush over a store that can fail."""

    store: FaultyStore
    flush: WriteBatch

    def spawn(self, pose: Pose | None = None) -> Zergling:
        newborn = Zergling.spawned(str(uuid.uuid4()), pose or Pose())
        change = SpawnMutation(newborn, is_keyed=False)
        self.flush([change])
        return change.outcome()

    def stored(self, zergling: Zergling) -> Zergling:
        return decode(read(self.store, zergling.id))


@pytest.fixture
def bench(store: Store) -> Bench:
    faulty = FaultyStore(store)
    archive = Archive(faulty.history)
    return Bench(faulty, WriteBatch(faulty, Reader(faulty, archive), archive))


def order(
    zergling: Zergling, commands: str, condition: Precondition | None = None, key: str | None = None
) -> CommandMutation:
    return CommandMutation(zergling.id, CommandRequest.command(commands, key), condition)


def at(revision: str | None) -> Precondition:
    return lambda zergling: zergling.revision == revision


def error_of(change: CommandMutation | SpawnMutation) -> type[BaseException]:
    assert change.is_answered
    with pytest.raises(BaseException) as caught:  # noqa: PT011 - whatever it is, it is returned
        change.outcome()
    return caught.type


def test_mutations_of_one_zergling_share_one_write_in_arrival_order(bench: Bench) -> None:
    zergling = bench.spawn()
    bench.store.puts.clear()
    orders = [order(zergling, letter) for letter in "MLRRM"]
    bench.flush(orders)
    assert [len(documents) for documents in bench.store.puts] == [1]
    assert ["".join(change.outcome().history) for change in orders] == [
        "M",
        "ML",
        "MLR",
        "MLRR",
        "MLRRM",
    ]
    assert bench.stored(zergling) == orders[-1].outcome()


def test_only_the_last_mutation_returns_the_written_revision(bench: Bench) -> None:
    zergling = bench.spawn()
    orders = [order(zergling, letter) for letter in "MLR"]
    bench.flush(orders)
    revisions = [change.outcome().revision for change in orders]
    assert revisions[:2] == [zergling.revision] * 2
    assert revisions[2] == bench.stored(zergling).revision != zergling.revision
    late = order(zergling, "M", at(revisions[0]))
    bench.flush([late])
    assert error_of(late) is PreconditionFailed


def test_only_the_first_of_several_mutations_passes_the_same_precondition(bench: Bench) -> None:
    zergling, other = bench.spawn(), bench.spawn()
    orders = [order(zergling, "M", at(zergling.revision)) for _ in range(3)]
    free = [order(zergling, "L"), order(other, "R", at(other.revision))]
    bench.flush([*orders, *free])
    assert orders[0].outcome().history == ("M",)
    assert [error_of(change) for change in orders[1:]] == [PreconditionFailed] * 2
    assert free[0].outcome().history == ("M", "L")
    assert free[1].outcome().history == ("R",)


def test_a_failed_precondition_fails_only_its_own_mutation(bench: Bench) -> None:
    zergling = bench.spawn()
    orders = [order(zergling, "M", at("0-x")), order(zergling, "L", at(zergling.revision))]
    bench.flush(orders)
    assert error_of(orders[0]) is PreconditionFailed
    assert orders[1].outcome().history == ("L",)


def test_each_mutation_gets_its_own_error_and_the_rest_succeed(bench: Bench) -> None:
    zergling, edge = bench.spawn(), bench.spawn(Pose(COORDINATE_LIMIT, 0, "E"))
    nobody = Zergling.spawned(str(uuid.uuid4()), Pose())
    keyed = [order(zergling, "M", key="k"), order(zergling, "L", key="k")]
    over, lost = order(edge, "M"), order(nobody, "M")
    death = CommandMutation(edge.id, CommandRequest.death(7), None)
    after = order(edge, "L")
    fine = order(zergling, "R")
    bench.flush([*keyed, over, lost, death, after, fine])
    assert keyed[0].outcome().history == ("M",)
    assert error_of(keyed[1]) is KeyReused
    assert (error_of(over), error_of(lost), error_of(after)) == (
        OutOfBounds,
        NoSuchZergling,
        NoSuchZergling,
    )
    assert death.outcome().is_dead
    assert fine.outcome().history == ("M", "R")


def test_a_key_repeated_within_a_batch_is_applied_once(bench: Bench) -> None:
    zergling = bench.spawn()
    orders = [order(zergling, "M", key="k") for _ in range(2)]
    bench.flush(orders)
    assert orders[0].outcome() == orders[1].outcome() == bench.stored(zergling)
    assert bench.stored(zergling).history == ("M",)


def test_a_spawn_repeated_within_a_batch_spawns_once(bench: Bench) -> None:
    newborn = Zergling.spawned(str(uuid.uuid4()), Pose())
    spawns = [SpawnMutation(newborn, is_keyed=True) for _ in range(2)]
    bench.flush(spawns)
    assert spawns[0].outcome() == spawns[1].outcome() == bench.stored(newborn)


def test_spawns_and_commands_share_one_write(bench: Bench) -> None:
    zergling = bench.spawn()
    bench.store.puts.clear()
    spawns = [
        SpawnMutation(Zergling.spawned(str(uuid.uuid4()), Pose()), is_keyed=False) for _ in "ab"
    ]
    bench.flush([*spawns, order(zergling, "M")])
    assert [len(documents) for documents in bench.store.puts] == [3]


def test_mutations_that_lost_a_race_stay_pending_and_the_rest_are_answered(bench: Bench) -> None:
    raced, other = bench.spawn(), bench.spawn()
    bench.store.before_put = lambda document: (
        raising(Conflict("raced"))() if document["_id"] == raced.id else None
    )
    orders = [order(raced, "M"), order(other, "M"), order(raced, "L")]
    bench.flush(orders)
    assert [change.is_answered for change in orders] == [False, True, False]
    bench.store.before_put = lambda document: None
    bench.flush([orders[0], orders[2]])
    assert orders[2].outcome().history == ("M", "L")


@pytest.mark.parametrize("error", [OutcomeUnknown("lost"), StoreUnavailable("away")])
def test_no_mutation_is_answered_before_the_store_confirms_the_write(
    bench: Bench, error: StoreError
) -> None:
    """Not even a refusal that follows from a change which the store may not have."""
    zergling = bench.spawn()
    orders = [order(zergling, "M", at(zergling.revision)) for _ in range(2)]
    bench.store.before_put = raising(error)
    bench.flush(orders)
    assert [change.is_answered for change in orders] == [False, False]
    bench.flush(orders)
    assert orders[0].outcome().history == ("M",)
    assert error_of(orders[1]) is PreconditionFailed


def test_a_stored_write_with_a_lost_response_is_not_repeated(bench: Bench) -> None:
    zergling = bench.spawn()
    orders = [order(zergling, letter) for letter in "ML"]
    bench.store.after_put = raising(OutcomeUnknown("lost"))
    bench.flush(orders)
    assert [change.is_answered for change in orders] == [False, False]
    bench.flush(orders)
    assert bench.stored(zergling).history == ("M", "L")
    assert orders[0].outcome() == orders[1].outcome() == bench.stored(zergling)


def test_a_command_sent_twice_and_refused_the_second_time_counts_once(
    bench: Bench,
) -> None:
    """Something before the store did so, and passed on the second answer."""
    zergling = bench.spawn()
    ours = order(zergling, "M", at(zergling.revision))
    bench.store.after_put = raising(Conflict("it is there already"))
    bench.flush([ours])
    bench.flush([ours])
    assert ours.outcome().history == ("M",)
    assert bench.stored(zergling).history == ("M",)


def test_a_spawn_sent_twice_and_refused_the_second_time_succeeds(bench: Bench) -> None:
    birth = SpawnMutation(Zergling.spawned(str(uuid.uuid4()), Pose()), is_keyed=False)
    bench.store.after_put = raising(Conflict("it is there already"))
    bench.flush([birth])
    bench.flush([birth])
    assert birth.outcome().revision is not None


def test_a_write_with_unknown_outcome_is_never_reported_as_refused(bench: Bench) -> None:
    """It may still be on its way, or on a node that is away for now."""
    zergling = bench.spawn()
    ours, other = order(zergling, "M", at(zergling.revision)), order(zergling, "L")
    bench.store.before_put = raising(OutcomeUnknown("lost"))
    bench.flush([ours])
    bench.flush([other])
    assert other.is_answered
    bench.flush([ours])
    assert error_of(ours) is OutcomeUnknown


def test_a_command_stored_without_its_abandoned_predecessor_is_not_repeated(bench: Bench) -> None:
    """It was first attempted behind the words of another, and stored without them."""
    zergling = bench.spawn()
    long, ours = order(zergling, "LR" * 3), order(zergling, "M")
    bench.store.before_put = raising(Conflict("others were faster"))
    bench.flush([long, ours])
    assert not long.is_answered
    bench.store.after_put = raising(OutcomeUnknown("the answer was lost"))
    bench.flush([ours])
    assert not ours.is_answered
    bench.flush([ours])
    assert ours.outcome().history == ("M",)
    assert bench.stored(zergling).history == ("M",)


def test_only_stored_commands_are_moved_into_chunks(bench: Bench) -> None:
    """Or an attempt that lost a race would leave words behind that never were any."""
    zergling = bench.spawn()
    bench.flush([order(zergling, "M" * 150)])
    batch = [order(zergling, "L" * 300), order(zergling, "R" * 300)]
    bench.store.before_put = raising(Conflict("others were faster"))
    bench.flush(batch)
    chunks = bench.store.history.page(None, 100, timeout=CALL_TIMEOUT).documents
    assert [set(chunk["commands"]) for chunk in chunks] == [{"M"}]
    bench.flush(batch)
    assert bench.stored(zergling).command_count == 750


def test_an_unreadable_history_fails_only_its_own_mutations(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken, fine = bench.spawn(), bench.spawn()
    document = read(bench.store, broken.id)
    document["base"] |= {"chunk": f"{broken.id}:0000000000000000:0000000000000000", "count": 9}
    write(bench.store, document)
    keyed, other = order(broken, "M", key="k"), order(fine, "M")
    for _ in range(10):
        if not keyed.is_answered:
            bench.flush([keyed] if other.is_answered else [keyed, other])
    assert other.outcome().history == ("M",)
    assert issubclass(error_of(keyed), StoreUnavailable)


def test_a_command_waits_for_the_revision_of_a_spawn_in_the_same_batch(bench: Bench) -> None:
    newborn = Zergling.spawned(str(uuid.uuid4()), Pose())
    birth, move = SpawnMutation(newborn, is_keyed=True), order(newborn, "M")
    bench.flush([birth, move])
    assert birth.outcome().revision is not None
    assert not move.is_answered
    bench.flush([move])
    assert move.outcome() == bench.stored(newborn)


def test_a_call_near_its_deadline_does_not_shorten_the_timeout_of_a_batch(bench: Bench) -> None:
    hasty, patient = order(bench.spawn(), "M"), order(bench.spawn(), "M")
    hasty.budget._end = time.monotonic() + 0.1
    assert timeout_for([hasty, patient]) == CALL_TIMEOUT


def test_a_leader_near_its_deadline_shortens_the_timeout_of_a_batch(bench: Bench) -> None:
    hasty, patient = order(bench.spawn(), "M"), order(bench.spawn(), "M")
    hasty.budget._end = time.monotonic() + 0.1
    hasty.is_leader = True
    assert GRACE < timeout_for([hasty, patient]) <= GRACE + 0.1


def test_a_retry_pauses_only_without_new_calls_in_the_batch(
    monkeypatch: pytest.MonkeyPatch, bench: Bench
) -> None:
    pauses: list[float] = []
    monkeypatch.setattr("zerglings.hive.pending.time.sleep", pauses.append)
    again, new = order(bench.spawn(), "M"), order(bench.spawn(), "M")
    for _ in range(5):
        again.attempt_failed(Conflict("raced"))
    pause_before_next_attempt([again, new])
    assert pauses == []
    pause_before_next_attempt([again])
    assert len(pauses) == 1


def test_slow_history_reads_do_not_delay_the_batch(bench: Bench) -> None:
    swarm = [bench.spawn() for _ in range(5)]
    for zergling in swarm[1:]:
        change = order(zergling, "R" * 150)
        bench.flush([change])
        bench.flush([order(zergling, "R" * 101)])
    bench.store.history.before_page = lambda: time.sleep(0.6)
    changes = [order(swarm[0], "M"), *(order(z, "M", key="k") for z in swarm[1:])]
    began = time.monotonic()
    bench.flush(changes)
    assert time.monotonic() - began < CALL_TIMEOUT
    assert changes[0].outcome().history == ("M",)


# --- writes without reading first


def warm(bench: Bench, zergling: Zergling, times: int = 60) -> None:
    """Move a zergling until the process trusts what it remembers of it."""
    for _ in range(times):
        change = order(zergling, "R")
        bench.flush([change])
        change.outcome()


def test_an_uncontended_zergling_is_moved_without_reading_it(bench: Bench) -> None:
    zergling = bench.spawn()
    warm(bench, zergling)
    bench.store.gets.clear()
    warm(bench, zergling, 2 * READ_EVERY)
    assert len(bench.store.gets) == 2, "some read, or rivals would never be seen"
    assert bench.stored(zergling).command_count == 60 + 2 * READ_EVERY


def test_a_stale_cache_entry_costs_one_attempt(bench: Bench) -> None:
    zergling = bench.spawn()
    warm(bench, zergling)
    write(bench.store, read(bench.store, zergling.id))
    change = order(zergling, "M")
    attempts = 0
    while not change.is_answered:
        bench.flush([change])
        attempts += 1
    assert attempts <= 2
    assert bench.stored(zergling).history[-1] == "M"


Refusal = tuple[Callable[[Zergling], CommandMutation], type[BaseException]]


@pytest.mark.parametrize(
    ("refused", "error"),
    [
        (lambda z: order(z, "M", at("0-x")), PreconditionFailed),
        (lambda z: order(z, "L", key="known"), KeyReused),
    ],
)
def test_preconditions_and_keys_are_not_refused_from_the_cache(
    bench: Bench, refused: Callable[[Zergling], CommandMutation], error: type[BaseException]
) -> None:
    zergling = bench.spawn()
    bench.flush([order(zergling, "M", key="known")])
    warm(bench, zergling)
    bench.store.gets.clear()
    change = refused(zergling)
    bench.flush([change])
    assert error_of(change) is error
    assert bench.store.gets == [({zergling.id}, False)]


def test_a_command_after_a_cached_death_is_not_found(bench: Bench) -> None:
    zergling = bench.spawn()
    warm(bench, zergling)
    death = CommandMutation(zergling.id, CommandRequest.death(7), None)
    bench.flush([death])
    assert death.outcome().is_dead
    late = order(zergling, "M")
    bench.flush([late])
    assert error_of(late) is NoSuchZergling
    assert leaves(bench.store, zergling.id)


def lived(bench: Bench, words: int) -> Zergling:
    """Return a zergling that got so many commands, a request each."""
    zergling = bench.spawn()
    orders = [order(zergling, "M" if number % 3 else "L") for number in range(words)]
    bench.flush(orders)
    return orders[-1].outcome()


def size_of(bench: Bench, zergling: Zergling) -> int:
    return len(orjson.dumps(read(bench.store, zergling.id)))


def shown_words(bench: Bench, zergling: Zergling) -> int:
    stored = bench.stored(zergling)
    archive = Archive(bench.store.history)
    older = sum(len(chunk.words) for chunk in archive.newest_first(stored, timeout=5.0))
    return older + len(stored.history)


def limit_to(bench: Bench, size: int) -> None:
    bench.store.before_put = bench.store.history.before_put = refusing_over(size)


def test_a_too_large_document_is_refused_and_the_others_are_written(bench: Bench) -> None:
    large, small = lived(bench, 90), bench.spawn()
    limit_to(bench, size_of(bench, large))
    refused, served = order(large, "M"), order(small, "M")
    while not (refused.is_answered and served.is_answered):
        bench.flush([refused, served])
    assert error_of(refused) is TooLarge
    assert served.outcome().history == ("M",)
    assert bench.stored(large) == large


def test_a_too_large_document_is_shortened_to_the_history_tail(bench: Bench) -> None:
    large = lived(bench, 199)
    limit_to(bench, size_of(bench, large))
    change = order(large, "M")
    while not change.is_answered:
        bench.flush([change])
    assert change.outcome().command_count == 200
    assert 100 <= len(bench.stored(large).history) < 120
    assert shown_words(bench, large) == 200


def test_commands_that_fit_are_stored_beside_one_that_does_not(bench: Bench) -> None:
    zergling = lived(bench, 20)
    limit_to(bench, size_of(bench, zergling) + 300)
    changes = [order(zergling, "M"), order(zergling, "M" * 900), order(zergling, "R")]
    while not all(change.is_answered for change in changes):
        bench.flush(changes)
    assert error_of(changes[1]) is TooLarge
    assert changes[2].outcome().command_count == 22


def test_a_repeated_key_is_known_beside_a_too_large_command(bench: Bench) -> None:
    zergling = bench.spawn()
    bench.flush([order(zergling, "M", key="k")])
    limit_to(bench, size_of(bench, zergling) + 300)
    repeated, refused = order(zergling, "M", key="k"), order(zergling, "M" * 900)
    while not (repeated.is_answered and refused.is_answered):
        bench.flush([repeated, refused])
    assert repeated.outcome().history == ("M",)
    assert error_of(refused) is TooLarge


@pytest.mark.parametrize("is_one_request", [True, False])
def test_a_too_large_zergling_can_always_be_deleted(bench: Bench, is_one_request: bool) -> None:
    if is_one_request:
        large = bench.spawn()
        bench.flush([order(large, "ML" * 450)])
    else:
        large = lived(bench, 190)
    limit_to(bench, 1500)
    death = CommandMutation(large.id, CommandRequest.death(7), None)
    while not death.is_answered:
        bench.flush([death])
    assert death.outcome().is_dead
    assert bench.stored(large).is_dead
    late = order(large, "M")
    bench.flush([late])
    assert error_of(late) is NoSuchZergling


def test_a_too_large_chunk_does_not_stop_other_histories_from_being_shortened(bench: Bench) -> None:
    wordy, usual = bench.spawn(), lived(bench, 200)
    bench.flush([order(wordy, "M" * 600)])
    bench.store.history.before_put = refusing_over(3000)
    bench.flush([*(order(wordy, "L") for _ in range(110)), order(usual, "M")])
    assert len(bench.stored(wordy).history) == 710
    assert len(bench.stored(usual).history) < 200
    assert shown_words(bench, usual) == 201
