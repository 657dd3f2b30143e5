"""Tests that Redocly's recommended rules, warnings included, accept the API description."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.proof.clients.generators import Failure, run, written
from tests.support.backends import sqlite_backend
from tests.support.service import Service
from tests.support.tokens import LINES, READER, bearer

RESTRICTED = {"OVERMIND_TOKENS": LINES, "OVERMIND_PATH_PREFIX": "/a.b/c"}


def lint(document: Any, directory: Path) -> None:
    run(
        *("redocly", "lint", "--extends", "recommended-strict"),
        written(document, directory),
        directory=directory,
    )


def test_the_description_breaks_no_recommended_rule(fresh: Service, tmp_path: Path) -> None:
    document = fresh.call("GET", "/schema/").json
    lint(document, tmp_path)
    del document["servers"]
    with pytest.raises(Failure, match="no-empty-servers"):
        lint(document, tmp_path)


def test_the_description_with_tokens_and_a_prefix_breaks_none_either(tmp_path: Path) -> None:
    with Service(sqlite_backend(tmp_path).environment | RESTRICTED, tmp_path) as service:
        lint(service.call("GET", "/a.b/c/schema/", headers=bearer(READER)).json, tmp_path)
