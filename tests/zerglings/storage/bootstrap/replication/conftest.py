"""Fixture: a region."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.site import Site
from tests.zerglings.storage.bootstrap.replication.region import Region


@pytest.fixture
def region(site: Site) -> Iterator[Region]:
    region = Region(site)
    yield region
    region.remove()
