"""Tests the service with schemathesis against its own OpenAPI document."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest

from tests.proof.hostile.budget import SECONDS, TRIED
from tests.support.backends import sqlite_backend
from tests.support.service import ROOT, Service, clean_environment
from tests.support.tokens import LINES, WRITER, bearer

CONFIGURATION = Path(__file__).with_name("schemathesis.toml")
SEED = os.environ.get("OVERMIND_FUZZ_SEED", "1")
EXAMPLES = "10"
"""Requests per operation and phase, if no time is given."""

ELSEWHERE = "http://example.org"

BACKENDS = ["sqlite", "couch"] if SECONDS else ["sqlite"]


def run(
    service: Service, directory: Path, headers: Mapping[str, str] = MappingProxyType({})
) -> tuple[int, str, dict[str, Any]]:
    """Run schemathesis; return its exit status, output and report."""
    report = directory / "report.json"
    budget = ["--max-time", SECONDS] if SECONDS else ["--max-examples", EXAMPLES]
    # /events is left out: its answer does not end. It has tests of its own in test_events.py.
    command = [
        *(sys.executable, "-m", "schemathesis.cli", "--config-file", str(CONFIGURATION), "run"),
        *(f"http://127.0.0.1:{service.port}/schema/", "--exclude-path", "/events"),
        *(f"--header={name}: {value}" for name, value in headers.items()),
        *("--seed", SEED, *budget, "--report", "json", "--report-json-path", str(report)),
    ]
    environment = clean_environment() | {"PYTHONPATH": str(ROOT)}
    run = subprocess.run(
        command, cwd=directory, env=environment, capture_output=True, text=True, timeout=3600
    )
    return run.returncode, run.stdout + run.stderr, json.loads(report.read_text())


@pytest.mark.parametrize("backend", BACKENDS, indirect=True)
def test_schemathesis_finds_no_difference_from_the_document(
    service: Service, tmp_path: Path
) -> None:
    status, said, report = run(service, tmp_path)
    assert status == 0, said[-20_000:]
    TRIED["schemathesis"] += report["test_cases"]["generated"]
    assert "Traceback" not in service.log


def test_schemathesis_finds_no_difference_with_tokens_limits_and_cors(
    tmp_path: Path,
) -> None:
    """One check is that each protected operation is a 401 without the token."""
    closed = {
        "OVERMIND_TOKENS": LINES,
        "OVERMIND_RATE_LIMIT": "100000/s",
        "OVERMIND_CORS_ORIGINS": ELSEWHERE,
    }
    environment = sqlite_backend(tmp_path).environment | closed
    with Service(environment, tmp_path) as service:
        status, said, report = run(service, tmp_path, bearer(WRITER) | {"Origin": ELSEWHERE})
        assert status == 0, said[-20_000:]
        TRIED["schemathesis"] += report["test_cases"]["generated"]
        assert "Traceback" not in service.log
