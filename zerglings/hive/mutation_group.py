"""The mutations of one zergling in a batch: applies them in order, and answers their callers.

This module makes no store calls, except that a mutation may read the archive.
"""

from __future__ import annotations

from collections.abc import Iterable

from zerglings.domain.zergling import RuleError, Zergling
from zerglings.hive.mutations import CommandMutation, Mutation, MutationRefused, Snapshot
from zerglings.repository.archive import Archive
from zerglings.repository.retry_budget import TimeLeft
from zerglings.storage.base import StoreError

Outcome = Zergling | Exception
"""The zergling after a mutation, or the mutation's error."""


class MutationGroup:
    """The mutations of one batch that concern the same zergling, in the order of arrival."""

    def __init__(self, mutations: list[Mutation]) -> None:
        self.mutations = mutations
        self.was_cached = False  # whether ``start`` came from the revision cache
        self.start: Zergling | None = None  # the state before the mutations
        self.outcomes: list[Outcome] = []  # the result of each mutation
        self.pending: Zergling | None = None  # the state to store, if any

    @property
    def zergling_id(self) -> str:
        """The zergling that all mutations of the group concern."""
        return self.mutations[0].zergling_id

    @property
    def needs_reading(self) -> bool:
        """Whether some mutation needs the stored zergling."""
        return any(mutation.needs_reading for mutation in self.mutations)

    @property
    def is_in_doubt(self) -> bool:
        """Whether the outcome of some mutation's earlier write is unknown."""
        return any(mutation.budget.is_in_doubt for mutation in self.mutations)

    def apply(self, snapshot: Snapshot, archive: Archive, archive_time_left: TimeLeft) -> None:
        """Apply each mutation to the result of the one before; set ``outcomes`` and ``pending``.

        Commands after a spawn stay unanswered: the next batch applies them to the stored zergling.
        """
        self.start = snapshot.zergling
        self.outcomes = []
        for mutation in self.mutations:
            if (
                self.start is None
                and not snapshot.is_written
                and isinstance(mutation, CommandMutation)
            ):
                break
            try:
                zergling = mutation.apply_to(snapshot, archive, archive_time_left)
            except (MutationRefused, RuleError, StoreError) as error:
                self.outcomes.append(error)
                continue
            self.outcomes.append(zergling)
            snapshot = Snapshot(zergling, is_written=zergling is self.start)
        self.pending = None if snapshot.is_written else snapshot.zergling

    @property
    def every_mutation_has_effect(self) -> bool:
        """Whether every mutation alters the zergling.

        Then every answer waits for the write, and the write detects a stale cached zergling.
        """
        states = {id(outcome) for outcome in self.outcomes if isinstance(outcome, Zergling)}
        return len(states - {id(self.start)}) == len(self.mutations)

    def keep_first_write(self) -> bool:
        """Drop the mutations after the first that has an effect; they stay for a later batch.

        The store may reject all mutations together as too large, and still accept one alone.
        Returns False if there was nothing to drop.
        """
        first = next(
            number
            for number, outcome in enumerate(self.outcomes)
            if isinstance(outcome, Zergling) and outcome is not self.start
        )
        if self.outcomes[first] is self.pending:
            return False
        kept = slice(first + 1)
        self.mutations, self.outcomes = self.mutations[kept], self.outcomes[kept]
        outcome = self.outcomes[first]
        self.pending = outcome if isinstance(outcome, Zergling) else None
        return True

    def refuse_pending(self, error: StoreError) -> None:
        """Fail the mutation whose result could not be stored, and answer the others."""
        self.outcomes = [error if outcome is self.pending else outcome for outcome in self.outcomes]
        self.answer()

    def answer(self, stored: Zergling | None = None) -> None:
        """Answer every caller.

        Args:
            stored: ``pending`` with its new revision, once it is stored; it is the answer to the
                mutations whose outcome is ``pending``.
        """
        for mutation, outcome in zip(self.mutations, self.outcomes, strict=False):
            if isinstance(outcome, StoreError):
                mutation.attempt_failed(outcome)
            elif isinstance(outcome, Exception):
                mutation.refuse(outcome)
            elif outcome is self.pending and stored is not None:
                mutation.succeed(stored)
            else:
                mutation.succeed(outcome)

    def fail(self, error: StoreError, seconds: float) -> None:
        """Record a failed attempt for every mutation."""
        for mutation in self.mutations:
            mutation.attempt_failed(error, seconds)


def group_by_zergling(mutations: Iterable[Mutation]) -> list[MutationGroup]:
    """Return a group for each zergling, with its mutations in their order."""
    by_id: dict[str, list[Mutation]] = {}
    for mutation in mutations:
        by_id.setdefault(mutation.zergling_id, []).append(mutation)
    return [MutationGroup(group) for group in by_id.values()]
