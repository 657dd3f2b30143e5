"""Batches of mutations: read the zerglings, apply the mutations in order, compare-and-swap.

All mutations of a batch share the store calls. Each gets a result or an error of its own. Mutations
that the store did not confirm are left for a retry.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Sequence
from dataclasses import replace

from zerglings.domain.zergling import RuleError, Zergling
from zerglings.hive.mutations import CommandMutation, Mutation, MutationRefused, Snapshot
from zerglings.hive.pending import pause_before_next_attempt, timeout_for
from zerglings.hive.revision_cache import RevisionCache
from zerglings.repository import counters
from zerglings.repository.archive import Archive
from zerglings.repository.reading import Found, Reader
from zerglings.repository.retry_budget import TimeLeft
from zerglings.repository.writing import Writer
from zerglings.storage.base import (
    NotBootstrapped,
    OutcomeUnknown,
    Store,
    StoreError,
    TooLarge,
    Written,
)

Outcome = Zergling | Exception

IDENTITY_TRUSTED_FOR = 1.0
"""Seconds between checks whether the store was replaced. Cached revisions must not be used on
another store, because some stores accept a revision that they never had."""

HISTORY_SHARE = 0.5
"""Share of a batch's time for reading chunks, which only some of its mutations need."""


class _Group:
    """The mutations of one batch that concern the same zergling, in the order of arrival."""

    def __init__(self, mutations: list[Mutation]) -> None:
        self.mutations = mutations
        self.was_cached = False  # whether ``start`` came from the revision cache
        self.start: Zergling | None = None  # the state before the mutations
        self.outcomes: list[Outcome] = []  # the result of each mutation
        self.pending: Zergling | None = None  # the state to store, if any

    @property
    def zergling_id(self) -> str:
        return self.mutations[0].zergling_id

    @property
    def needs_reading(self) -> bool:
        return any(mutation.needs_reading for mutation in self.mutations)

    @property
    def is_in_doubt(self) -> bool:
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

        All mutations together may be too large for the store while one alone is not. Returns False
        if there was nothing to drop.
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


