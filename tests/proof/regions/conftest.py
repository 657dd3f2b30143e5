"""Three regions of one CouchDB server."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.regions import Region, regions
from tests.support.site import CouchDBServer


@pytest.fixture
def three(couchdb: CouchDBServer) -> Iterator[list[Region]]:
    with regions(couchdb, 3) as found:
        yield found
