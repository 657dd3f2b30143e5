"""Fixtures: two regions, east and west, whose clocks stand still."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.monitored_regions import Clock, MonitoredRegion, new_region
from tests.support.site import CouchDBServer


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def east(couchdb: CouchDBServer, clock: Clock) -> Iterator[MonitoredRegion]:
    with new_region(couchdb, "east", clock) as region:
        yield region


@pytest.fixture
def west(couchdb: CouchDBServer, clock: Clock) -> Iterator[MonitoredRegion]:
    with new_region(couchdb, "west", clock) as region:
        yield region
