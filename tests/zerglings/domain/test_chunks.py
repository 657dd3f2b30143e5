"""Tests for moving parts of long histories into chunks without loss."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zerglings.domain.chunks import LARGEST_CHUNK, Chunk, shorten
from zerglings.domain.document_format import NotAZergling
from zerglings.domain.pose import ORIGINAL_SPAWN, Pose, replay
from zerglings.domain.zergling import CommandRequest, Zergling

ID = "60dc1bb3-65ee-46c3-b357-c99055d78c0a"
START = Zergling.spawned(ID, Pose(3, -2, "E"))
TAIL = 10


def after(sizes: list[int]) -> Zergling:
    """A zergling with requests of these lengths."""
    requests = [
        CommandRequest(f"r{n}", tuple("MLMR"[(n + w) % 4] for w in range(size)))
        for n, size in enumerate(sizes)
    ]
    return START.merged_with(requests)


histories = st.lists(st.integers(1, 9) | st.just(1), max_size=60).map(after)


@given(histories)
def test_shortening_keeps_all_commands_in_order(zergling: Zergling) -> None:
    shorter, chunks = shorten(zergling, TAIL)
    words = [word for chunk in chunks for word in chunk.words]
    assert (*words, *shorter.history) == zergling.history
    assert shorter.command_count == len(zergling.history)
    assert (shorter.pose, shorter.spawn) == (zergling.pose, zergling.spawn)
    assert replay(shorter.base.pose, shorter.history) == zergling.pose


@given(histories)
def test_the_newest_commands_stay_and_no_request_is_split(zergling: Zergling) -> None:
    shorter, chunks = shorten(zergling, TAIL)
    if len(zergling.history) <= 2 * TAIL:
        assert (shorter, chunks) == (zergling, [])
    assert len(shorter.history) >= min(TAIL, len(zergling.history))
    assert len(shorter.history) <= 2 * TAIL + 9
    parts = [chunk.requests() for chunk in chunks] + [tuple(shorter.requests())]
    assert [request for part in parts for request in part] == list(zergling.requests())


@given(histories)
def test_each_chunk_continues_the_previous_one(zergling: Zergling) -> None:
    shorter, chunks = shorten(zergling, TAIL)
    previous, end, pose = None, 0, zergling.spawn
    for chunk in chunks:
        assert (chunk.previous, chunk.start, chunk.before) == (previous, end, pose)
        assert replay(chunk.before, chunk.words) == chunk.after
        previous, end, pose = chunk.id, chunk.end, chunk.after
    assert (shorter.base.chunk, shorter.base.count, shorter.base.pose) == (previous, end, pose)


@given(histories)
def test_a_stored_chunk_is_read_back_and_named_by_its_content(zergling: Zergling) -> None:
    for chunk in shorten(zergling, TAIL)[1]:
        document = chunk.encode() | {"_rev": "1-a"}
        assert Chunk.decode(document) == chunk
        assert document["_id"].startswith(f"{ID}:{chunk.start:016d}:")
        with pytest.raises(NotAZergling):
            Chunk.decode(document | {"commands": ["?", *chunk.words[1:]]})


def test_chunks_are_limited_in_size_unless_one_request_is_larger() -> None:
    _, chunks = shorten(after([400] * 10 + [1] * TAIL), TAIL)
    assert [len(chunk.words) for chunk in chunks] == [800] * 4 + [400] * 2
    _, chunks = shorten(after([1, LARGEST_CHUNK + 50, 1] + [1] * 3 * TAIL), TAIL)
    assert [len(chunk.words) for chunk in chunks] == [1, LARGEST_CHUNK + 50, 1 + TAIL]


def test_a_long_request_stays_until_enough_others_have_followed() -> None:
    alone = after([500])
    assert shorten(alone, TAIL) == (alone, [])
    followed = after([500] + [1] * TAIL)
    assert len(shorten(followed, TAIL)[0].history) == TAIL


def test_a_dead_zergling_is_not_shortened() -> None:
    dead = after([1] * 50).merged_with([CommandRequest.death(7.0)])
    assert shorten(dead, TAIL) == (dead, [])
    assert dead.is_dead


@pytest.mark.parametrize(
    "damage",
    [
        {"start": "0"},
        {"before": None},
        {"commands": "MM"},
        {"commandIds": []},
        {"chunk": 7},
        {"_id": "x"},
    ],
)
def test_a_damaged_chunk_is_rejected(damage: dict[str, object]) -> None:
    (chunk,) = shorten(after([1] * 30), TAIL)[1]
    with pytest.raises(NotAZergling):
        Chunk.decode(chunk.encode() | damage)


def test_equal_content_gives_equal_chunk_ids() -> None:
    one = shorten(after([1] * 30), TAIL)[1]
    other = shorten(replace(after([1] * 30), revision="77-x"), TAIL)[1]
    assert [chunk.id for chunk in one] == [chunk.id for chunk in other]


def test_no_chunk_ends_at_the_spawn_pose() -> None:
    words = [*"MRRMRRLRLR", "jump", *"M" * TAIL]
    turning = START.merged_with([CommandRequest(f"r{n}", (word,)) for n, word in enumerate(words)])
    assert replay(START.pose, words[: TAIL + 1]) == START.pose
    _, (chunk,) = shorten(turning, TAIL)
    assert chunk.after != START.pose
    assert len(chunk.words) == TAIL - 1


def test_attempts_after_a_lost_race_cut_at_the_same_place() -> None:
    def walking(words: int) -> Zergling:
        return START.merged_with([CommandRequest(f"r{n}", ("M",)) for n in range(words)])

    ids = {shorten(walking(2 * TAIL + more), TAIL)[1][0].id for more in range(1, TAIL)}
    assert len(ids) == 1


def test_a_history_that_always_returns_to_the_spawn_pose_is_cut_later() -> None:
    def circling(times: int) -> Zergling:
        return START.merged_with([CommandRequest(f"r{n}", ("R",) * 4) for n in range(times)])

    assert shorten(circling(TAIL), TAIL)[1] == []
    assert shorten(circling(TAIL + 1), TAIL)[1] != []


@given(st.lists(st.sampled_from("LRM"), min_size=4 * TAIL, max_size=8 * TAIL))
def test_a_chunk_ends_where_no_history_begins_if_it_can(words: list[str]) -> None:
    start = Pose(1, 0, "E")
    requests = [CommandRequest(f"r{number}", (word,)) for number, word in enumerate(words)]
    zergling = Zergling.spawned(ID, start).merged_with(requests)
    for chunk in shorten(zergling, TAIL)[1]:
        assert chunk.after not in {start, ORIGINAL_SPAWN}
