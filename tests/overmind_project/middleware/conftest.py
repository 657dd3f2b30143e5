"""Fixtures: a service of several processes with a JSON log."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.overmind_project.middleware.json_log import JSON_LOG, PROCESSES
from tests.support.backends import sqlite_backend
from tests.support.service import Service


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service of several processes, shared by tests that only add data to it."""
    directory = tmp_path_factory.mktemp("observed")
    environment = sqlite_backend(directory).environment | JSON_LOG
    with Service(environment | {"WEB_CONCURRENCY": str(PROCESSES)}, directory) as service:
        yield service
