"""A zergling's path as a small drawing of letters. Knows nothing of where it is shown."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import accumulate

from zerglings.domain.zergling import Pose

WIDTH, HEIGHT = 61, 21
"""Columns and lines at most, a grid step each; odd, so that there is a middle."""

VISITED, START = ".", "o"
ARROWS = {"N": "^", "E": ">", "S": "v", "W": "<"}


def drawing(start: Pose, words: Iterable[str]) -> list[str]:
    """Return the lines of a drawing, north up: where a path began, went, and now stands.

    Of a path that is too large the part around its end is drawn.
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
    """Return where a window over one coordinate begins, and how far it goes."""
    least, length = min(places), max(places) - min(places) + 1
    return (least, length) if length <= limit else (end - limit // 2, limit)
