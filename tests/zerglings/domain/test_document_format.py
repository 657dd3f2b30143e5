"""Tests for the stored document format, and for reading the original service's documents."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.zerglings.strategies import commands, histories, poses
from zerglings.domain.document_format import (
    STORED_COORDINATE_LIMIT,
    NotAZergling,
    decode,
    encode,
    is_zergling_id,
)
from zerglings.domain.pose import Pose, replay
from zerglings.domain.zergling import CommandRequest, Zergling

ID = "5fb0b1c2-1d5e-4c57-9b3b-0f2a3c4d5e6f"


def original(pose: Pose, history: list[str]) -> dict[str, Any]:
    """Return a document as the original service writes it."""
    document: dict[str, Any] = {
        "_id": ID,
        "_rev": "4-abc",
        "id": ID,
        "location": {"x": pose.x, "y": pose.y},
        "facing": pose.facing,
    }
    return document | ({"commandHistory": history} if history else {})


def test_a_document_has_exactly_its_fields_in_order() -> None:
    request = CommandRequest("k3Jx0aQ7b_A", ("M", "L"))
    zergling = Zergling.spawned(ID, Pose(2, -3, "E")).apply(request)
    assert orjson.dumps(encode(zergling)) == orjson.dumps(
        {
            "_id": ID,
            "id": ID,
            "location": {"x": 3, "y": -3},
            "facing": "N",
            "commandHistory": ["M", "L"],
            "commandIds": ["k3Jx0aQ7b_A", ""],
            "spawn": {"location": {"x": 2, "y": -3}, "facing": "E"},
            "base": {"location": {"x": 2, "y": -3}, "facing": "E", "count": 0, "chunk": None},
        }
    )


@given(poses, st.lists(commands, max_size=5))
def test_an_encoded_zergling_is_decoded_unchanged(pose: Pose, requests: list[list[str]]) -> None:
    zergling = Zergling.spawned(ID, pose)
    for words in requests:
        zergling = zergling.apply(CommandRequest.command(words))
    assert decode(orjson.loads(orjson.dumps(encode(zergling)))) == zergling


@given(poses, histories)
def test_a_document_of_the_original_is_decoded(spawn: Pose, history: list[str]) -> None:
    zergling = decode(original(replay(spawn, history), history))
    assert zergling.history == tuple(history)
    assert zergling.spawn == zergling.base.pose == spawn
    assert zergling.base.count == 0
    assert len(set(zergling.request_ids)) == len(history), "each word has an id of its own"
    assert zergling.revision == "4-abc"


@given(histories, histories)
def test_histories_of_the_original_share_ids_up_to_their_first_difference(
    one: list[str], other: list[str]
) -> None:
    first = decode(original(Pose(), one)).request_ids
    second = decode(original(Pose(), other)).request_ids
    agree = [a == b for a, b in zip(one, other, strict=False)]
    shared = agree.index(False) if False in agree else len(agree)
    assert first[:shared] == second[:shared]
    assert not set(first[shared:]) & set(second[shared:])


def test_every_release_derives_the_same_ids() -> None:
    """Otherwise conflicting revisions of two releases would count each command twice."""
    history = ["M", "M", "L", "attack", "R"]
    assert decode(original(replay(Pose(), history), history)).request_ids == (
        "NI3V0MRI6wo",
        "UYMXwrxytxs",
        "ezN-bZl1VNc",
        "cQ0qBYZAZD8",
        "VTqHa0z4QJA",
    )


def test_a_document_whose_extra_fields_the_original_dropped_loses_no_command() -> None:
    ours = encode(Zergling.spawned(ID, Pose(1, 1, "S")).apply(CommandRequest.command("MRM")))
    theirs = {key: ours[key] for key in ("_id", "id", "location", "facing", "commandHistory")}
    again = decode(theirs)
    assert (again.pose, again.history, again.spawn) == (
        Pose(0, 0, "W"),
        ("M", "R", "M"),
        Pose(1, 1, "S"),
    )


def test_a_spawn_pose_beyond_the_edge_is_encoded_and_decoded() -> None:
    zergling = decode(original(Pose(2**53 - 1, 0, "W"), ["M"]))
    assert decode(encode(zergling)) == zergling


def test_a_zergling_that_merging_moved_beyond_the_edge_is_decoded() -> None:
    beyond = Zergling.spawned(ID, Pose(2**53, 0, "E"))
    assert decode(encode(beyond)) == beyond


@pytest.mark.parametrize(
    "change",
    [
        {"_id": "not-a-uuid"},
        {"_id": ID.upper()},
        {"_id": None},
        {"location": None},
        {"location": {"x": 1}},
        {"location": {"x": 1.5, "y": 0}},
        {"location": {"x": True, "y": 0}},
        {"location": {"x": STORED_COORDINATE_LIMIT + 1, "y": 0}, "facing": "N"},
        {"commandHistory": ["M"], "commandIds": [""]},
        {"facing": ""},
        {"facing": "NE"},
        {"facing": ["N"]},
        {"commandHistory": "MM"},
        {"commandHistory": [1]},
        {"commandIds": ["a", "b"]},
        {"commandIds": 7},
        {"spawn": {"facing": "N"}},
        {"base": {"location": {"x": 0, "y": 0}, "facing": "N", "count": -1, "chunk": None}},
        {"base": {"location": {"x": 0, "y": 0}, "facing": "N", "count": 0, "chunk": 3}},
        {"base": "here"},
    ],
)
def test_documents_that_are_not_zerglings_are_rejected(change: dict[str, Any]) -> None:
    document = encode(Zergling.spawned(ID, Pose()).apply(CommandRequest.command("M"))) | change
    with pytest.raises(NotAZergling):
        decode(document)


@pytest.mark.parametrize(
    ("text", "good"),
    [
        (ID, True),
        (ID.upper(), False),
        (ID.replace("-", ""), False),
        (f"{{{ID}}}", False),
        ("", False),
    ],
)
def test_ids_are_lower_case_uuids(text: str, good: bool) -> None:
    assert is_zergling_id(text) is good
