"""Property tests: merging any leaves, in any order, gives the same history."""

from __future__ import annotations

from dataclasses import replace
from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zerglings.domain.chunks import shorten
from zerglings.domain.document_format import decode, encode
from zerglings.domain.merging import Leaf, merge
from zerglings.domain.pose import Pose, replay
from zerglings.domain.zergling import DIED, CommandRequest, Zergling

ID = "60dc1bb3-65ee-46c3-b357-c99055d78c0a"
START = Zergling.spawned(ID, Pose())

request_ids = st.integers(0, 30).map("r{}".format)
"""Few ids, so that conflicting revisions often share requests."""

words = st.lists(st.sampled_from("LRM"), min_size=1, max_size=4)


@st.composite
def requests(draw: st.DrawFn) -> CommandRequest:
    """A request whose commands are determined by its id."""
    number = draw(st.integers(0, 30))
    if number == 30:
        return CommandRequest("death@7", (DIED,))
    return CommandRequest(
        f"r{number}", tuple("LRM"[(number + place) % 3] for place in range(number % 4 + 1))
    )


def leaf_of(history: list[CommandRequest], revision: str) -> Leaf:
    unique = list({request.id: request for request in history}.values())
    return Leaf(replace(START.merged_with(unique), revision=revision))


@st.composite
def rivals(draw: st.DrawFn) -> list[Leaf]:
    """Leaves with a common beginning and different continuations and revisions."""
    shared = draw(st.lists(requests(), max_size=5))
    rests = draw(st.lists(st.lists(requests(), max_size=6), min_size=1, max_size=5))
    return [
        leaf_of(shared + rest, f"{len(shared) + len(rest) + 1}-{number:032x}")
        for number, rest in enumerate(rests)
    ]


def ids(zergling: Zergling) -> list[str]:
    return [request.id for request in zergling.requests()]


@given(rivals())
def test_merging_is_independent_of_the_order_of_leaves(leaves: list[Leaf]) -> None:
    documents = [encode(merge(order)) for order in list(permutations(leaves))[:24]]
    assert all(document == documents[0] for document in documents)


@given(rivals())
def test_merging_loses_and_duplicates_no_request(leaves: list[Leaf]) -> None:
    merged = ids(merge(leaves))
    assert len(merged) == len(set(merged))
    assert set(merged) == {id_ for leaf in leaves for id_ in ids(leaf.zergling)}


@given(rivals())
def test_requests_stay_whole_and_lead_to_the_pose(leaves: list[Leaf]) -> None:
    merged = merge(leaves)
    given_words = {r.id: r.words for leaf in leaves for r in leaf.zergling.requests()}
    assert {request.id: request.words for request in merged.requests()} == given_words
    assert replay(merged.spawn, merged.history) == merged.pose


@given(rivals())
def test_the_winners_history_comes_first(leaves: list[Leaf]) -> None:
    winner = max(leaves, key=lambda leaf: leaf.rank).zergling
    merged = merge(leaves)
    assert merged.history[: len(winner.history)] == winner.history
    assert merged.revision == winner.revision


@given(rivals(), st.data())
def test_merging_again_changes_nothing(leaves: list[Leaf], data: st.DataObject) -> None:
    merged = merge(leaves)
    generation = int((merged.revision or "0-").partition("-")[0]) + 1
    stored = Leaf(replace(merged, revision=f"{generation}-0"))
    some = data.draw(st.lists(st.sampled_from(leaves), max_size=4))
    assert encode(merge([stored, *some])) == encode(stored.zergling)


@given(rivals(), rivals())
def test_different_partial_merges_converge(some: list[Leaf], others: list[Leaf]) -> None:
    one = Leaf(replace(merge(some), revision="90-a"))
    other = Leaf(replace(merge(others), revision="90-b"))
    both = merge([one, other])
    assert set(ids(both)) == set(ids(one.zergling)) | set(ids(other.zergling))
    assert encode(both) == encode(merge([other, one]))


@given(rivals())
def test_death_wins(leaves: list[Leaf]) -> None:
    assert merge(leaves).is_dead == any(leaf.zergling.is_dead for leaf in leaves)


@given(rivals())
def test_a_merged_document_is_decoded_unchanged(leaves: list[Leaf]) -> None:
    merged = merge(leaves)
    assert decode(encode(merged)) == merged


@given(rivals())
def test_older_requests_count_as_part_of_their_leaf(leaves: list[Leaf]) -> None:
    older = tuple(CommandRequest(f"old{number}", ("M",)) for number in range(3))
    everyone = [replace(leaf, older=older) for leaf in leaves]
    assert encode(merge(everyone)) == encode(merge(leaves))


