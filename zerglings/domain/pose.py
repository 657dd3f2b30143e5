"""Positions on the grid and the effect of commands on them: immutable values, without I/O or clock.

The grid has integer coordinates; north is +y, east is +x. ``L`` and ``R`` turn by a quarter, and
``M`` moves one grid step. Any other word of a history has no effect on a pose.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from zerglings.cooperative import in_slices

TURN_LEFT = "L"
TURN_RIGHT = "R"
MOVE = "M"
COMMANDS = (TURN_LEFT, TURN_RIGHT, MOVE)

FACINGS = ("N", "E", "S", "W")  # clockwise: a right turn goes to the next one
STEPS = {"N": (0, 1), "E": (1, 0), "S": (0, -1), "W": (-1, 0)}


@dataclass(frozen=True, slots=True)
class Pose:
    """A position (``x`` and ``y`` in grid steps) and a facing (one of ``FACINGS``).

    >>> Pose(0, 0, "N").after("M")
    Pose(x=0, y=1, facing='N')
    """

    x: int = 0
    y: int = 0
    facing: str = "N"

    def after(self, word: str) -> Pose:
        """Return the pose after one word. Words other than L, R and M change nothing."""
        if word == TURN_LEFT:
            return self._turned(-1)
        if word == TURN_RIGHT:
            return self._turned(1)
        if word == MOVE:
            return self._moved(1)
        return self

    def before(self, word: str) -> Pose:
        """Return the pose before one word: the inverse of ``after``."""
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
        """The larger of the two coordinates' absolute values, in grid steps."""
        return max(abs(self.x), abs(self.y))


ORIGINAL_SPAWN = Pose()
"""Where the original service spawns every zergling."""


def replay(start: Pose, history: Iterable[str]) -> Pose:
    """Return the pose at the end of a history that began at ``start``."""
    words = history if isinstance(history, Sequence) else tuple(history)
    return _final_pose(start, words, _AFTER)


def undo(end: Pose, history: Iterable[str]) -> Pose:
    """Return the pose at the beginning of a history that ended at ``end``."""
    return _final_pose(end, tuple(history)[::-1], _BEFORE)


def visits(start: Pose, history: Sequence[str], poses: Collection[Pose]) -> set[int]:
    """Return each number n for which the pose after the first n words is one of ``poses``.

    >>> visits(Pose(), ["L", "R", "M"], {Pose()})
    {2}
    """
    places = {(pose.x, pose.y, pose.facing) for pose in poses}
    return {n for n, reached in enumerate(_walk(start, history, _AFTER), 1) if reached in places}


# Tuples instead of poses: replaying a million words is ten times as fast.
_RawPose = tuple[int, int, str]
_StepTable = dict[str, dict[str, _RawPose]]


def _step_table(rule: Callable[[Pose, str], Pose]) -> _StepTable:
    """Return, by facing and command, the step (dx, dy) and the new facing."""
    steps: _StepTable = {facing: {} for facing in FACINGS}
    for facing in FACINGS:
        for command in COMMANDS:
            pose = rule(Pose(facing=facing), command)
            steps[facing][command] = (pose.x, pose.y, pose.facing)
    return steps


_AFTER, _BEFORE = _step_table(Pose.after), _step_table(Pose.before)


def _walk(start: Pose, words: Sequence[str], steps: _StepTable) -> Iterator[_RawPose]:
    """Yield the position and facing after each word."""
    x, y, facing = start.x, start.y, start.facing
    for part in in_slices(words):
        for word in part:
            if (step := steps[facing].get(word)) is not None:
                x, y, facing = x + step[0], y + step[1], step[2]
            yield x, y, facing


def _final_pose(start: Pose, words: Sequence[str], steps: _StepTable) -> Pose:
    x, y, facing = start.x, start.y, start.facing
    for part in in_slices(words):
        row = steps[facing]
        for word in part:
            if word in row:
                dx, dy, facing = row[word]
                x, y, row = x + dx, y + dy, steps[facing]
    return Pose(x, y, facing)
