"""What a zergling is and how commands change it: pure values, no store, no HTTP, no clock.

A zergling stands on an unbounded grid of integer coordinates and faces one of four compass
points. North is +y, east is +x, one grid step a move. Its state is always the result of replaying
its history, which is what makes two histories of one zergling mergeable.
"""

from __future__ import annotations

import base64
import hashlib
import secrets
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from zerglings.cooperative import in_slices

COORDINATE_LIMIT = 2**53 - 1
"""Largest absolute coordinate, in grid steps: the last integer that any JSON reader keeps exact."""

COMMANDS_PER_REQUEST = 1000
"""How many commands one request may carry; they are applied together or not at all."""

TURN_LEFT = "L"
TURN_RIGHT = "R"
MOVE = "M"
COMMANDS = (TURN_LEFT, TURN_RIGHT, MOVE)

DIED = "DIED"
"""The word that ends a history. An entry like any other, so that a death merges like a command."""

FACINGS = ("N", "E", "S", "W")  # clockwise: a right turn is one place further
STEPS = {"N": (0, 1), "E": (1, 0), "S": (0, -1), "W": (-1, 0)}


class RuleError(Exception):
    """A command or a place that the rules do not allow; its text is meant for the sender."""


class InvalidCommand(RuleError):
    """Something that is not a sequence of L, R and M."""


class OutOfBounds(RuleError):
    """A step would leave the grid of ±``COORDINATE_LIMIT``."""


@dataclass(frozen=True, slots=True)
class Pose:
    """Where something stands (grid steps) and which way it looks (one of ``FACINGS``)."""

    x: int = 0
    y: int = 0
    facing: str = "N"

    def after(self, word: str) -> Pose:
        """Return the pose after one word of a history; words that are no command change nothing."""
        if word == TURN_LEFT:
            return self._turned(-1)
        if word == TURN_RIGHT:
            return self._turned(1)
        if word == MOVE:
            return self._moved(1)
        return self

    def before(self, word: str) -> Pose:
        """Return the pose that ``word`` led here from: the inverse of ``after``."""
        if word == TURN_LEFT:
            return self._turned(1)
        if word == TURN_RIGHT:
            return self._turned(-1)
        if word == MOVE:
            return self._moved(-1)
        return self

    def _turned(self, quarters: int) -> Pose:
        facing = FACINGS[(FACINGS.index(self.facing) + quarters) % len(FACINGS)]
        return replace(self, facing=facing)

    def _moved(self, steps: int) -> Pose:
        dx, dy = STEPS[self.facing]
        return replace(self, x=self.x + dx * steps, y=self.y + dy * steps)

    @property
    def reach(self) -> int:
        """The larger of both coordinates' absolute values, in grid steps."""
        return max(abs(self.x), abs(self.y))


def replay(start: Pose, history: Iterable[str]) -> Pose:
    """Return where a history that began at ``start`` ends."""
    words = history if isinstance(history, Sequence) else tuple(history)
    return _end_of(start, words, _AFTER)


def undo(end: Pose, history: Iterable[str]) -> Pose:
    """Return where a history that ends at ``end`` began."""
    return _end_of(end, tuple(history)[::-1], _BEFORE)


def returns(start: Pose, history: Sequence[str]) -> set[int]:
    """Return after how many words a history that began at ``start`` is back there as it was."""
    place = (start.x, start.y, start.facing)
    return {n for n, reached in enumerate(_way(start, history, _AFTER), 1) if reached == place}


# To make a pose after each of a million words takes seconds, numbers alone a tenth of that.
_Place = tuple[int, int, str]
_Steps = dict[str, dict[str, _Place]]


def _steps(rule: Callable[[Pose, str], Pose]) -> _Steps:
    """Return by facing and command how far a rule leads, and which way one looks then."""
    steps: _Steps = {facing: {} for facing in FACINGS}
    for facing in FACINGS:
        for command in COMMANDS:
            pose = rule(Pose(facing=facing), command)
            steps[facing][command] = (pose.x, pose.y, pose.facing)
    return steps


_AFTER, _BEFORE = _steps(Pose.after), _steps(Pose.before)


def _way(start: Pose, words: Sequence[str], steps: _Steps) -> Iterator[_Place]:
    """Yield the place after each word."""
    x, y, facing = start.x, start.y, start.facing
    for some in in_slices(words):
        for word in some:
            if (step := steps[facing].get(word)) is not None:
                x, y, facing = x + step[0], y + step[1], step[2]
            yield x, y, facing


def _end_of(start: Pose, words: Sequence[str], steps: _Steps) -> Pose:
    x, y, facing = start.x, start.y, start.facing
    for some in in_slices(words):
        row = steps[facing]
        for word in some:
            if word in row:
                dx, dy, facing = row[word]
                x, y, row = x + dx, y + dy, steps[facing]
    return Pose(x, y, facing)


