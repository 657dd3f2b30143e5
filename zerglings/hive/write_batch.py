"""Batches of mutations: read the zerglings, apply the mutations in order, compare-and-swap.

All mutations of a batch share the store calls. Each gets a result or an error of its own. Mutations
that the store did not confirm are left for a retry.
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import replace

from zerglings.domain.zergling import Zergling
from zerglings.hive.mutation_group import MutationGroup, group_by_zergling
from zerglings.hive.mutations import Mutation, Snapshot
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

IDENTITY_TRUSTED_FOR = 1.0
"""Seconds between checks whether the store was replaced. Cached revisions must not be used on
another store, because some stores accept a revision that they never had."""

HISTORY_SHARE = 0.5
"""Share of a batch's time for reading chunks, which only some of its mutations need."""


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
        groups = group_by_zergling(waiting)
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
        """Clear the cache if the store's identity is new or unknown.

        The identity is checked at most once a second.
        """
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

    def _apply_without_reading(self, group: MutationGroup, archive_time_left: TimeLeft) -> bool:
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
        self, groups: Sequence[MutationGroup], time_left: TimeLeft, archive_time_left: TimeLeft
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
        self, group: MutationGroup, found: Found, archive_time_left: TimeLeft, *, was_stored: bool
    ) -> None:
        if isinstance(found, StoreError):
            group.fail(found, 0.0)
            return
        if found is not None:
            self._cache.record_read(found)
        group.apply(Snapshot(found, was_stored=was_stored), self._archive, archive_time_left)

    def _store_all(self, groups: Sequence[MutationGroup], time_left: TimeLeft) -> None:
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
        self, group: MutationGroup, state: Zergling, result: Written | StoreError, seconds: float
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

    def _refuse_as_too_large(self, group: MutationGroup, refusal: TooLarge) -> None:
        """Fail the only mutation that has an effect, because its document is too large.

        If it was based on a cached zergling, read and retry first: another process may have shrunk
        the stored document since.
        """
        if group.was_cached:
            self._cache.record_failure(group.zergling_id, was_cached=False)
        else:
            group.refuse_pending(refusal)
