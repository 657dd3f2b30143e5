"""Fixtures: two regions."""

from __future__ import annotations

import pytest

from tests.zerglings.storage.regions.regions_in_memory import Region


@pytest.fixture
def here() -> Region:
    return Region("here", 50)


@pytest.fixture
def there() -> Region:
    return Region("there", 70)
