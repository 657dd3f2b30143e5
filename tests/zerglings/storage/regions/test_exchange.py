"""Tests that an exchange between regions ends exactly when both have each other's changes."""

from __future__ import annotations

from typing import Any

import pytest

from tests.zerglings.storage.regions.regions_in_memory import (
    Region,
    Unreachable,
    checkpoint,
    exchange,
    replicated,
)
from zerglings.storage.base import StoreUnavailable
from zerglings.storage.regions import delivery
from zerglings.storage.regions.exchange import PeerBehind


def test_regions_that_have_everything_are_complete(here: Region, there: Region) -> None:
    replicated(here, there, 50)
    replicated(there, here, 70)
    exchange(here, there).complete()


def test_empty_regions_are_complete_without_any_checkpoint() -> None:
    exchange(Region("here", 0), Region("there", 0)).complete()


@pytest.mark.parametrize(("sent", "received"), [(49, 70), (50, 69), (0, 70), (50, 0)])
def test_a_direction_that_lags_is_reported(
    here: Region, there: Region, sent: int, received: int
) -> None:
    replicated(here, there, sent)
    replicated(there, here, received)
    with pytest.raises(PeerBehind, match="east"):
        exchange(here, there).complete()


def test_a_direction_without_a_replication_is_reported(here: Region, there: Region) -> None:
    replicated(there, here, 70)
    with pytest.raises(PeerBehind):
        exchange(here, there).complete()


@pytest.mark.parametrize(
    "elsewhere", [None, checkpoint("50-here", session="other"), checkpoint("40-here")]
)
def test_a_position_on_which_the_ends_disagree_does_not_count(
    here: Region, there: Region, elsewhere: dict[str, Any] | None
) -> None:
    replicated(there, here, 70)
    here.checkpoints["_local/here-there"] = checkpoint("50-here")
    if elsewhere is not None:
        there.checkpoints["_local/here-there"] = elsewhere
    with pytest.raises(PeerBehind):
        exchange(here, there).complete()


def test_the_position_of_the_other_direction_does_not_count(here: Region, there: Region) -> None:
    replicated(there, here, 70)
    here.change(*range(1, 51))
    with pytest.raises(PeerBehind):
        exchange(here, there).complete()


def never(_seconds: float) -> None:
    raise AssertionError("it waits although everything is there")


def test_regions_that_have_everything_need_no_checkpoint(here: Region, there: Region) -> None:
    """CouchDB stores one only every 30 seconds."""
    replicated(here, there, 20)
    there.receive(here, 50)
    here.receive(there, 70)
    exchange(here, there, never, limit=60).complete()


def test_it_waits_until_the_changes_that_existed_at_the_start_have_arrived(
    here: Region, there: Region
) -> None:
    replicated(here, there, 10)
    replicated(there, here, 70)
    first_leaves = {(number, "1-here") for number in here.documents}
    reached = [10]

    def go_on(_seconds: float) -> None:
        here.change(1, 2, 3, 49)  # the region keeps taking commands
        reached.append(reached[-1] + 20)
        there.known |= {(number, leaf) for number, leaf in first_leaves if number <= reached[-1]}

    exchange(here, there, go_on, limit=60).complete()
    assert reached == [10, 30, 50]
    assert here.lists == 1, "the changes are listed once while no new checkpoint is there"


def test_documents_that_change_again_do_not_hide_a_lag(here: Region, there: Region) -> None:
    replicated(here, there, 47)
    replicated(there, here, 70)

    def keep_moving(_seconds: float) -> None:
        here.change(48, 49, 50)

    with pytest.raises(PeerBehind, match="missing: 3"):
        exchange(here, there, keep_moving, limit=0.01).complete()


def test_a_later_revision_in_the_peer_does_not_hide_a_rival_that_it_lacks(
    here: Region, there: Region
) -> None:
    replicated(here, there, 50)
    replicated(there, here, 70)
    here.change(7)
    there.known.add((7, "9-there"))
    with pytest.raises(PeerBehind, match="missing: 1"):
        exchange(here, there).complete()


def test_each_leaf_of_a_document_must_arrive(here: Region, there: Region) -> None:
    replicated(here, there, 50)
    replicated(there, here, 70)
    here.add_leaf(7, "3-rival")
    with pytest.raises(PeerBehind, match="missing: 1"):
        exchange(here, there).complete()
    there.receive(here, 51)
    exchange(here, there, never, limit=60).complete()


