"""Property test: whatever arrives in which order, all regions end with every request once."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import HealthCheck, given, settings

from tests.support.orders import COUNT, Step, live, steps
from tests.support.regions import hand_over, regions
from tests.support.site import CouchDBServer


@settings(max_examples=3, deadline=None, suppress_health_check=list(HealthCheck))
@given(steps)
def test_regions_end_equal_with_every_request_once(
    couchdb: CouchDBServer, taken: Sequence[Step]
) -> None:
    with regions(couchdb, COUNT) as found:
        live(found, taken, hand_over)
