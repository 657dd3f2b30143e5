"""Property tests for the rules that hold for every zergling and every history."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.zerglings.strategies import commands, poses
from zerglings.domain.pose import Pose, replay
from zerglings.domain.request_ids import is_derived, time_of_death
from zerglings.domain.zergling import (
    COMMANDS_PER_REQUEST,
    COORDINATE_LIMIT,
    CommandRequest,
    InvalidCommand,
    OutOfBounds,
    Zergling,
)


@given(poses, st.lists(commands, max_size=8))
def test_replaying_the_history_gives_the_pose(pose: Pose, requests: list[list[str]]) -> None:
    zergling = Zergling.spawned("z", pose)
    for words in requests:
        zergling = zergling.apply(CommandRequest.command(words))
    assert zergling.history == tuple(word for words in requests for word in words)
    assert replay(zergling.spawn, zergling.history) == zergling.pose
    assert len(zergling.request_ids) == len(zergling.history)


def test_a_request_is_found_again_by_its_id() -> None:
    request = CommandRequest.command("MRM")
    zergling = Zergling.spawned("z", Pose()).apply(request)
    assert zergling.has_applied(request)
    assert not zergling.has_applied(CommandRequest.command("MRM"))
    assert zergling.request_ids == (request.id, "", "")


def test_random_request_ids_are_unique_and_differ_from_derived_ones() -> None:
    ids = {CommandRequest.command("M").id for _ in range(1000)}
    assert len(ids) == 1000
    assert not any(map(is_derived, ids))


@pytest.mark.parametrize(
    "words", ["", [], "X", "m", ["MM"], "M" * (COMMANDS_PER_REQUEST + 1), "M M"]
)
def test_an_invalid_command_is_rejected(words: str | list[str]) -> None:
    with pytest.raises(InvalidCommand):
        CommandRequest.command(words)


def test_a_request_may_hold_a_thousand_commands() -> None:
    assert len(CommandRequest.command("M" * COMMANDS_PER_REQUEST).words) == 1000


@pytest.mark.parametrize(
    "edge",
    [
        Pose(0, COORDINATE_LIMIT, "N"),
        Pose(COORDINATE_LIMIT, 0, "E"),
        Pose(0, -COORDINATE_LIMIT, "S"),
        Pose(-COORDINATE_LIMIT, 0, "W"),
    ],
)
def test_a_request_that_crosses_the_edge_is_rejected_even_if_it_returns(edge: Pose) -> None:
    zergling = Zergling.spawned("z", edge)
    with pytest.raises(OutOfBounds):
        zergling.apply(CommandRequest.command("MLLM"))
    assert zergling.apply(CommandRequest.command("LLM")).pose.reach < COORDINATE_LIMIT


def test_a_zergling_beyond_the_edge_may_turn_and_return_but_go_no_further() -> None:
    zergling = Zergling.spawned("z", Pose(COORDINATE_LIMIT, 0, "E"))
    beyond = zergling.merged_with([CommandRequest.command("MM")])
    assert beyond.pose == Pose(COORDINATE_LIMIT + 2, 0, "E")
    with pytest.raises(OutOfBounds):
        beyond.apply(CommandRequest.command("M"))
    assert beyond.apply(CommandRequest.command("LLM")).pose.x == COORDINATE_LIMIT + 1


def test_a_keyed_request_id_identifies_key_and_commands() -> None:
    one, again = CommandRequest.command("MR", "k"), CommandRequest.command(["M", "R"], "k")
    assert one == again
    assert len(one.id) == 20
    other_words, other_key = CommandRequest.command("M", "k"), CommandRequest.command("MR", "l")
    assert other_words.key_mark == one.key_mark != other_key.key_mark
    assert len({one.id, other_words.id, other_key.id}) == 3
    assert CommandRequest.command("M").key_mark is None
    assert CommandRequest.death(7).key_mark is None


def test_death_is_recorded_in_the_history() -> None:
    zergling = Zergling.spawned("z", Pose()).apply(CommandRequest.command("M"))
    death = CommandRequest.death(1_800_000_000.7)
    dead = zergling.apply(death)
    assert time_of_death(death.id) == 1_800_000_000
    assert time_of_death(CommandRequest.command("M").id) is None
    assert dead.is_dead
    assert not zergling.is_dead
    assert dead.pose == zergling.pose
    assert dead.apply(CommandRequest.command("M")).is_dead, "a later command does not revive it"
