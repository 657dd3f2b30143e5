"""Commits of changes, many at a time: read, apply in order, compare-and-swap.

One flush shares its store calls among all its callers, yet each gets its own result or its own
error, and what the store does not confirm is tried again.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Sequence
from dataclasses import replace

from zerglings.domain.zergling import RuleError, Zergling
from zerglings.hive.mutations import CommandMutation, Mutation, Refused, Snapshot
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

TRUSTED_FOR = 1.0
"""Seconds after which it is asked again whether the store is still the one whose revisions are
remembered: some take a revision of a document that they never had."""

HISTORY_SHARE = 0.5
"""Share of a flush's time for looking into older histories, which only some of its changes need."""


class _Group:
    """The changes of one flush that concern one zergling, in the order of their arrival."""

    def __init__(self, changes: list[Mutation]) -> None:
        self.changes = changes
        self.was_offered = False
        self.outcomes: list[Outcome] = []
        self.pending: Zergling | None = None
        self.start: Zergling | None = None

    @property
    def zergling_id(self) -> str:
        return self.changes[0].zergling_id

    @property
    def needs_reading(self) -> bool:
        return any(change.needs_reading for change in self.changes)

    @property
    def is_in_doubt(self) -> bool:
        return any(change.budget.is_in_doubt for change in self.changes)

    def play(self, snapshot: Snapshot, archive: Archive, time_left: TimeLeft) -> None:
        """Work out what becomes of each change; ``pending`` is what is to be stored, if any.

        Those behind a birth have to wait until it has a revision.
        """
        self.start = snapshot.zergling
        self.outcomes = []
        for change in self.changes:
            if (
                self.start is None
                and not snapshot.is_written
                and isinstance(change, CommandMutation)
            ):
                break
            try:
                zergling = change.applied_to(snapshot, archive, time_left)
            except (Refused, RuleError, StoreError) as error:
                self.outcomes.append(error)
                continue
            self.outcomes.append(zergling)
            snapshot = Snapshot(zergling, is_written=zergling is self.start)
        self.pending = None if snapshot.is_written else snapshot.zergling

    @property
    def is_all_new(self) -> bool:
        """Whether each change makes a difference, so that the store's answer covers them all."""
        states = {id(outcome) for outcome in self.outcomes if isinstance(outcome, Zergling)}
        return len(states - {id(self.start)}) == len(self.changes)

    def leave_all_but_one(self) -> bool:
        """Leave all changes behind the first that makes a difference for a later flush.

        What they come to together may be too large for the store where a part of it is not. Returns
        whether there were any.
        """
        first = next(
            number
            for number, outcome in enumerate(self.outcomes)
            if isinstance(outcome, Zergling) and outcome is not self.start
        )
        if self.outcomes[first] is self.pending:
            return False
        kept = slice(first + 1)
        self.changes, self.outcomes = self.changes[kept], self.outcomes[kept]
        outcome = self.outcomes[first]
        self.pending = outcome if isinstance(outcome, Zergling) else None
        return True

    def refuse_pending(self, error: StoreError) -> None:
        """Give the change that was not stored its error, and all others their outcomes."""
        self.outcomes = [error if outcome is self.pending else outcome for outcome in self.outcomes]
        self.answer()

    def answer(self, stored: Zergling | None = None) -> None:
        """Give every caller its outcome; the last state is the one that was ``stored``."""
        for change, outcome in zip(self.changes, self.outcomes, strict=False):
            if isinstance(outcome, StoreError):
                change.attempt_failed(outcome)
            elif isinstance(outcome, Exception):
                change.refuse(outcome)
            elif outcome is self.pending and stored is not None:
                change.succeed(stored)
            else:
                change.succeed(outcome)

    def fail(self, error: StoreError, seconds: float) -> None:
        """Have every change tried again, unless its time is up."""
        for change in self.changes:
            change.attempt_failed(error, seconds)


