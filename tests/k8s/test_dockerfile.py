"""Tests that the Dockerfile passes its linter, is built in stages and runs as a numeric user."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from tests.support.service import ROOT

DOCKERFILE = ROOT / "Dockerfile"


def hadolint(dockerfile: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [Path(sys.prefix, "bin", "hadolint"), "--failure-threshold=style", "--no-color", "-"],
        cwd=ROOT,  # where .hadolint.yaml would be
        input=dockerfile,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_the_dockerfile_passes_hadolint() -> None:
    result = hadolint(DOCKERFILE.read_text(encoding="utf-8"))
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")


def test_hadolint_reports_warnings() -> None:
    result = hadolint(DOCKERFILE.read_text(encoding="utf-8") + "RUN cd /tmp\n")
    assert result.returncode != 0
    assert "DL3003" in result.stdout


def test_the_image_is_built_in_stages_and_runs_as_a_numeric_user() -> None:
    first, *others = re.split(r"(?m)^(?=FROM )", DOCKERFILE.read_text(encoding="utf-8"))[1:]
    assert re.match(r"FROM \S+ AS \w+\n", first)
    assert others
    users = re.findall(r"(?m)^USER (.*)$", others[-1])
    assert users
    assert re.fullmatch(r"[1-9][0-9]*(:[1-9][0-9]*)?", users[-1])
