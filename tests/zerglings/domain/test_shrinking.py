"""Tests for shortening documents that are too large, of living and of dead zerglings."""

from __future__ import annotations

import uuid

from hypothesis import given
from hypothesis import strategies as st

from zerglings.domain.document_format import decode, encode
from zerglings.domain.pose import Pose
from zerglings.domain.shrinking import CHUNK_SIZE, smaller_forms
from zerglings.domain.zergling import CommandRequest, Zergling
from zerglings.transfer.lineage import check_chunk, check_zergling

KEEP = 100
LIVES = st.lists(st.text("MLR", min_size=1, max_size=120), min_size=1, max_size=40)


def lived(requests: list[str]) -> Zergling:
    zergling = Zergling.spawned(str(uuid.uuid4()), Pose())
    for words in requests:
        zergling = zergling.apply(CommandRequest.command(words))
    return zergling


@given(LIVES, st.integers(0, 2000))
def test_shortened_living_zerglings_keep_all_commands_in_order(
    requests: list[str], stored: int
) -> None:
    zergling = lived(requests)
    stored = min(stored, len(zergling.history))
    for shorter, chunks in smaller_forms(zergling, KEEP, stored):
        assert sum((chunk.words for chunk in chunks), ()) + shorter.history == zergling.history
        assert len(shorter.history) >= KEEP
        assert sum(len(chunk.words) for chunk in chunks) <= stored
        assert all(len(c.words) <= CHUNK_SIZE or len(list(c.requests())) == 1 for c in chunks)
        for before, chunk in zip([None, *chunks], chunks, strict=False):
            check_chunk(chunk, before)
        check_zergling(shorter, chunks[-1])
        assert decode(encode(shorter)) == shorter


@given(LIVES, st.lists(st.text("ML", min_size=1, max_size=3), max_size=2))
def test_the_last_form_of_a_dead_zergling_is_minimal(requests: list[str], later: list[str]) -> None:
    zergling = lived(requests)
    dead = zergling.apply(CommandRequest.death(7))
    dead = dead.merged_with([CommandRequest.command(words) for words in later])
    *_, (bare, chunks) = smaller_forms(dead, KEEP, len(zergling.history))
    assert bare.is_dead
    assert chunks == []
    assert len(bare.history) == 1
    assert decode(encode(bare)) == bare
    check_zergling(bare, None)


@given(LIVES)
def test_the_first_form_of_a_dead_zergling_loses_nothing(requests: list[str]) -> None:
    zergling = lived(requests)
    dead = zergling.apply(CommandRequest.death(7))
    shorter, chunks = next(iter(smaller_forms(dead, KEEP, len(zergling.history))))
    assert shorter.is_dead
    assert sum((chunk.words for chunk in chunks), ()) + shorter.history == dead.history
