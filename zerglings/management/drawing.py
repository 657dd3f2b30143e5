"""Draws a zergling's path as text."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import accumulate

from zerglings.domain.pose import Pose

WIDTH, HEIGHT = 61, 21
"""Largest drawing in columns and lines, one for each grid step; odd, so that it has a centre."""

VISITED, START = ".", "o"
ARROWS = {"N": "^", "E": ">", "S": "v", "W": "<"}


def drawing(start: Pose, words: Iterable[str]) -> list[str]:
    """Return the lines of a drawing, north up. A larger path is drawn only around its end.

    Args:
        start: the pose before the first command.
        words: the commands.

    >>> drawing(Pose(), "MRMM")
    ['..>', 'o']
    """
    poses = list(accumulate(words, Pose.after, initial=start))
    end = poses[-1]
    left, width = _window([pose.x for pose in poses], end.x, WIDTH)
    bottom, height = _window([pose.y for pose in poses], end.y, HEIGHT)
    marks = dict.fromkeys(((pose.x, pose.y) for pose in poses), VISITED)
    marks[start.x, start.y] = START
    marks[end.x, end.y] = ARROWS[end.facing]
    return [
        "".join(marks.get((x, y), " ") for x in range(left, left + width)).rstrip()
        for y in range(bottom + height - 1, bottom - 1, -1)
    ]


def _window(places: list[int], end: int, limit: int) -> tuple[int, int]:
    """Return the first value and the length of the drawn range of one coordinate."""
    least, length = min(places), max(places) - min(places) + 1
    return (least, length) if length <= limit else (end - limit // 2, limit)
