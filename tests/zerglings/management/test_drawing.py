"""Tests for the drawing of a path: north is up, and its size is bounded."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from zerglings.domain.pose import FACINGS, Pose, replay
from zerglings.management.drawing import HEIGHT, WIDTH, drawing

paths = st.text("LRM", max_size=300)
poses = st.builds(
    Pose, st.integers(-(2**53), 2**53), st.integers(-(2**53), 2**53), st.sampled_from(FACINGS)
)


def test_a_path_is_drawn_with_north_at_the_top() -> None:
    assert drawing(Pose(10, -3), "MMRMMRM") == ["...", ". v", "o"]
    assert drawing(Pose(), "") == ["^"]
    assert drawing(Pose(facing="W"), "MMM") == ["<..o"]


def test_the_end_of_a_long_path_is_drawn() -> None:
    assert drawing(Pose(), "M" * 100) == [""] * (HEIGHT // 2) + ["^"] + ["."] * (HEIGHT // 2)


@given(poses, paths)
def test_the_end_is_always_visible_and_the_size_limited(start: Pose, words: str) -> None:
    lines = drawing(start, words)
    arrow = {"N": "^", "E": ">", "S": "v", "W": "<"}[replay(start, words).facing]
    assert "".join(lines).count(arrow) == 1
    assert len(lines) <= HEIGHT
    assert max(map(len, lines)) <= WIDTH
