"""Mutations: operations that change a zergling, and the outcome of each for a given snapshot.

A mutation that was applied already is recognised by its request id, so a retry does not apply it
twice. This module is independent of batches and of the stored form.
"""

from __future__ import annotations

import math
import uuid
from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256

from zerglings.domain.request_ids import is_derived
from zerglings.domain.zergling import CommandRequest, Zergling
from zerglings.hive.pending import NeverKnown, PendingOperation
from zerglings.repository.archive import Archive
from zerglings.repository.chunk_store import Incomplete
from zerglings.repository.retry_budget import TimeLeft

Precondition = Callable[[Zergling], bool]
"""Returns whether the zergling's current revision is acceptable to the caller. May raise
``PreconditionFailed`` with a reason instead."""


class MutationRefused(Exception):
    """The mutation is not allowed. Nothing was changed."""


class NoSuchZergling(MutationRefused):
    """No living zergling has this id."""


class PreconditionFailed(MutationRefused):
    """The zergling's revision does not satisfy the caller's precondition."""


class TagAltered(PreconditionFailed):
    """The precondition names the current revision in an altered form, which never matches.

    For example, a compressing proxy adds a suffix to the entity tag, or marks it as weak.
    """


class KeyReused(MutationRefused):
    """The idempotency key was used before for something else."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The state of a zergling between two mutations of one batch.

    Args:
        zergling: the state, or None if there is no zergling.
        was_stored: whether a document with this id was ever stored.
        is_written: whether the store already has this state. False after the first new mutation.
    """

    zergling: Zergling | None
    was_stored: bool = True
    is_written: bool = True


class Mutation(PendingOperation):
    """One caller's mutation of one zergling: a spawn, commands or a death."""

    is_mutation = True

    @property
    def needs_reading(self) -> bool:
        """Whether the mutation needs the stored zergling, which is read or taken from the cache."""
        return True

    @abstractmethod
    def apply_to(self, snapshot: Snapshot, archive: Archive, time_left: TimeLeft) -> Zergling:
        """Return the zergling after this mutation, or the same object if it was applied already.

        Args:
            snapshot: the zergling to change.
            archive: holds the older parts of its history.
            time_left: the time for reading them.

        Raises:
            MutationRefused, RuleError: the mutation is not allowed.
            StoreError: the archive could not be read to find out if it was applied already.
        """

    @property
    def was_attempted(self) -> bool:
        """Whether a write that includes this mutation was attempted."""
        return self.budget.was_tried

    @abstractmethod
    def as_new_operation(self) -> Mutation:
        """Return the same mutation as a new operation, for a retry after this one had no effect."""

    def refuse(self, error: Exception) -> None:
        """Fail with ``error``, or with the unknown outcome of an earlier write.

        That write's effect was not found, but the write may still be on its way, or on a node that
        is disconnected.
        """
        unknown_outcome = self.budget.unknown_outcome if self.was_attempted else None
        self.fail(unknown_outcome or error)


class SpawnMutation(Mutation):
    """The spawn of a zergling.

    Regions that were apart may have spawned it at different poses with one key. After the merge the
    pose of one of them counts. A repeat of the other request is then refused, as in one region.

    Args:
        newborn: the zergling to store.
        is_keyed: whether its id comes from an idempotency key, so that it may exist already.
    """

    def __init__(self, newborn: Zergling, *, is_keyed: bool) -> None:
        super().__init__(newborn.id)
        self._newborn = newborn
        self._is_keyed = is_keyed

    @property
    def needs_reading(self) -> bool:
        """Whether an earlier request with this key, or an earlier attempt, may have stored it."""
        return self._is_keyed or self.budget.was_tried

    def as_new_operation(self) -> SpawnMutation:
        """Return the same spawn as a new operation."""
        return SpawnMutation(self._newborn, is_keyed=self._is_keyed)

    def apply_to(self, snapshot: Snapshot, archive: Archive, time_left: TimeLeft) -> Zergling:
        """Return the new zergling, or its current state if it was spawned already."""
        if not snapshot.was_stored:
            return self._newborn
        if snapshot.zergling is None or (snapshot.zergling.is_dead and self._is_keyed):
            raise NoSuchZergling
        if snapshot.zergling.spawn != self._newborn.spawn:
            if snapshot.zergling.lacks_base:
                raise Incomplete(f"the beginning of {self.zergling_id} has not arrived yet")
            raise KeyReused
        return snapshot.zergling


