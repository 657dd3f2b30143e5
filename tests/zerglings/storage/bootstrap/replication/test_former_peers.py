"""Tests that nothing is left of a peer that is no longer listed."""

from __future__ import annotations

import pytest

from tests.zerglings.storage.bootstrap.replication.region import ELSEWHERE, NOWHERE, Region
from zerglings.storage.regions.heartbeats import PREFIX, Heartbeat


@pytest.mark.parametrize("left", [{"west": ELSEWHERE}, {}])
def test_the_documents_of_a_peer_that_is_no_longer_listed_are_removed(
    region: Region, left: dict[str, str]
) -> None:
    region.bootstrap(east=NOWHERE, west=ELSEWHERE)
    assert f"{region.id('east')} has no peer" in region.check(**left)[0]
    assert f"removed {region.id('east')}" in region.bootstrap(**left)[0]
    assert set(region.documents) == {
        region.id(peer, database) for peer in left for database in region.site.databases
    }


def test_the_heartbeat_of_a_peer_that_is_no_longer_listed_is_removed(region: Region) -> None:
    region.bootstrap(east=NOWHERE, west=ELSEWHERE)
    server, history = region.site.server, region.site.databases[1]
    names = ("east", "west", "south")
    for name in names:
        heartbeat = Heartbeat(name, 1.0).encode()
        server.ask("PUT", history, heartbeat["_id"], body=heartbeat)

    def left() -> list[str]:
        rows = server.ask("GET", history, "_all_docs")["rows"]
        return [row["id"] for row in rows if row["id"].startswith(PREFIX)]

    region.bootstrap(east=NOWHERE, west=ELSEWHERE)
    assert left() == sorted(f"{PREFIX}{name}" for name in names)
    region.bootstrap(west=ELSEWHERE)
    assert left() == [f"{PREFIX}south", f"{PREFIX}west"], "the south may be reached over the west"


def test_all_rival_heartbeats_of_a_peer_are_removed(region: Region) -> None:
    region.bootstrap(east=NOWHERE)
    server, history = region.site.server, region.site.databases[1]
    for mark in ("a", "b"):
        rival = Heartbeat("east", 1.0).encode() | {"_rev": f"1-{mark * 32}"}
        server.ask("POST", history, "_bulk_docs", body={"new_edits": False, "docs": [rival]})
    region.bootstrap()
    leaves = server.ask("GET", history, f"{PREFIX}east", open_revs="all")
    assert [leaf["ok"].get("_deleted", False) for leaf in leaves] == [True, True]