def test_older_requests_of_a_losing_leaf_are_not_lost() -> None:
    old = CommandRequest("old", ("M", "M"))
    winner = Leaf(replace(START.merged_with([CommandRequest("a", ("L",))]), revision="9-a"))
    rival = Leaf(
        replace(START.merged_with([CommandRequest("b", ("R",))]), revision="8-b"), older=(old,)
    )
    assert ids(merge([winner, rival])) == ["a", "old", "b"]


def stripped(history: str, revision: str) -> Leaf:
    """A leaf written by the original service: without ids, spawn and base."""
    pose = replay(Pose(), history)
    document = {
        "_id": ID,
        "_rev": revision,
        "id": ID,
        "location": {"x": pose.x, "y": pose.y},
        "facing": pose.facing,
        "commandHistory": list(history),
    }
    return Leaf(decode(document))


def test_a_leaf_without_ids_takes_the_ids_of_a_leaf_with_the_same_beginning() -> None:
    mine = START.merged_with([CommandRequest("a", ("M", "L")), CommandRequest("b", ("M",))])
    for revision in ("2-a", "9-a"):
        merged = merge([Leaf(replace(mine, revision="3-b")), stripped("MLMR", revision)])
        assert sorted(merged.history) == sorted("MLMR")
        assert {"a", "b"} <= set(ids(merged))
        assert len(ids(merged)) == 3


def test_a_partly_shared_request_is_not_shared() -> None:
    mine = Leaf(replace(START.merged_with([CommandRequest("a", ("M", "L", "M"))]), revision="3-b"))
    merged = merge([mine, stripped("MR", "2-a")])
    assert merged.history == ("M", "L", "M", "M", "R")


def test_leaves_without_ids_share_their_common_beginning() -> None:
    merged = merge([stripped("MLM", "4-b"), stripped("MLR", "4-a")])
    assert merged.history == ("M", "L", "M", "R")


def followed(leaf: Leaf, revision: str, *requests: CommandRequest) -> Leaf:
    """The service's next write after a leaf."""
    return Leaf(replace(leaf.zergling.merged_with(requests), revision=revision))


MINE = START.merged_with([CommandRequest("a", ("M", "L")), CommandRequest("b", ("M",))])
X, Y = CommandRequest("x", ("R", "R", "L")), CommandRequest("y", ("L", "R"))


@pytest.mark.parametrize("revisions", [("9-a", "8-b"), ("8-a", "9-b")])
def test_lost_ids_are_taken_from_a_rival_also_after_the_next_write(
    revisions: tuple[str, str],
) -> None:
    lost = followed(stripped("MLMR", "4-a"), revisions[0], Y)
    kept = followed(Leaf(MINE), revisions[1], X)
    merged = merge([lost, kept])
    assert sorted(merged.history) == sorted("MLMRLRRRL")
    assert {"a", "b", "x", "y"} <= set(ids(merged))
    assert merge([followed(Leaf(merged), "20-a"), lost, kept]).history == merged.history


def test_lost_ids_of_words_in_a_chunk_are_recognised_too() -> None:
    lost = stripped("MLMR", "4-a")
    for revisions in (("9-a", "8-b"), ("8-a", "9-b")):
        cut = Leaf(
            replace(MINE.merged_with([Y]), history=("L", "R"), request_ids=("y", "")),
            older=tuple(lost.zergling.requests()),
        )
        merged = merge(
            [
                replace(cut, zergling=replace(cut.zergling, revision=revisions[0])),
                followed(Leaf(MINE), revisions[1], X),
            ]
        )
        older = 4 if revisions[0] == "9-a" else 0
        assert older + len(merged.history) == len("MLMRLRRRL")
        assert decode(encode(merged)) == merged


def test_a_request_that_begins_in_a_chunk_keeps_its_ids_in_the_document() -> None:
    lost = stripped("MLM", "4-a").zergling
    older = tuple(lost.requests())[:1]
    cut = Leaf(replace(lost, history=("L", "M"), request_ids=lost.request_ids[1:]), older)
    merged = merge([replace(cut, zergling=replace(cut.zergling, revision="9-a")), Leaf(MINE)])
    assert merged.history == ("L", "M")
    assert list(merged.request_ids) == [lost.request_ids[1], "b"]


def test_equal_commands_with_ids_stay_two_commands() -> None:
    lost = stripped("ML", "4-a")
    one = followed(lost, "9-a", CommandRequest("x", ("M",)))
    other = followed(lost, "8-a", CommandRequest("y", ("M",)))
    assert merge([one, other]).history == ("M", "L", "M", "M")


