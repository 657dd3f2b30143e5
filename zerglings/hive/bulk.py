"""Whole-swarm calls: many changes for one caller, each with a result of its own.

They are carried out some at a time, so that the calls of others find their place between them.
Knows nothing of HTTP.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from itertools import islice

from zerglings.domain.document import is_zergling_id
from zerglings.domain.zergling import CommandRequest, Pose, RuleError, Zergling
from zerglings.hive.group_commit import GroupCommit, QueueFull
from zerglings.hive.idempotency import KeyRegister
from zerglings.hive.mutations import (
    CommandMutation,
    Mutation,
    NoSuchZergling,
    Refused,
    SpawnMutation,
    new_id,
)
from zerglings.hive.write_batch import Outcome
from zerglings.repository.archive import MissingChunk
from zerglings.repository.moving import LongHistory, Mover
from zerglings.repository.retry_budget import TooMuchContention
from zerglings.storage.base import StoreError, StoreUnavailable, TooLarge

LIMIT = 10_000
"""Items of one call at most."""

ROOM_LIMIT = 2.0
ROOM_EVERY = 0.02
"""Seconds to wait at most while too many other calls wait, and between two looks."""

PART = 64
"""Changes that are carried out together: half of what shares a flush at most."""


_OUTCOMES = (Refused, RuleError, StoreError, TooMuchContention)
"""What a change may end with instead of a zergling."""

Item = tuple[str, CommandRequest] | Exception
"""A zergling's id and what it is asked for, or what is wrong with the item."""


def item_key(key: str | None, number: int) -> str | None:
    """Return the idempotency key of one item; no client can send one of this form."""
    return None if key is None else f"{key}\n{number}"


class Swarm:
    """Whole-swarm calls to one hive. Safe to use from many threads at once.

    Every method yields, in the order of the items and in parts, the zergling after the change or
    the error that it came to. Once the store has answered none of a part, it is asked no more.

    Args:
        changes: carries changes out.
        keys: where the keys of calls are noted.
        mover: moves the long histories that changes come up against.
    """

    def __init__(self, changes: GroupCommit[Mutation], keys: KeyRegister, mover: Mover) -> None:
        self._changes = changes
        self._keys = keys
        self._mover = mover

    def spawn(self, count: int, pose: Pose, key: str | None = None) -> Iterator[Sequence[Outcome]]:
        """Spawn zerglings of one pose; with a known key, those that it has spawned.

        Raises:
            KeyReused: another call was made under the key.
            StoreUnavailable: whether one was cannot be found out.
        """
        if key is not None:
            self._keys.claim(key, f"spawn {count} {pose}".encode())

        def newborn(number: int) -> Mutation:
            zergling_id = new_id(item_key(key, number))
            return SpawnMutation(Zergling.spawned(zergling_id, pose), is_keyed=key is not None)

        yield from self._carried_out(map(newborn, range(count)))

    def command(self, items: Sequence[Item], key: str | None = None) -> Iterator[Sequence[Outcome]]:
        """Apply each request exactly once, those to one zergling in their order.

        Under a key, each must have been made under its ``item_key``.

        Raises:
            KeyReused: another call was made under the key.
            StoreUnavailable: whether one was cannot be found out.
        """
        if key is not None:
            self._keys.claim(key, b"\n".join(map(_told_apart, items)))
        yield from self._carried_out(map(_order, items))

    def _carried_out(self, changes: Iterator[Mutation | Exception]) -> Iterator[Sequence[Outcome]]:
        """Carry changes out part by part; each begins when its turn has come, and its time too."""
        away: StoreUnavailable | None = None
        while part := list(islice(changes, PART)):
            outcomes = self._part(part) if away is None else [_unless_wrong(c, away) for c in part]
            away = away or _failure_of_all(part, outcomes)
            yield outcomes

    def _part(self, part: Sequence[Mutation | Exception]) -> list[Outcome]:
        calls = [change for change in part if isinstance(change, Mutation)]
        try:
            if calls:
                self._run(calls)
        except QueueFull:
            full = StoreUnavailable("too many calls wait for the store")
            return [_unless_wrong(change, full) for change in part]
        except StoreUnavailable as error:  # no call is taken in at present
            return [_unless_wrong(change, error) for change in part]
        outcomes = [_outcome(change) for change in part]
        return [
            self._again(change) if isinstance(outcome, LongHistory) else outcome
            for change, outcome in zip(part, outcomes, strict=True)
        ]

    def _again(self, change: Mutation | Exception) -> Outcome:
        """Carry out what came up against a long history, once that is out of the way."""
        if isinstance(change, Exception):
            return change
        renewed = change.renewed

        def carry_out() -> Zergling:
            again = renewed()
            self._run([again])
            return again.result()

        try:
            return self._mover.having_moved(carry_out)
        except QueueFull:
            return StoreUnavailable("too many calls wait for the store")
        except _OUTCOMES as error:
            return error

    def _run(self, calls: Sequence[Mutation]) -> None:
        """Have calls carried out, once there is room for them."""
        deadline = time.monotonic() + ROOM_LIMIT
        while True:
            try:
                return self._changes.run(calls)
            except QueueFull:
                if time.monotonic() > deadline:
                    raise
            time.sleep(ROOM_EVERY)


def _told_apart(item: Item) -> bytes:
    """Return what tells an item from another one; a request's id comes from its key and words."""
    if isinstance(item, Exception):
        return f"{type(item).__name__} {item}".encode()
    zergling_id, request = item
    return f"{zergling_id} {request.id}".encode()


def _order(item: Item) -> Mutation | Exception:
    if isinstance(item, Exception):
        return item
    zergling_id, request = item
    return (
        CommandMutation(zergling_id, request, None)
        if is_zergling_id(zergling_id)
        else NoSuchZergling()
    )


def _unless_wrong(change: Mutation | Exception, error: StoreUnavailable) -> Exception:
    return change if isinstance(change, Exception) else error


def _outcome(change: Mutation | Exception) -> Outcome:
    if isinstance(change, Exception):
        return change
    try:
        return change.result()
    except _OUTCOMES as error:
        return error


def _failure_of_all(
    part: Sequence[Mutation | Exception], outcomes: Sequence[Outcome]
) -> StoreUnavailable | None:
    """Return what the store failed with if it did so for all that were asked of it.

    A zergling whose history is damaged, or has become too large, is no failure of the store's.
    """
    asked = [o for change, o in zip(part, outcomes, strict=True) if isinstance(change, Mutation)]
    failures = [
        outcome
        for outcome in asked
        if isinstance(outcome, StoreUnavailable)
        and not isinstance(outcome, MissingChunk | TooLarge)
    ]
    return failures[0] if failures and len(failures) == len(asked) else None