def test_a_busy_document_has_arrived_with_a_later_leaf(here: Region, there: Region) -> None:
    """The peer never learns the earlier one, because CouchDB remembers few revisions."""
    replicated(here, there, 49)
    replicated(there, here, 70)
    pauses: list[float] = []

    def go_on(seconds: float) -> None:
        pauses.append(seconds)
        if len(pauses) == 1:
            here.change(50)
            replicated(here, there, 50)  # all but the latest change, which is on its way
        else:
            assert len(pauses) == 2
            there.receive(here, here.latest)
            here.change(50)

    exchange(here, there, go_on, limit=60).complete()
    assert (50, "1-here") not in there.known


def test_what_lies_before_a_new_checkpoint_has_arrived(here: Region, there: Region) -> None:
    """The peer may have purged it since, so that it does not know it any more."""
    replicated(here, there, 40)
    replicated(there, here, 70)

    def go_on(_seconds: float) -> None:
        replicated(here, there, 50)
        there.known.discard((45, "1-here"))

    exchange(here, there, go_on, limit=60).complete()


def test_a_checkpoint_that_is_being_written_changes_nothing(here: Region, there: Region) -> None:
    """The ends disagree for a moment."""
    replicated(here, there, 40)
    replicated(there, here, 70)

    def go_on(_seconds: float) -> None:
        here.checkpoints["_local/here-there"] = checkpoint("50-here", minute=1)
        there.receive(here, 50)

    exchange(here, there, go_on, limit=60).complete()
    assert here.lists == 1


@pytest.mark.parametrize("page", [1, 7, 10])
def test_changes_are_listed_in_pages(
    here: Region, there: Region, page: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(delivery, "PAGE", page)
    replicated(here, there, 40)
    replicated(there, here, 70)
    with pytest.raises(PeerBehind, match="missing: 10"):
        exchange(here, there).complete()
    there.receive(here, 50)
    exchange(here, there, never, limit=60).complete()


def test_too_many_changes_count_as_missing_until_a_later_checkpoint(
    here: Region, there: Region, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(delivery, "MAX_LISTED", 20)
    replicated(here, there, 10)
    replicated(there, here, 70)
    there.receive(here, 50)
    with pytest.raises(PeerBehind, match="more than 20 changes"):
        exchange(here, there).complete()

    def go_on(_seconds: float) -> None:
        replicated(here, there, 30)

    exchange(here, there, go_on, limit=60).complete()


def test_only_the_newest_checkpoint_of_the_peer_counts(here: Region, there: Region) -> None:
    """From those of former replication ids, the list would be longer."""
    for minute in range(5):
        former = checkpoint("10-here", minute=minute)
        here.checkpoints[f"_local/former-{minute}"] = former
        there.checkpoints[f"_local/former-{minute}"] = former
    replicated(here, there, 50, minute=10)
    replicated(there, here, 70, minute=10)
    there.known.clear()
    exchange(here, there, never, limit=60).complete()


class StillWaiting(Exception):
    """It waits although a test has done everything."""


def test_the_second_direction_counts_from_the_end_of_the_first(here: Region, there: Region) -> None:
    replicated(here, there, 10)
    replicated(there, here, 70)
    pauses: list[float] = []

    def go_on(seconds: float) -> None:
        if pauses:
            raise StillWaiting
        pauses.append(seconds)
        replicated(here, there, 50)
        there.change(1)  # written before the peer knew what this region had written

    with pytest.raises(StillWaiting):
        exchange(here, there, go_on, limit=60).complete()


def test_a_failed_request_is_repeated(here: Region, there: Region) -> None:
    replicated(here, there, 50)
    replicated(there, here, 70)
    failures = [StoreUnavailable("lost")]
    answer = there.ask

    def ask(*arguments: str, **options: Any) -> dict[str, Any]:
        if failures:
            raise failures.pop()
        return answer(*arguments, **options)

    there.ask = ask  # type: ignore[method-assign]  # fails once
    exchange(here, there, limit=60).complete()


def test_a_region_that_cannot_be_read_is_reported(here: Region) -> None:
    with pytest.raises(PeerBehind, match="cannot be compared with peer east"):
        exchange(here, Unreachable("there", 0)).complete()


def test_faults_are_looked_for_once_before_each_wait(here: Region, there: Region) -> None:
    replicated(here, there, 10)
    replicated(there, here, 70)
    reached = [10]

    def go_on(_seconds: float) -> None:
        reached.append(reached[-1] + 10)
        replicated(here, there, reached[-1])

    exchange(here, there, go_on, limit=60).complete()
    assert reached == [10, 20, 30, 40, 50]
    assert here.welcomes == 2, "one for each direction"
