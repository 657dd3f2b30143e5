"""Fixtures: regions whose clocks stand still."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from tests.support.monitored_regions import Clock, MonitoredRegion, new_region
from tests.support.site import CouchDBServer


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(params=[1, 2] if "COUCHDB_TEST_URL" in os.environ else [1])
def shards(request: pytest.FixtureRequest) -> int:
    """The number of shards of each database. The peer has none."""
    return int(request.param)


@pytest.fixture
def east(couchdb: CouchDBServer, clock: Clock, shards: int) -> Iterator[MonitoredRegion]:
    with new_region(couchdb, "east", clock, shards) as region:
        yield region


@pytest.fixture
def west(couchdb: CouchDBServer, clock: Clock, shards: int) -> Iterator[MonitoredRegion]:
    with new_region(couchdb, "west", clock, shards) as region:
        yield region


@pytest.fixture
def north(couchdb: CouchDBServer, clock: Clock, shards: int) -> Iterator[MonitoredRegion]:
    with new_region(couchdb, "north", clock, shards) as region:
        yield region
