"""Bulk requests: many mutations for one client, each with a result of its own.

A bulk request is split into parts, so that the requests of other clients are served between them.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from itertools import islice

from zerglings.domain.document_format import is_zergling_id
from zerglings.domain.pose import Pose
from zerglings.domain.zergling import CommandRequest, RuleError, Zergling
from zerglings.hive.group_commit import GroupCommit, QueueFull
from zerglings.hive.idempotency import KeyRegister
from zerglings.hive.mutation_group import Outcome
from zerglings.hive.mutations import (
    CommandMutation,
    Mutation,
    MutationRefused,
    NoSuchZergling,
    SpawnMutation,
    new_id,
)
from zerglings.repository.chunk_store import Incomplete
from zerglings.repository.moving import LongHistory, Mover
from zerglings.repository.retry_budget import TooMuchContention
from zerglings.storage.base import StoreError, StoreUnavailable, TooLarge

LIMIT = 10_000
"""Maximum number of items in one bulk request."""

QUEUE_WAIT_LIMIT = 2.0
QUEUE_POLL_SECONDS = 0.02
"""While the queue is full, retry every ``QUEUE_POLL_SECONDS`` for up to ``QUEUE_WAIT_LIMIT``
seconds."""

PART = 64
"""Mutations per part: half of ``hive.BATCH_LIMIT``."""


_ERRORS = (MutationRefused, RuleError, StoreError, TooMuchContention)
"""Errors that a single mutation may end with."""

Item = tuple[str, CommandRequest] | Exception
"""A zergling's id and the request for it, or the error in the client's item."""


def item_key(key: str | None, number: int) -> str | None:
    """Return the idempotency key of one item.

    Clients cannot send such a key, because it contains a line end.

    Args:
        key: the key of the bulk request, if any.
        number: the item's position.
    """
    return None if key is None else f"{key}\n{number}"


class BulkMutations:
    """Executes bulk requests in one hive. Thread-safe.

    Every method yields lists of results, part by part and in the order of the items. A result is
    the zergling after the mutation, or an error. If the store fails for all mutations of a part,
    the remaining parts are not attempted and get the same error.

    Args:
        queue: executes mutations.
        keys: records the idempotency keys of bulk requests.
        mover: moves histories that are too long to be changed.
    """

    def __init__(self, queue: GroupCommit[Mutation], keys: KeyRegister, mover: Mover) -> None:
        self._queue = queue
        self._keys = keys
        self._mover = mover

    def spawn(self, count: int, pose: Pose, key: str | None = None) -> Iterator[Sequence[Outcome]]:
        """Spawn zerglings with the same pose. A repeated key returns those that it spawned before.

        Args:
            count: how many.
            pose: where they spawn.
            key: the client's idempotency key, if any.

        Raises:
            KeyReused: the key was used for another request.
            StoreUnavailable: the key could not be checked.
        """
        if key is not None:
            self._keys.claim(key, f"spawn {count} {pose}".encode())

        def mutation(number: int) -> Mutation:
            zergling_id = new_id(item_key(key, number))
            return SpawnMutation(Zergling.spawned(zergling_id, pose), is_keyed=key is not None)

        yield from self._run_in_parts(map(mutation, range(count)))

    def command(self, items: Sequence[Item], key: str | None = None) -> Iterator[Sequence[Outcome]]:
        """Apply each request exactly once. Requests to one zergling are applied in their order.

        Args:
            items: zerglings and requests. With a key, each request must have been created with its
                ``item_key``.
            key: the client's idempotency key, if any.

        Raises:
            KeyReused: the key was used for another request.
            StoreUnavailable: the key could not be checked.
        """
        if key is not None:
            self._keys.claim(key, b"\n".join(map(_fingerprint, items)))
        yield from self._run_in_parts(map(_mutation, items))

    def _run_in_parts(self, entries: Iterator[Mutation | Exception]) -> Iterator[Sequence[Outcome]]:
        """Execute mutations part by part. Each part gets a deadline of its own when it starts."""
        outage: StoreUnavailable | None = None
        while part := list(islice(entries, PART)):
            outcomes = (
                self._execute_part(part)
                if outage is None
                else [_own_error_or(entry, outage) for entry in part]
            )
            outage = outage or _common_failure(part, outcomes)
            yield outcomes

    def _execute_part(self, part: Sequence[Mutation | Exception]) -> list[Outcome]:
        mutations = [entry for entry in part if isinstance(entry, Mutation)]
        try:
            if mutations:
                self._run(mutations)
        except QueueFull:
            full = StoreUnavailable("too many calls wait for the store")
            return [_own_error_or(entry, full) for entry in part]
        except StoreUnavailable as error:  # the circuit breaker is open
            return [_own_error_or(entry, error) for entry in part]
        outcomes = [_outcome(entry) for entry in part]
        return [
            self._retry_after_moving(entry) if isinstance(outcome, LongHistory) else outcome
            for entry, outcome in zip(part, outcomes, strict=True)
        ]

    def _retry_after_moving(self, mutation: Mutation | Exception) -> Outcome:
        """Execute a mutation again after moving the long history that prevented it."""
        if isinstance(mutation, Exception):
            return mutation
        as_new_operation = mutation.as_new_operation

        def execute() -> Zergling:
            retry = as_new_operation()
            self._run([retry])
            return retry.result()

        try:
            return self._mover.retry_after_moving(execute)
        except QueueFull:
            return StoreUnavailable("too many calls wait for the store")
        except _ERRORS as error:
            return error

    def _run(self, mutations: Sequence[Mutation]) -> None:
        """Queue mutations and wait for them. While the queue is full, wait and retry."""
        deadline = time.monotonic() + QUEUE_WAIT_LIMIT
        while True:
            try:
                return self._queue.run(mutations)
            except QueueFull:
                if time.monotonic() > deadline:
                    raise
            time.sleep(QUEUE_POLL_SECONDS)


def _fingerprint(item: Item) -> bytes:
    """Return a fingerprint of an item. A request's id is a hash of its key and words."""
    if isinstance(item, Exception):
        return f"{type(item).__name__} {item}".encode()
    zergling_id, request = item
    return f"{zergling_id} {request.id}".encode()


def _mutation(item: Item) -> Mutation | Exception:
    if isinstance(item, Exception):
        return item
    zergling_id, request = item
    return (
        CommandMutation(zergling_id, request, None)
        if is_zergling_id(zergling_id)
        else NoSuchZergling()
    )


def _own_error_or(entry: Mutation | Exception, error: StoreUnavailable) -> Exception:
    return entry if isinstance(entry, Exception) else error


def _outcome(entry: Mutation | Exception) -> Outcome:
    if isinstance(entry, Exception):
        return entry
    try:
        return entry.result()
    except _ERRORS as error:
        return error


def _common_failure(
    part: Sequence[Mutation | Exception], outcomes: Sequence[Outcome]
) -> StoreUnavailable | None:
    """Return the store's failure if all attempted mutations of the part failed, else None.

    An incomplete zergling, or a document that is too large, does not affect others, so it does not
    count.
    """
    attempted = [o for entry, o in zip(part, outcomes, strict=True) if isinstance(entry, Mutation)]
    failures = [
        outcome
        for outcome in attempted
        if isinstance(outcome, StoreUnavailable) and not isinstance(outcome, Incomplete | TooLarge)
    ]
    return failures[0] if failures and len(failures) == len(attempted) else None
