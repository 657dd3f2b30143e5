"""Fixtures: the API in this process over SQLite; at the end, the number of inputs tried."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import redirect_stdout
from pathlib import Path

import pytest

from tests.proof.hostile.budget import TRIED
from tests.support.backends import sqlite_backend
from tests.support.client import served_over


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The application in this process, with SQLite in the returned directory and no access log."""
    directory: Path = tmp_path_factory.mktemp("hostile")
    with served_over(sqlite_backend(directory)), redirect_stdout(io.StringIO()):
        yield directory


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if TRIED:
        counts = ", ".join(f"{count} {what}" for what, count in sorted(TRIED.items()))
        terminalreporter.write_line(f"Inputs tried: {sum(TRIED.values())} ({counts})")
