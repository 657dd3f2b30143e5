"""A service of its own for each client, whose transcript begins with no zergling."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.backends import sqlite_backend
from tests.support.service import Service


@pytest.fixture
def fresh(tmp_path: Path) -> Iterator[Service]:
    with Service(sqlite_backend(tmp_path).environment, tmp_path) as service:
        yield service