class WriteBatch:
    """Executes batches of mutations on one store.

    Args:
        store: holds the zerglings.
        reader: reads the zerglings, with rivals merged.
        archive: holds the older parts of their histories.
    """

    def __init__(self, store: Store, reader: Reader, archive: Archive) -> None:
        self._store = store
        self._reader = reader
        self._archive = archive
        self._writer = Writer(store, archive)
        self._cache = RevisionCache()
        self._identity: str | None = None
        self._identity_checked_at = -math.inf

    def __call__(self, mutations: Sequence[Mutation]) -> None:
        """Make one attempt at each mutation. Those that stay unanswered are to be retried."""
        waiting = [mutation for mutation in mutations if not mutation.is_over()]
        if not waiting:
            return
        pause_before_next_attempt(waiting)
        timeout = timeout_for(waiting)
        time_left, archive_time_left = TimeLeft(timeout), TimeLeft(timeout * HISTORY_SHARE)
        groups = _grouped(waiting)
        if any(group.needs_reading for group in groups):
            self._clear_cache_if_store_replaced(time_left)
        unread = [
            group for group in groups if not self._apply_without_reading(group, archive_time_left)
        ]
        self._read_and_apply(
            [group for group in unread if group.is_in_doubt], time_left, archive_time_left
        )
        self._read_and_apply([g for g in unread if not g.is_in_doubt], time_left, archive_time_left)
        for group in groups:
            if group.pending is None and group.outcomes:
                group.answer()
        self._store_all([group for group in groups if group.pending is not None], time_left)

    def _clear_cache_if_store_replaced(self, time_left: TimeLeft) -> None:
        """Check the store's identity once a second. Clear the cache if it is new or unknown."""
        now = time.monotonic()
        if now - self._identity_checked_at < IDENTITY_TRUSTED_FOR:
            return
        self._identity_checked_at = now
        try:
            identity = self._store.identity(timeout=time_left())
        except StoreError:
            self._cache.clear()
            return
        if identity != self._identity:
            self._cache.clear()
            self._identity = identity

    def _apply_without_reading(self, group: _Group, archive_time_left: TimeLeft) -> bool:
        """Apply a group's mutations to a cached zergling; a spawn with a random id needs none.

        Returns False if the zergling must be read first.
        """
        if not group.needs_reading:
            group.apply(Snapshot(None, was_stored=False), self._archive, archive_time_left)
            return True
        if (
            group.is_in_doubt
            or (remembered := self._cache.get_for_write(group.zergling_id)) is None
        ):
            return False
        group.apply(Snapshot(remembered), self._archive, archive_time_left)
        group.was_cached = group.every_mutation_has_effect
        if not group.was_cached:
            group.pending, group.outcomes = None, []
        return group.was_cached

    def _read_and_apply(
        self, groups: Sequence[_Group], time_left: TimeLeft, archive_time_left: TimeLeft
    ) -> None:
        began = time.monotonic()
        try:
            found = self._reader.read(
                [group.zergling_id for group in groups],
                timeout=time_left(),
                all_copies=any(group.is_in_doubt for group in groups),
                to_change=True,
            )
        except StoreError as error:
            if isinstance(error, NotBootstrapped):
                self._cache.clear()
            for group in groups:
                group.fail(error, time.monotonic() - began)
            return
        for group in groups:
            was_stored = group.zergling_id in found
            self._apply_to_found(
                group, found.get(group.zergling_id), archive_time_left, was_stored=was_stored
            )

    def _apply_to_found(
        self, group: _Group, found: Found, archive_time_left: TimeLeft, *, was_stored: bool
    ) -> None:
        if isinstance(found, StoreError):
            group.fail(found, 0.0)
            return
        if found is not None:
            self._cache.record_read(found)
        group.apply(Snapshot(found, was_stored=was_stored), self._archive, archive_time_left)

    def _store_all(self, groups: Sequence[_Group], time_left: TimeLeft) -> None:
        if not groups:
            return
        pending = [group.pending for group in groups if group.pending]
        stored_words = [len(group.start.history) if group.start else 0 for group in groups]
        began = time.monotonic()
        try:
            attempts = self._writer.write(pending, stored_words, time_left)
        except StoreError as error:
            if isinstance(error, NotBootstrapped):
                self._cache.clear()
            attempts = [(state, error.with_traceback(None)) for state in pending]
        seconds = time.monotonic() - began
        oversized = []
        for group, (state, result) in zip(groups, attempts, strict=True):
            if isinstance(result, TooLarge) and group.keep_first_write():
                oversized.append(group)
            else:
                self._finish(group, state, result, seconds)
        self._store_all(oversized, time_left)

    def _finish(
        self, group: _Group, state: Zergling, result: Written | StoreError, seconds: float
    ) -> None:
        if isinstance(result, Written) and result.is_minority:
            result = OutcomeUnknown("only a minority of the store's copies has the write")
        if isinstance(result, Written):
            stored = replace(state, revision=result.revision)
            counters.stored(group.start, stored)
            self._cache.record_write(stored, was_cached=group.was_cached)
            group.answer(stored)
        elif isinstance(result, TooLarge):
            self._refuse_as_too_large(group, result)
        else:
            self._cache.record_failure(group.zergling_id, was_cached=group.was_cached)
            group.fail(result, seconds)

    def _refuse_as_too_large(self, group: _Group, refusal: TooLarge) -> None:
        """Fail the only mutation that has an effect, because its document is too large.

        If it was based on a cached zergling, read and retry first: another process may have shrunk
        the stored document since.
        """
        if group.was_cached:
            self._cache.record_failure(group.zergling_id, was_cached=False)
        else:
            group.refuse_pending(refusal)


def _grouped(mutations: Iterable[Mutation]) -> list[_Group]:
    by_id: dict[str, list[Mutation]] = {}
    for mutation in mutations:
        by_id.setdefault(mutation.zergling_id, []).append(mutation)
    return [_Group(group) for group in by_id.values()]