@dataclass(frozen=True, slots=True)
class CommandRequest:
    """The words that one client asked for at once, under the id that makes them recognisable.

    The id is drawn before the first attempt to store them, so that a repeated attempt finds out
    whether an earlier one, whose outcome was unknown, was carried out after all. With an
    idempotency key the id comes from the key and the words instead, on every replica the same.
    """

    id: str
    words: tuple[str, ...]

    @classmethod
    def command(cls, commands: Iterable[str], key: str | None = None) -> CommandRequest:
        """Make a request of 1 to ``COMMANDS_PER_REQUEST`` commands.

        Raises:
            InvalidCommand: there are none, too many, or one that is not L, R or M.
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
        return cls(_random_id() if key is None else _keyed_id(key, words), words)

    @classmethod
    def death(cls, now: float) -> CommandRequest:
        """Make the request that ends a life; its id tells when (``now``, seconds since 1970)."""
        return cls(f"{_random_id()}{_DEATH_MARK}{int(now)}", (DIED,))

    @property
    def key_mark(self) -> str | None:
        """What two requests under the same idempotency key share, None for one without a key."""
        return key_mark(self.id)


_KEY_BYTES, _BODY_BYTES = 12, 3
DERIVED_ID_BYTES, _RANDOM_BYTES = 8, 9
"""Sizes of ids that were made from words alone, and of others; releases agree on the former."""

_KEY_LENGTH, _KEYED_LENGTH = 16, 20  # the same in base64
DERIVED_ID_LENGTH = 11
_DEATH_MARK = "@"


def key_mark(request_id: str) -> str | None:
    """Return the part of a request's id that comes from its key, None where there was no key."""
    return request_id[:_KEY_LENGTH] if len(request_id) == _KEYED_LENGTH else None


def is_derived(request_id: str) -> bool:
    """Whether an id was made from words whose own id the original service has dropped."""
    return len(request_id) == DERIVED_ID_LENGTH


def time_of_death(request_id: str) -> int | None:
    """Return when a death was asked for, in seconds since 1970, None if the id does not tell."""
    _, _, seconds = request_id.partition(_DEATH_MARK)
    return int(seconds) if seconds.isascii() and seconds.isdigit() else None


def _random_id() -> str:
    return _base64(secrets.token_bytes(_RANDOM_BYTES))


def _keyed_id(key: str, words: Sequence[str]) -> str:
    of_key = hashlib.sha256(key.encode()).digest()[:_KEY_BYTES]
    of_words = hashlib.sha256("".join(words).encode()).digest()[:_BODY_BYTES]
    return _base64(of_key) + _base64(of_words)


def _base64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


@dataclass(frozen=True, slots=True)
class Base:
    """The state before the first entry of a kept history, and what came before it.

    ``count`` commands led from the spawn to ``pose``; ``chunk`` is the document id of the newest
    part of them that was stored elsewhere, if any was.
    """

    pose: Pose
    count: int = 0
    chunk: str | None = None


@dataclass(frozen=True, slots=True)
class Zergling:
    """One zergling at one revision.

    ``history`` holds the words since ``base``; ``request_ids`` runs beside it, with a request's id
    at its first word and "" at the rest. ``revision`` is the store's, None while unstored.
    ``is_stripped`` marks one that the original service wrote: it keeps no ids, spawn and base, so
    these are worked out again.
    """

    id: str
    pose: Pose
    spawn: Pose
    base: Base
    history: tuple[str, ...] = ()
    request_ids: Sequence[str] = ()
    revision: str | None = None
    is_stripped: bool = False

    @classmethod
    def spawned(cls, zergling_id: str, pose: Pose) -> Zergling:
        """Return a new zergling that stands at ``pose``."""
        return cls(id=zergling_id, pose=pose, spawn=pose, base=Base(pose))

    @property
    def is_dead(self) -> bool:
        """Whether its history holds a death, wherever merging has put it."""
        return DIED in self.history

    @property
    def command_count(self) -> int:
        """How many words its whole history has."""
        return self.base.count + len(self.history)

    def requests(self) -> Iterator[CommandRequest]:
        """Yield the requests that the kept history is made of."""
        return requests_of(self.history, self.request_ids)

    def has_applied(self, request: CommandRequest) -> bool:
        """Whether this request is in the kept history."""
        return request.id in self.request_ids

    def apply(self, request: CommandRequest) -> Zergling:
        """Return the zergling after the request, not yet stored.

        Raises:
            OutOfBounds: a step would leave the grid; nothing of the request is applied.
        """
        pose = self.pose
        for word in request.words:
            before, pose = pose, pose.after(word)
            if word == MOVE and pose.reach > max(COORDINATE_LIMIT, before.reach):
                raise OutOfBounds(
                    f"The grid ends at ±{COORDINATE_LIMIT}: from x={self.pose.x}, y={self.pose.y} "
                    "these commands step over its edge."
                )
        return self._extended([request], pose)

    def merged_with(self, requests: Sequence[CommandRequest]) -> Zergling:
        """Return the zergling after requests that a rival history has acknowledged.

        They count wherever they lead: each kept to the grid in its own history.
        """
        words = (word for request in requests for word in request.words)
        return self._extended(requests, replay(self.pose, words))

    def _extended(self, requests: Sequence[CommandRequest], pose: Pose) -> Zergling:
        history, request_ids = list(self.history), list(self.request_ids)
        for request in requests:
            history += request.words
            request_ids += (request.id, *[""] * (len(request.words) - 1))
        return replace(
            self,
            pose=pose,
            history=tuple(history),
            request_ids=tuple(request_ids),
            is_stripped=False,
        )


def requests_of(words: Sequence[str], request_ids: Sequence[str]) -> Iterator[CommandRequest]:
    """Yield the requests of a history, which begins with one."""
    ids = tuple(request_ids)
    starts = [position for position, id_ in enumerate(ids) if id_]
    starts.append(len(words))
    for some in in_slices(range(1, len(starts))):
        for number in some:
            start, end = starts[number - 1], starts[number]
            yield CommandRequest(ids[start], tuple(words[start:end]))
