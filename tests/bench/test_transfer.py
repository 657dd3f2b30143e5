"""Tests that the transfer benchmark completes and reports each of its comparisons."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.service import ROOT, clean_environment
from tests.support.site import CouchDBServer


@pytest.mark.proof
def test_the_benchmark_completes_and_removes_its_databases(
    couchdb: CouchDBServer, tmp_path: Path
) -> None:
    url = couchdb.url.replace("://", f"://{couchdb.username}:{couchdb.password}@")
    client = couchdb.client()

    def databases() -> list[str]:
        names = client.request("GET", ["_all_dbs"], timeout=5)
        return [name for name in names if name.startswith("overmind-bench-")]

    before = databases()
    done = subprocess.run(
        [sys.executable, "-m", "bench.transfer", "120"],
        cwd=ROOT,
        env=clean_environment() | {"STORE_URL": url, "TMPDIR": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    after = databases()
    client.close()
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("documents: 120 compared, all equal") == 2
    assert "the export of the import is the same file, byte by byte" in done.stdout
    assert after == before
    assert list(tmp_path.iterdir()) == []