class WriteBatch:
    """Carries out changes on one store, many at a time.

    Args:
        store: where the zerglings are.
        reader: reads them, settled.
        archive: where the older parts of their histories are.
    """

    def __init__(self, store: Store, reader: Reader, archive: Archive) -> None:
        self._store = store
        self._reader = reader
        self._archive = archive
        self._writer = Writer(store, archive)
        self._cache = RevisionCache()
        self._identity: str | None = None
        self._asked_at = -math.inf

    def __call__(self, changes: Sequence[Mutation]) -> None:
        """Make one attempt at each change; those left unanswered are to be attempted again."""
        waiting = [change for change in changes if not change.is_over()]
        if not waiting:
            return
        pause_before_next_attempt(waiting)
        timeout = timeout_for(waiting)
        flush_time, time_left = TimeLeft(timeout), TimeLeft(timeout * HISTORY_SHARE)
        groups = _grouped(waiting)
        if any(group.needs_reading for group in groups):
            self._forget_if_replaced(flush_time)
        unread = [group for group in groups if not self._play_unread(group, time_left)]
        self._read_and_play([group for group in unread if group.is_in_doubt], flush_time, time_left)
        self._read_and_play([g for g in unread if not g.is_in_doubt], flush_time, time_left)
        for group in groups:
            if group.pending is None and group.outcomes:
                group.answer()
        self._store_all([group for group in groups if group.pending is not None], flush_time)

    def _forget_if_replaced(self, flush_time: TimeLeft) -> None:
        """Forget all revisions where the store is another one than a moment ago, or may be."""
        now = time.monotonic()
        if now - self._asked_at < TRUSTED_FOR:
            return
        self._asked_at = now
        try:
            identity = self._store.identity(timeout=flush_time())
        except StoreError:
            self._cache.forget()
            return
        if identity != self._identity:
            self._cache.forget()
            self._identity = identity

    def _play_unread(self, group: _Group, time_left: TimeLeft) -> bool:
        """Try without reading; False where that cannot be or would not do."""
        if not group.needs_reading:
            group.play(Snapshot(None, was_stored=False), self._archive, time_left)
            return True
        if group.is_in_doubt or (remembered := self._cache.offer(group.zergling_id)) is None:
            return False
        group.play(Snapshot(remembered), self._archive, time_left)
        group.was_offered = group.is_all_new
        if not group.was_offered:
            group.pending, group.outcomes = None, []
        return group.was_offered

    def _read_and_play(
        self, groups: Sequence[_Group], flush_time: TimeLeft, time_left: TimeLeft
    ) -> None:
        began = time.monotonic()
        try:
            found = self._reader.read(
                [group.zergling_id for group in groups],
                timeout=flush_time(),
                all_copies=any(group.is_in_doubt for group in groups),
                to_change=True,
            )
        except StoreError as error:
            if isinstance(error, NotBootstrapped):
                self._cache.forget()
            for group in groups:
                group.fail(error, time.monotonic() - began)
            return
        for group in groups:
            was_stored = group.zergling_id in found
            self._play_read(group, found.get(group.zergling_id), time_left, was_stored=was_stored)

    def _play_read(
        self, group: _Group, found: Found, time_left: TimeLeft, *, was_stored: bool
    ) -> None:
        if isinstance(found, StoreError):
            group.fail(found, 0.0)
            return
        if found is not None:
            self._cache.saw(found)
        group.play(Snapshot(found, was_stored=was_stored), self._archive, time_left)

    def _store_all(self, groups: Sequence[_Group], flush_time: TimeLeft) -> None:
        if not groups:
            return
        pending = [group.pending for group in groups if group.pending]
        stored = [len(group.start.history) if group.start else 0 for group in groups]
        began = time.monotonic()
        try:
            attempts = self._writer.write(pending, stored, flush_time)
        except StoreError as error:
            if isinstance(error, NotBootstrapped):
                self._cache.forget()
            attempts = [(state, error.with_traceback(None)) for state in pending]
        seconds = time.monotonic() - began
        too_much = []
        for group, (state, result) in zip(groups, attempts, strict=True):
            if isinstance(result, TooLarge) and group.leave_all_but_one():
                too_much.append(group)
            else:
                self._finish(group, state, result, seconds)
        self._store_all(too_much, flush_time)

    def _finish(
        self, group: _Group, state: Zergling, result: Written | StoreError, seconds: float
    ) -> None:
        if isinstance(result, Written) and result.is_minority:
            result = OutcomeUnknown("only a minority of the store's copies has it")
        if isinstance(result, Written):
            stored = replace(state, revision=result.revision)
            counters.stored(group.start, stored)
            self._cache.wrote(stored, was_offered=group.was_offered)
            group.answer(stored)
        elif isinstance(result, TooLarge):
            self._refuse_as_too_large(group, result)
        else:
            self._cache.was_wrong(group.zergling_id, was_offered=group.was_offered)
            group.fail(result, seconds)

    def _refuse_as_too_large(self, group: _Group, refusal: TooLarge) -> None:
        """Answer that the only change that makes a difference does not fit.

        What was remembered may have been shrunk since by another process, so it is read first.
        """
        if group.was_offered:
            self._cache.was_wrong(group.zergling_id, was_offered=False)
        else:
            group.refuse_pending(refusal)


def _grouped(changes: Iterable[Mutation]) -> list[_Group]:
    by_id: dict[str, list[Mutation]] = {}
    for change in changes:
        by_id.setdefault(change.zergling_id, []).append(change)
    return [_Group(group) for group in by_id.values()]
