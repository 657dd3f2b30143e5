"""Property tests for positions and the effect of words on them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.zerglings.strategies import histories, poses
from zerglings.domain.pose import Pose, replay, undo
from zerglings.domain.zergling import DIED


@pytest.mark.parametrize(
    ("facing", "left", "right", "step"),
    [
        ("N", "W", "E", (0, 1)),
        ("E", "N", "S", (1, 0)),
        ("S", "E", "W", (0, -1)),
        ("W", "S", "N", (-1, 0)),
    ],
)
def test_each_facing_turns_and_moves_by_the_compass(
    facing: str, left: str, right: str, step: tuple[int, int]
) -> None:
    here = Pose(5, 7, facing)
    assert here.after("L") == Pose(5, 7, left)
    assert here.after("R") == Pose(5, 7, right)
    assert here.after("M") == Pose(5 + step[0], 7 + step[1], facing)


@given(poses)
def test_four_left_turns_cancel_out(pose: Pose) -> None:
    assert replay(pose, "LLLL") == pose


@given(poses)
def test_a_right_turn_undoes_a_left_turn(pose: Pose) -> None:
    assert replay(pose, "LR") == pose == replay(pose, "RL")


@given(poses)
def test_moving_turning_round_and_moving_returns_to_the_start(pose: Pose) -> None:
    back = replay(pose, "MLLM")
    assert (back.x, back.y) == (pose.x, pose.y)
    assert replay(back, "LL") == pose


@given(poses, histories)
def test_undoing_a_history_returns_to_its_start(pose: Pose, history: list[str]) -> None:
    assert undo(replay(pose, history), history) == pose


@given(poses, st.sampled_from(["X", "", "m", "MM", DIED, "LR"]))
def test_an_unknown_word_does_not_change_the_pose(pose: Pose, word: str) -> None:
    assert pose.after(word) == pose == pose.before(word)
