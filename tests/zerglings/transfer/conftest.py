"""Fixtures: a second, embedded store."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.support.backends import sqlite_backend
from zerglings.storage.base import Store


@pytest.fixture
def embedded(tmp_path: Path) -> Iterator[Store]:
    """Another bootstrapped and empty store."""
    (tmp_path / "other").mkdir()
    with closing(sqlite_backend(tmp_path / "other").open()) as store:
        yield store
