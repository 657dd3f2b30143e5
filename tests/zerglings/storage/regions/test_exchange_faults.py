"""Tests that an exchange finds regions that were restored, or that are one region."""

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
from zerglings.storage.regions.exchange import PeerBehind


def restore(region: Region, other: Region) -> None:
    """Replace a region by a copy that was made when it had 40 changes, 9 minutes before."""
    name = f"_local/{region.name}-{other.name}"
    region.checkpoints[name] = checkpoint(region.position(40), minute=1)
    region.documents = {number: at for number, at in region.documents.items() if at <= 40}
    region.latest = 40


@pytest.fixture
def equal(here: Region, there: Region) -> None:
    replicated(here, there, 50, minute=10)
    replicated(there, here, 70, minute=10)


@pytest.mark.usefixtures("equal")
def test_equal_regions_have_no_fault(here: Region, there: Region) -> None:
    assert exchange(here, there).fault() is None


@pytest.mark.usefixtures("equal")
def test_a_peer_that_is_this_region_itself_is_reported(here: Region, there: Region) -> None:
    there.uuid = here.uuid
    assert "COUCHDB_PEERS" in (exchange(here, there).fault() or "")
    with pytest.raises(PeerBehind, match="COUCHDB_PEERS"):
        exchange(here, there).complete()


@pytest.mark.usefixtures("equal")
def test_a_peer_behind_a_gateway_that_shows_only_databases_can_be_compared(
    here: Region, there: Region
) -> None:
    def ask_server(*_path: str, **_rest: object) -> dict[str, Any]:
        raise StoreUnavailable("CouchDB answered 404")

    there.ask_server = ask_server  # type: ignore[method-assign]
    exchange(here, there).complete()


@pytest.mark.usefixtures("equal")
def test_an_older_copy_of_this_region_is_reported(here: Region, there: Region) -> None:
    restore(here, there)
    assert "here" in (exchange(here, there).fault() or "")
    with pytest.raises(PeerBehind, match="Restore a region"):
        exchange(here, there).complete()


@pytest.mark.usefixtures("equal")
def test_an_older_copy_in_which_the_peer_has_written_since_is_reported(
    here: Region, there: Region
) -> None:
    restore(here, there)
    replicated(here, there, 50, minute=12)
    assert "here" in (exchange(here, there).fault() or "")
    here.copies = 3  # each counts by itself
    assert exchange(here, there).fault() is None


@pytest.mark.usefixtures("equal")
def test_an_older_copy_of_the_peer_is_reported(here: Region, there: Region) -> None:
    restore(there, here)
    assert "in east" in (exchange(here, there).fault() or "")
    with pytest.raises(PeerBehind, match="Restore a region"):
        exchange(here, there).complete()


@pytest.mark.usefixtures("equal")
def test_a_source_whose_checkpoint_is_newer_was_not_restored(here: Region, there: Region) -> None:
    """CouchDB writes the source's first."""
    here.checkpoints["_local/here-there"] = checkpoint("50-here", minute=11)
    there.checkpoints["_local/there-here"] = checkpoint("70-there", minute=11)
    assert exchange(here, there).fault() is None


@pytest.mark.usefixtures("equal")
def test_checkpoints_that_are_written_during_the_look_are_read_again(
    here: Region, there: Region
) -> None:
    """The source's list is read before both are written, the target's afterwards."""
    older, listed = checkpoint("45-here", minute=9), here.ask

    def ask(*path: str, **options: Any) -> dict[str, Any]:
        answer = listed(*path, **options)
        if path[1:] == ("_local_docs",):
            answer["rows"][0]["doc"] |= older
        return answer

    here.ask = ask  # type: ignore[method-assign]  # shows an old list
    assert exchange(here, there).fault() is None


@pytest.mark.usefixtures("equal")
def test_a_former_replication_into_this_region_does_not_look_like_a_restored_one(
    here: Region, there: Region
) -> None:
    """It stopped between the writes of its checkpoints, and goes on under another id."""
    there.checkpoints["_local/former"] = checkpoint("60-there", minute=3)
    here.checkpoints["_local/former"] = checkpoint("50-there", minute=2)
    assert exchange(here, there).fault() is None


@pytest.mark.usefixtures("equal")
def test_only_the_newest_checkpoint_of_the_peer_tells_whether_this_region_was_restored(
    here: Region, there: Region
) -> None:
    """Those of a former replication id stay as they are for ever."""
    for minute in range(5):
        here.checkpoints[f"_local/former-{minute}"] = checkpoint("20-here", minute=minute)
        there.checkpoints[f"_local/former-{minute}"] = checkpoint("40-here", minute=minute + 1)
    assert exchange(here, there).fault() is None


@pytest.mark.usefixtures("equal")
def test_a_database_that_was_created_again_was_not_restored(here: Region, there: Region) -> None:
    here.name = "new"
    here.checkpoints.clear()
    assert exchange(here, there).fault() is None


def test_a_region_that_cannot_be_read_costs_one_timeout(here: Region) -> None:
    there = Unreachable("there", 0)
    with pytest.raises(StoreUnavailable):
        exchange(here, there).fault()
    assert there.requests == 1
