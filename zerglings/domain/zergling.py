"""A zergling and its history of requests: immutable values, without I/O or clock.

A zergling has a pose on the grid (see ``pose``). Its history is a sequence of words: the commands
``L``, ``R`` and ``M``, and ``DIED``. Replaying the history from the spawn always gives the current
state, so two histories of one zergling can be merged.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from zerglings.cooperative import in_slices
from zerglings.domain.pose import COMMANDS, MOVE, Pose, replay
from zerglings.domain.request_ids import death_id, key_mark, keyed_id, random_id

COORDINATE_LIMIT = 2**53 - 1
"""Largest absolute coordinate, in grid steps. JSON parsers represent integers up to it exactly."""

COMMANDS_PER_REQUEST = 1000
"""Maximum number of commands in one request. They are applied atomically."""

DIED = "DIED"
"""The word that records a death. It is part of the history, so deaths merge as commands do."""


class RuleError(Exception):
    """The rules forbid this command or position. The text is shown to the client."""


class InvalidCommand(RuleError):
    """The input is not a sequence of L, R and M."""


class OutOfBounds(RuleError):
    """A step would leave the grid of ±``COORDINATE_LIMIT``."""


@dataclass(frozen=True, slots=True)
class CommandRequest:
    """The words that one client sent together, and the id by which their execution is recognised.

    The id (see ``request_ids``) is generated before the first attempt to store them. If the outcome
    of an attempt is unknown, a retry looks for the id in the history.
    """

    id: str
    words: tuple[str, ...]

    @classmethod
    def command(cls, commands: Iterable[str], key: str | None = None) -> CommandRequest:
        """Create a request of 1 to ``COMMANDS_PER_REQUEST`` commands.

        Args:
            commands: each ``L``, ``R`` or ``M``.
            key: the client's idempotency key, if any.

        Raises:
            InvalidCommand: there are none or too many, or one is not L, R or M.
        """
        words = tuple(commands)
        if not words:
            raise InvalidCommand("There is no command: send L, R or M.")
        if len(words) > COMMANDS_PER_REQUEST:
            raise InvalidCommand(
                f"{len(words)} commands are too many: send at most {COMMANDS_PER_REQUEST} at once."
            )
        for word in words:
            if word not in COMMANDS:
                raise InvalidCommand(f"{word[:20]!r} is not a command: send L, R or M.")
        return cls(random_id() if key is None else keyed_id(key, words), words)

    @classmethod
    def death(cls, now: float) -> CommandRequest:
        """Create the request that kills a zergling ``now``, in seconds since 1970."""
        return cls(death_id(now), (DIED,))

    @property
    def key_mark(self) -> str | None:
        """The id's part that depends on the idempotency key only, or None without a key."""
        return key_mark(self.id)


@dataclass(frozen=True, slots=True)
class Base:
    """The state before the first word of a document's ``commandHistory``.

    Args:
        pose: the pose there.
        count: words between the spawn and this point, all of which are stored in chunks.
        chunk: document id of the newest of these chunks, or None if there are none.
    """

    pose: Pose
    count: int = 0
    chunk: str | None = None


WORDS_REMEMBERED = 1000
"""An idempotency key is recognised in at least this many of the newest words."""


@dataclass(frozen=True, slots=True)
class Merged:
    """The words that the latest merges have appended.

    Args:
        start: number of the first of them; the first word of the history has number 0.
        end: number of the word after the last of them.
    """

    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Zergling:
    """One revision of a zergling.

    ``history`` holds the words since ``base``. ``request_ids`` is parallel to it: the id of each
    request at its first word, and "" at its other words. ``revision`` is the store's revision, or
    None before the first write. ``lacks_base`` means that ``history`` may be only the newest part:
    the original service dropped the base, and the chunk before ``history`` may not have arrived
    yet. ``base`` and ``spawn`` are then the pose before ``history``. ``merged`` tells which words
    were appended by a merge, as long as that matters for ``keys_from``.
    """

    id: str
    pose: Pose
    spawn: Pose
    base: Base
    history: tuple[str, ...] = ()
    request_ids: Sequence[str] = ()
    revision: str | None = None
    lacks_base: bool = False
    merged: Merged | None = None

    @classmethod
    def spawned(cls, zergling_id: str, pose: Pose) -> Zergling:
        """Return a new zergling at ``pose``, which is not stored yet."""
        return cls(id=zergling_id, pose=pose, spawn=pose, base=Base(pose))

    @property
    def is_dead(self) -> bool:
        """Whether the history holds a death. After a merge it may be anywhere in the history."""
        return DIED in self.history

    @property
    def command_count(self) -> int:
        """Words in the whole history, including those in chunks."""
        return self.base.count + len(self.history)

    @property
    def keys_from(self) -> int:
        """Number of the word from which on idempotency keys are recognised.

        A merge moves the newest words of one history before those of others. So the words before
        appended ones are as new as these.
        """
        first = self.command_count - WORDS_REMEMBERED
        if self.merged is not None and self.merged.end > first:
            return min(first, self.merged.start - WORDS_REMEMBERED)
        return first

    def requests(self) -> Iterator[CommandRequest]:
        """Yield the requests of ``history``."""
        return requests_of(self.history, self.request_ids)

    def has_applied(self, request: CommandRequest) -> bool:
        """Whether ``history`` holds this request."""
        return request.id in self.request_ids

    def apply(self, request: CommandRequest) -> Zergling:
        """Return the zergling after the request, which is not stored yet.

        Raises:
            OutOfBounds: a step would leave the grid. No part of the request is applied.
        """
        pose = self.pose
        for word in request.words:
            before, pose = pose, pose.after(word)
            if word == MOVE and pose.reach > max(COORDINATE_LIMIT, before.reach):
                raise OutOfBounds(
                    f"The grid ends at ±{COORDINATE_LIMIT}: from x={self.pose.x}, y={self.pose.y} "
                    "these commands step over its edge."
                )
        return self._append([request], pose)

    def merged_with(self, requests: Sequence[CommandRequest]) -> Zergling:
        """Return the zergling with requests of a rival history appended.

        The grid's edge is not checked: each request was valid in its own history and has
        been acknowledged.
        """
        words = (word for request in requests for word in request.words)
        longer = self._append(requests, replay(self.pose, words))
        if not requests or self.lacks_base:
            return longer
        start = self.command_count
        if self.merged is not None and self.merged.end > start - WORDS_REMEMBERED:
            start = self.merged.start
        return replace(longer, merged=Merged(start, longer.command_count))

    def _append(self, requests: Sequence[CommandRequest], pose: Pose) -> Zergling:
        history, request_ids = list(self.history), list(self.request_ids)
        for request in requests:
            history += request.words
            request_ids += (request.id, *[""] * (len(request.words) - 1))
        return replace(
            self,
            pose=pose,
            history=tuple(history),
            request_ids=tuple(request_ids),
        )


def requests_of(words: Sequence[str], request_ids: Sequence[str]) -> Iterator[CommandRequest]:
    """Yield the requests of a history.

    Its first word must begin a request. ``request_ids`` is parallel to ``words``, as in
    ``Zergling``.
    """
    ids = tuple(request_ids)
    starts = [position for position, id_ in enumerate(ids) if id_]
    starts.append(len(words))
    for part in in_slices(range(1, len(starts))):
        for number in part:
            start, end = starts[number - 1], starts[number]
            yield CommandRequest(ids[start], tuple(words[start:end]))
