"""Tests that an exchange between regions ends exactly when both have each other's changes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import pytest

from zerglings.storage.base import StoreUnavailable
from zerglings.storage.couchdb.database import Database
from zerglings.storage.couchdb.exchange import Exchange, PeerBehind


class Region:
    """Answers as a database of CouchDB with so many changes and such checkpoints."""

    def __init__(self, name: str, changes: int) -> None:
        self.name = name
        self.changes = changes
        self.checkpoints: dict[str, str] = {}

    def position(self, number: int) -> str:
        return f"{number}-{self.name}"

    def ask(
        self, _method: str, path: str, *, params: dict[str, str], **_rest: object
    ) -> dict[str, Any]:
        if path == "_local_docs":
            rows = [
                {"doc": {"_id": id_, "source_last_seq": position}}
                for id_, position in self.checkpoints.items()
            ]
            return {"rows": [*rows, {"doc": {"_id": "_local/other"}}]}
        number, _, source = params["since"].partition("-")
        if params["since"] == "now":
            after = self.changes
        else:  # CouchDB starts again at 0 for a position of another database
            after = int(number) if source == self.name else 0
        left = self.changes - after
        shown = min(left, int(params["limit"]))
        return {
            "results": [{}] * shown,
            "pending": left - shown,
            "last_seq": self.position(after),
        }


class Unreachable(Region):
    def ask(self, *_args: object, **_rest: object) -> dict[str, Any]:
        raise StoreUnavailable("CouchDB cannot be reached")


def exchange(
    here: Region, there: Region, pause: Callable[[float], None] = lambda _: None, limit: float = 0
) -> Exchange:
    databases = cast("tuple[Database, Database]", (here, there))
    return Exchange("east", *databases, limit=limit, pause=pause)


def replicated(source: Region, target: Region, number: int) -> None:
    """Store how far a replication is, as CouchDB does at both ends."""
    name = f"_local/{source.name}-{target.name}"
    source.checkpoints[name] = target.checkpoints[name] = source.position(number)


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
    with pytest.raises(PeerBehind, match=str(max(50 - sent, 70 - received))):
        exchange(here, there).complete()


def test_a_direction_without_a_replication_is_reported(here: Region, there: Region) -> None:
    replicated(there, here, 70)
    with pytest.raises(PeerBehind):
        exchange(here, there).complete()


def test_a_checkpoint_that_only_one_end_has_does_not_count(here: Region, there: Region) -> None:
    replicated(there, here, 70)
    here.checkpoints["_local/elsewhere"] = here.position(50)
    with pytest.raises(PeerBehind):
        exchange(here, there).complete()


def test_it_waits_until_the_changes_that_existed_at_the_start_have_arrived(
    here: Region, there: Region
) -> None:
    replicated(here, there, 10)
    replicated(there, here, 70)

    def go_on(_seconds: float) -> None:
        here.changes += 7  # the region keeps taking commands
        replicated(here, there, int(here.checkpoints["_local/here-there"].split("-")[0]) + 20)

    exchange(here, there, go_on, limit=60).complete()
    assert here.checkpoints["_local/here-there"] == here.position(50)


def test_the_second_direction_counts_from_the_end_of_the_first(here: Region, there: Region) -> None:
    replicated(here, there, 10)
    replicated(there, here, 70)

    def go_on(_seconds: float) -> None:
        replicated(here, there, 50)
        there.changes = 75  # written before the peer knew what this region had written

    with pytest.raises(PeerBehind, match="5"):
        exchange(here, there, go_on, limit=0.001).complete()


def test_a_region_that_cannot_be_read_is_reported(here: Region) -> None:
    with pytest.raises(PeerBehind, match="east"):
        exchange(here, Unreachable("there", 0)).complete()
