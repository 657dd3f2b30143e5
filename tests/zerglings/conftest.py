"""Fixtures: a store that can fail, and a circuit breaker with short intervals."""

from __future__ import annotations

import pytest

from tests.support.faulty_store import FaultyStore
from zerglings.storage import breaker
from zerglings.storage.base import Store


@pytest.fixture
def faulty(store: Store) -> FaultyStore:
    return FaultyStore(store)


@pytest.fixture
def hasty_breaker(monkeypatch: pytest.MonkeyPatch) -> None:
    """Shorten the intervals of all circuit breakers, so that tests of them are fast."""
    for name, seconds in {
        "CHECK_INTERVAL": 0.02,
        "PROBE_AFTER": 0.1,
        "PROBE_SILENCE": 0.2,
        "PROBE_TIMEOUT": 0.3,
    }.items():
        monkeypatch.setattr(breaker, name, seconds)
