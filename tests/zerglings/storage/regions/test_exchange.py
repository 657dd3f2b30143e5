"""Tests that an exchange between regions ends exactly when both have each other's changes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import pytest

from zerglings.storage.base import StoreUnavailable
from zerglings.storage.couchdb.database import Database
from zerglings.storage.regions import delivery
from zerglings.storage.regions.exchange import Exchange, PeerBehind


class Region:
    """Answers as a CouchDB database: a change moves its document to the end of the changes."""

    def __init__(self, name: str, documents: int) -> None:
        self.name = self.uuid = name
        self.copies = 1
        self.latest = documents
        self.documents = {number: number for number in range(1, documents + 1)}
        self.leaves = {number: [f"1-{name}"] for number in self.documents}
        self.known = {(number, f"1-{name}") for number in self.documents}
        self.checkpoints: dict[str, dict[str, Any]] = {}
        self.welcomes = self.lists = 0

    def change(self, *numbers: int) -> None:
        """Give each document a new revision in place of its last leaf."""
        for number in numbers:
            generation = int(self.leaves[number].pop().partition("-")[0])
            self.add_leaf(number, f"{generation + 1}-{self.name}")

    def add_leaf(self, number: int, revision: str) -> None:
        self.latest += 1
        self.documents[number] = self.latest
        self.leaves[number].append(revision)
        self.known.add((number, revision))

    def receive(self, source: Region, up_to: int) -> None:
        """Store all leaves of the documents that were last changed up to a position."""
        for number, at in source.documents.items():
            if at <= up_to:
                self.known.update((number, leaf) for leaf in source.leaves[number])

    def position(self, number: int) -> str:
        return f"{number}-{self.name}"

    def cluster(self, _timeout: float) -> dict[str, int]:
        return {"n": self.copies}

    def ask_server(self, *path: str, **_rest: object) -> dict[str, Any]:
        self.welcomes += not path
        return {"id": "there-here+continuous"} if path else {"version": "3.5.2", "uuid": self.uuid}

    def ask(
        self,
        _method: str,
        *path: str,
        params: dict[str, str] | None = None,
        body: Any = None,
        **_rest: object,
    ) -> dict[str, Any]:
        if path == ("_local_docs",):
            rows = [{"doc": {"_id": id_} | each} for id_, each in self.checkpoints.items()]
            return {"rows": [*rows, {"doc": {"_id": "_local/other"}}]}
        if path[0] == "_local":
            return self.checkpoints["/".join(path)]
        if path == ("_revs_diff",):
            return {
                id_: {"missing": [rev for rev in revisions if (int(id_), rev) not in self.known]}
                for id_, revisions in body.items()
            }
        assert params is not None
        return self._changes(**params)

    def _changes(self, since: str, limit: str, style: str = "", **_rest: str) -> dict[str, Any]:
        number, _, source = since.partition("-")
        # CouchDB starts again at 0 for a position of another database.
        after = int(number) if source == self.name else 0
        after = self.latest if since == "now" else after
        left = sorted((at, id_) for id_, at in self.documents.items() if at > after)
        shown = left[: int(limit)]
        is_whole = style == "all_docs"
        self.lists += is_whole
        return {
            "results": [
                {
                    "id": str(id_),
                    "changes": [
                        {"rev": leaf} for leaf in self.leaves[id_][: None if is_whole else 1]
                    ],
                }
                for _, id_ in shown
            ],
            "pending": len(left) - len(shown),
            "last_seq": self.position(shown[-1][0] if shown else after),
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
    """Replicate up to a number, and store that at both ends, as CouchDB does."""
    target.receive(source, number)
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
