"""Changes to zerglings: what each makes of the zergling that it finds.

A change is recognised by its request's id wherever it is found, so no attempt applies it twice.
Knows nothing of batches and of how a zergling is stored.
"""

from __future__ import annotations

import math
import uuid
from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256

from zerglings.domain.zergling import CommandRequest, Zergling, is_derived
from zerglings.hive.pending import NeverKnown, PendingCall
from zerglings.repository.archive import Archive
from zerglings.repository.retry_budget import TimeLeft

Precondition = Callable[[Zergling], bool]
"""Whether a zergling is at a revision that the caller accepts; it may say in an error why not."""


class Refused(Exception):
    """A change that its caller may not make; nothing was changed."""


class NoSuchZergling(Refused):
    """There is no living zergling under this id."""


class PreconditionFailed(Refused):
    """The zergling is not at a revision that the caller would accept."""


class TagAltered(PreconditionFailed):
    """The caller names the current revision, but in a form that never matches."""


class KeyReused(Refused):
    """The idempotency key was used before, for something else."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Where a zergling stands in the middle of a flush.

    ``zergling`` is None where there is none; ``was_stored`` tells whether there ever was one.
    ``is_written`` is False after the first change that the store does not have yet.
    """

    zergling: Zergling | None
    was_stored: bool = True
    is_written: bool = True


class Mutation(PendingCall):
    """One caller's wish to change one zergling."""

    is_change = True

    @property
    def needs_reading(self) -> bool:
        """Whether only a read tells what there is to be changed."""
        return True

    @abstractmethod
    def applied_to(self, snapshot: Snapshot, archive: Archive, time_left: TimeLeft) -> Zergling:
        """Return the zergling after this change; the same one if it has been made already.

        Raises:
            Refused, RuleError: it must not be made.
            StoreError: whether it was made already cannot be found out.
        """

    @property
    def was_attempted(self) -> bool:
        """Whether a write with this change in it was tried."""
        return self.budget.was_tried

    @abstractmethod
    def renewed(self) -> Mutation:
        """Return the same change as a call of its own, to be made anew; it was not made."""

    def refuse(self, error: Exception) -> None:
        """Answer that it must not be made; or that it is not known, where a write was sent.

        That was looked for and not found, but may be on its way, or on a node that is away.
        """
        doubt = self.budget.doubt if self.was_attempted else None
        self.fail(doubt or error)


class SpawnMutation(Mutation):
    """A zergling that is to be; with ``is_keyed`` it may have been spawned before."""

    def __init__(self, newborn: Zergling, *, is_keyed: bool) -> None:
        super().__init__(newborn.id)
        self._newborn = newborn
        self._is_keyed = is_keyed

    @property
    def needs_reading(self) -> bool:
        """Whether there may be one: a random id is nobody's before the first attempt."""
        return self._is_keyed or self.budget.was_tried

    def renewed(self) -> SpawnMutation:
        """Return the same wish to spawn."""
        return SpawnMutation(self._newborn, is_keyed=self._is_keyed)

    def applied_to(self, snapshot: Snapshot, archive: Archive, time_left: TimeLeft) -> Zergling:
        """Return the newborn, or what has become of it."""
        if not snapshot.was_stored:
            return self._newborn
        if snapshot.zergling is None or (snapshot.zergling.is_dead and self._is_keyed):
            raise NoSuchZergling
        if snapshot.zergling.spawn != self._newborn.spawn:
            raise KeyReused
        return snapshot.zergling


def new_id(key: str | None) -> str:
    """Return an id for a newborn; under a key it is the same on every replica."""
    if key is None:
        return str(uuid.uuid4())
    return str(uuid.UUID(bytes=sha256(b"spawn:" + key.encode()).digest()[:16], version=4))


class CommandMutation(Mutation):
    """A request to one zergling, of commands or its death."""

    def __init__(
        self, zergling_id: str, request: CommandRequest, precondition: Precondition | None
    ) -> None:
        super().__init__(zergling_id)
        self._request = request
        self._precondition = precondition
        # Words before the earliest attempt: those of others in its batch, who may drop out of the
        # next one, are among them.
        self._attempted_at: int | float = math.inf

    @property
    def was_attempted(self) -> bool:
        """Whether a write with this request in it was tried."""
        return self._attempted_at != math.inf

    def renewed(self) -> CommandMutation:
        """Return the same request to the same zergling."""
        return CommandMutation(self.zergling_id, self._request, self._precondition)

    def applied_to(self, snapshot: Snapshot, archive: Archive, time_left: TimeLeft) -> Zergling:
        """Return the zergling after the request."""
        current = snapshot.zergling
        if current is None:
            raise NoSuchZergling
        if self._was_carried_out(current, archive, time_left):
            return current
        if current.is_dead:
            raise NoSuchZergling
        if self._is_known_key(current, archive, time_left):
            return current
        if self._precondition is not None and not (
            snapshot.is_written and self._precondition(current)
        ):
            raise PreconditionFailed
        self._attempted_at = min(current.command_count, self._attempted_at)
        return current.apply(self._request)

    def _was_carried_out(self, current: Zergling, archive: Archive, time_left: TimeLeft) -> bool:
        """Whether an earlier attempt did it, even if a death followed.

        Also one that was refused as a conflict: something before the store may have sent it twice,
        and passed on what the second was answered. Only what has a key may then be another's.

        Raises:
            NeverKnown: it is in doubt, and the original has written since and kept the words
                without their ids.
        """
        is_in_doubt = self.budget.is_in_doubt
        if not self.was_attempted or not (is_in_doubt or self._request.key_mark is None):
            return False
        if current.has_applied(self._request):
            return True
        are_ids_lost = False
        for id_ in archive.ids_since(current, int(self._attempted_at), timeout=time_left()):
            if id_ == self._request.id:
                return True
            are_ids_lost = are_ids_lost or is_derived(id_)
        if are_ids_lost and is_in_doubt:
            raise NeverKnown("the original service has dropped the ids of this zergling's commands")
        return False

    def _is_known_key(self, current: Zergling, archive: Archive, time_left: TimeLeft) -> bool:
        mark = self._request.key_mark
        if mark is None:
            return False
        known = archive.id_under_key(current, mark, time_left)
        if known is not None and known != self._request.id:
            raise KeyReused
        return known is not None
