"""Tests that an exchange between regions ends exactly when both have each other's changes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import pytest

from zerglings.storage.base import StoreUnavailable
from zerglings.storage.couchdb.database import Database
from zerglings.storage.regions.exchange import Exchange, PeerBehind


class Region:
    """Answers as a CouchDB database: a change moves its document to the end of the changes."""

    def __init__(self, name: str, documents: int, shards: int = 1) -> None:
        self.name = self.uuid = name
        self.shards, self.copies = shards, 1
        self.latest = documents
        self.documents = {number: number for number in range(1, documents + 1)}
        self.checkpoints: dict[str, dict[str, Any]] = {}

    def change(self, *numbers: int) -> None:
        for number in numbers:
            self.latest += 1
            self.documents[number] = self.latest

    def position(self, number: int) -> str:
        return f"{number}-{self.name}"

    def cluster(self, _timeout: float) -> dict[str, int]:
        return {"q": self.shards, "n": self.copies}

    def ask_server(self, *path: str, **_rest: object) -> dict[str, Any]:
        return {"id": "there-here+continuous"} if path else {"version": "3.5.2", "uuid": self.uuid}

    def ask(
        self, _method: str, *path: str, params: dict[str, str] | None = None, **_rest: object
    ) -> dict[str, Any]:
        if path == ("_local_docs",):
            rows = [{"doc": {"_id": id_} | each} for id_, each in self.checkpoints.items()]
            return {"rows": [*rows, {"doc": {"_id": "_local/other"}}]}
        if path[0] == "_local":
            return self.checkpoints["/".join(path)]
        assert params is not None
        number, _, source = params["since"].partition("-")
        if params["since"] == "now":
            after = self.latest
        else:  # CouchDB starts again at 0 for a position of another database
            after = int(number) if source == self.name else 0
        left = sum(at > after for at in self.documents.values())
        shown = min(left, int(params["limit"]))
        return {
            "results": [{}] * shown,
            "pending": left - shown,
            "last_seq": self.position(after),
        }


class Unreachable(Region):
    requests = 0

    def ask(self, *_args: object, **_rest: object) -> dict[str, Any]:
        self.requests += 1
        raise StoreUnavailable("CouchDB cannot be reached")

    ask_server = ask


def exchange(
    here: Region, there: Region, pause: Callable[[float], None] = lambda _: None, limit: float = 0
) -> Exchange:
    databases = cast("tuple[Database, Database]", (here, there))
    return Exchange("east", *databases, limit=limit, pause=pause)


def checkpoint(position: str, *, minute: int = 0, session: str = "s") -> dict[str, Any]:
    history = [{"end_time": f"Sat, 28 Nov 2026 08:{minute:02}:00 GMT"}, {"end_time": ""}]
    return {"session_id": session, "source_last_seq": position, "history": history}


def replicated(source: Region, target: Region, number: int, *, minute: int = 0) -> None:
    """Store how far a replication is, as CouchDB does at both ends."""
    name = f"_local/{source.name}-{target.name}"
    stored = checkpoint(source.position(number), minute=minute)
    source.checkpoints[name] = target.checkpoints[name] = stored


@pytest.fixture
def here() -> Region:
    return Region("here", 50)


@pytest.fixture
def there() -> Region:
    return Region("there", 70)


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


def test_documents_that_change_again_do_not_hide_a_lag(here: Region, there: Region) -> None:
    """They leave the changes before the wanted position, which then seem to have arrived."""
    replicated(here, there, 47)
    replicated(there, here, 70)

    def keep_moving(_seconds: float) -> None:
        here.change(48, 49, 50)

    with pytest.raises(PeerBehind):
        exchange(here, there, keep_moving, limit=0.01).complete()


def test_the_position_of_the_other_direction_does_not_count(here: Region, there: Region) -> None:
    replicated(there, here, 70)
    here.change(*range(1, 51))
    with pytest.raises(PeerBehind):
        exchange(here, there).complete()


def test_with_several_shards_only_a_source_without_later_changes_counts() -> None:
    here, there = Region("here", 50, shards=2), Region("there", 70, shards=2)
    replicated(here, there, 50)
    replicated(there, here, 70)
    exchange(here, there).complete()
    here.change(1)
    replicated(here, there, 50)
    with pytest.raises(PeerBehind):
        exchange(here, there).complete()


def test_it_waits_until_the_changes_that_existed_at_the_start_have_arrived(
    here: Region, there: Region
) -> None:
    replicated(here, there, 10)
    replicated(there, here, 70)
    reached = [10]

    def go_on(_seconds: float) -> None:
        here.change(1, 2, 3)  # the region keeps taking commands
        reached.append(reached[-1] + 20)
        replicated(here, there, reached[-1])

    exchange(here, there, go_on, limit=60).complete()
    assert reached == [10, 30, 50]


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


def test_a_region_that_cannot_be_read_costs_one_timeout(here: Region) -> None:
    there = Unreachable("there", 0)
    with pytest.raises(StoreUnavailable):
        exchange(here, there).fault()
    assert there.requests == 1


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
def test_a_database_that_was_created_again_was_not_restored(here: Region, there: Region) -> None:
    here.name = "new"
    here.checkpoints.clear()
    assert exchange(here, there).fault() is None