def test_ids_lost_at_different_beginnings_are_recognised() -> None:
    """Each is derived from the words since the beginning of its document."""
    whole = stripped("MLMR", "4-a")
    tail = stripped("MR", "5-a").zergling
    cut = Leaf(replace(tail, revision="9-a"), older=tuple(whole.zergling.requests())[:2])
    assert merge([cut, whole]).history == ("M", "R")
    assert merge([replace(cut, zergling=replace(tail, revision="3-a")), whole]).history == (
        *"MLMR",
    )


@given(st.lists(requests(), max_size=4), rivals(), st.text("LRM", max_size=6), st.integers(0, 90))
def test_a_leaf_without_ids_whose_past_has_ids_merges_to_a_document(
    older: list[CommandRequest], leaves: list[Leaf], history: str, generation: int
) -> None:
    """Its commands start at the end of its chunk, which may be anywhere in another leaf."""
    past = tuple({request.id: request for request in older}.values())
    bare = stripped(history, f"{generation}-f")
    merged = merge([replace(bare, older=past), *leaves])
    assert decode(encode(merged)) == merged
    assert len(ids(merged)) == len(set(ids(merged)))


def whole(leaf: Leaf) -> list[str]:
    return [word for request in leaf.requests() for word in request.words]


@pytest.mark.parametrize("revisions", [("9-a", "8-b"), ("8-a", "9-b")])
@pytest.mark.parametrize("chunk_id", ["-" * 11, "z" * 11])
@pytest.mark.parametrize("chunk", "LRM")
def test_documents_that_begin_with_the_same_words_at_different_places_are_told_apart(
    chunk: str, chunk_id: str, revisions: tuple[str, str]
) -> None:
    """Both derive the same id, one for its first word, the other for its second."""
    after_chunk = stripped(chunk + "L", revisions[0]).zergling
    longer = Leaf(after_chunk, older=(CommandRequest(chunk_id, (chunk,)),))
    merged = merge([longer, stripped(chunk * 2, revisions[1])])
    older = longer.older if revisions[0] > revisions[1] else ()
    assert whole(Leaf(merged, older)) == [*chunk * 2, "L"]


@pytest.mark.parametrize("kept", ["M", "ML"])
def test_ids_are_taken_from_a_rival_that_is_not_the_most_similar(kept: str) -> None:
    """Both longer leaves have lost the ids, and each has more words in common with the other."""
    shortest = Leaf(replace(START.merged_with([CommandRequest("a", tuple(kept))]), revision="2-a"))
    leaves = [shortest, stripped("MLR", "4-b"), stripped("MLRM", "5-c")]
    for order in permutations(leaves):
        merged = merge(order)
        assert merged.history == tuple("MLRM")
        assert ids(merged)[0] == "a"


class Past:
    """Writes of one history, one after the other, in chunks and without. Nothing is concurrent."""

    def __init__(self) -> None:
        self.leaves = [Leaf(replace(START, revision="1-0"))]

    def command(self, words: list[str]) -> None:
        """Write as this service does. It may move the oldest words into a chunk."""
        last = self.leaves[-1]
        request = CommandRequest(f"request {len(self.leaves)}", tuple(words))
        shorter, chunks = shorten(last.zergling.apply(request), 2)
        older = [request for chunk in chunks for request in chunk.requests()]
        self._add(shorter, (*last.older, *older))

    def original(self, word: str) -> None:
        """Write as the original does; the base is found again."""
        last = self.leaves[-1]
        document = encode(last.zergling.apply(CommandRequest("lost", (word,))))
        del document["commandIds"]
        self._add(decode(document), last.older)

    def _add(self, zergling: Zergling, older: tuple[CommandRequest, ...]) -> None:
        revision = f"{len(self.leaves) + 1}-0"
        self.leaves.append(Leaf(replace(zergling, revision=revision), older))


@given(st.lists(st.sampled_from("LRM") | words, max_size=12), st.data())
def test_leaves_of_which_each_continues_the_one_before_merge_to_the_longest(
    written: list[str | list[str]], data: st.DataObject
) -> None:
    past = Past()
    for each in written:
        past.original(each) if isinstance(each, str) else past.command(each)
    leaves = data.draw(st.lists(st.sampled_from(past.leaves), min_size=1, max_size=5, unique_by=id))
    longest = max(leaves, key=lambda leaf: leaf.rank)
    for order in (leaves, leaves[::-1]):
        merged = merge(order)
        assert whole(Leaf(merged, longest.older)) == whole(longest)
        assert merged.pose == longest.zergling.pose
