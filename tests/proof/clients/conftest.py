"""A service of its own for each client, whose transcript begins with no zergling."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.backends import sqlite_backend
from tests.support.service import Service
from tests.support.tokens import LINES


def _service(directory: Path, **settings: str) -> Service:
    return Service(sqlite_backend(directory).environment | settings, directory)


@pytest.fixture
def fresh(tmp_path: Path) -> Iterator[Service]:
    with _service(tmp_path) as service:
        yield service


@pytest.fixture
def restricted(tmp_path: Path) -> Iterator[Service]:
    """A service that needs a token."""
    with _service(tmp_path, OVERMIND_TOKENS=LINES) as service:
        yield service


@pytest.fixture(params=["fresh", "restricted"])
def either(request: pytest.FixtureRequest) -> Service:
    """A service, once without and once with the need for a token."""
    service: Service = request.getfixturevalue(request.param)
    return service