def new_id(key: str | None) -> str:
    """Return the id of a new zergling: random, or a hash of the idempotency key.

    The hash is the same on every replica.
    """
    if key is None:
        return str(uuid.uuid4())
    return str(uuid.UUID(bytes=sha256(b"spawn:" + key.encode()).digest()[:16], version=4))


class CommandMutation(Mutation):
    """A request to a zergling: commands, or its death.

    Args:
        zergling_id: which zergling.
        request: the commands.
        precondition: must hold for the zergling's stored revision, if given.
    """

    def __init__(
        self, zergling_id: str, request: CommandRequest, precondition: Precondition | None
    ) -> None:
        super().__init__(zergling_id)
        self._request = request
        self._precondition = precondition
        # Smallest word count of any attempt's snapshot: ``_was_applied`` searches from there. A
        # later snapshot may be shorter: it may lack the words of other requests of the same batch.
        self._attempted_at: int | float = math.inf

    @property
    def was_attempted(self) -> bool:
        """Whether a write that includes this request was attempted."""
        return self._attempted_at != math.inf

    def as_new_operation(self) -> CommandMutation:
        """Return the same request as a new operation."""
        return CommandMutation(self.zergling_id, self._request, self._precondition)

    def apply_to(self, snapshot: Snapshot, archive: Archive, time_left: TimeLeft) -> Zergling:
        """Return the zergling after the request."""
        current = snapshot.zergling
        if current is None:
            raise NoSuchZergling
        if self._was_applied(current, archive, time_left):
            return current
        if current.is_dead:
            raise NoSuchZergling
        if self._is_repeated_key(current, archive, time_left):
            return current
        if self._precondition is not None and not (
            snapshot.is_written and self._precondition(current)
        ):
            raise PreconditionFailed
        self._attempted_at = min(current.command_count, self._attempted_at)
        return current.apply(self._request)

    def _was_applied(self, current: Zergling, archive: Archive, time_left: TimeLeft) -> bool:
        """Whether an earlier attempt applied the request, even if a death followed.

        An attempt that ended in a conflict may also have applied it: a proxy may have sent the
        write twice and returned the second answer. With an idempotency key, ``_is_repeated_key``
        handles a conflict instead, because the request that is found may be another client's.

        Raises:
            NeverKnown: the outcome is unknown, and the original service has dropped the request
                ids.
        """
        is_in_doubt = self.budget.is_in_doubt
        if not self.was_attempted or not (is_in_doubt or self._request.key_mark is None):
            return False
        if current.has_applied(self._request):
            return True
        has_lost_ids = False
        for id_ in archive.ids_since(current, int(self._attempted_at), timeout=time_left()):
            if id_ == self._request.id:
                return True
            has_lost_ids = has_lost_ids or is_derived(id_)
        if has_lost_ids and is_in_doubt:
            raise NeverKnown("the original service has dropped the ids of this zergling's commands")
        return False

    def _is_repeated_key(self, current: Zergling, archive: Archive, time_left: TimeLeft) -> bool:
        mark = self._request.key_mark
        if mark is None:
            return False
        known = archive.find_keyed_id(current, mark, time_left)
        if known is None or known == self._request.id:
            return known is not None
        # Regions that were apart may have carried out different requests with this key.
        if self._request.id in archive.ids_since(current, current.keys_from, timeout=time_left()):
            return True
        raise KeyReused
