"""Tests that `make sbom` lists exactly what the service runs with, in CycloneDX's schema."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
from pathlib import Path
from typing import Any

import pytest
from packaging.utils import canonicalize_name

from tests.supply.assets import ASSETS
from tests.supply.requirements import here, locked
from tests.supply.runtime import make_runtime
from tests.support.service import ROOT

TOOLS = ROOT / "build/audit/bin"
UNDECLARED = {"uritemplate"}
"""Packages without an SPDX licence in their metadata; LICENSES.md names them."""


@pytest.fixture(scope="module")
def bill(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    place = tmp_path_factory.mktemp("bill")
    make_runtime(place / "runtime")
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8").replace("\\\n", " ")
    (options,) = re.findall(r"cyclonedx-py (environment .*) --output-file", makefile)
    made = place / "made.json"
    subprocess.run(
        [TOOLS / "cyclonedx-py", *shlex.split(options), "--output-file", made, place / "runtime"],
        cwd=ROOT,
        check=True,
        capture_output=True,
    )
    done = completed(made)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(made.read_text(encoding="utf-8"))
    return found


def test_the_bill_describes_this_service(bill: dict[str, Any]) -> None:
    assert bill["bomFormat"] == "CycloneDX"
    assert bill["metadata"]["component"]["name"] == "overmind"


def test_the_bill_lists_each_runtime_package_and_version(bill: dict[str, Any]) -> None:
    packages = [each for each in bill["components"] if each["purl"].startswith("pkg:pypi/")]
    named = {(canonicalize_name(each["name"]), each["version"]) for each in packages}
    assert named == {(each.name, each.version) for each in here(locked(ROOT / "requirements.txt"))}


def test_the_bill_lists_browser_assets_and_their_packages(bill: dict[str, Any]) -> None:
    named = {each["purl"] for each in bill["components"]}
    assets = {f"pkg:npm/{each.npm}@{each.version}" for each in ASSETS if each.npm}
    assert assets == {purl for purl in named if not purl.startswith("pkg:pypi/")}
    needs = {
        each["ref"].partition("==")[0]: each["dependsOn"]
        for each in bill["dependencies"]
        if "dependsOn" in each
    }
    assert "pkg:npm/jquery@3.7.1" in needs["djangorestframework"]


def completed(bill: Path) -> subprocess.CompletedProcess[str]:
    """Run the program that completes a bill and validates it."""
    return subprocess.run(
        [TOOLS / "python", "-m", "tests.proof.supply.bill", bill],
        cwd=ROOT,
        check=False,
        capture_output=True,
        text=True,
    )


def test_a_bill_that_violates_the_schema_is_rejected(bill: dict[str, Any], tmp_path: Path) -> None:
    refused = tmp_path / "refused.json"
    text = json.dumps(bill | {"serialNumber": "of no form"})
    refused.write_text(text, encoding="utf-8")
    done = completed(refused)
    assert done.returncode == 1
    assert "of no form" in done.stderr
    assert refused.read_text(encoding="utf-8") == text


def test_each_component_has_a_licence_and_a_package_url(bill: dict[str, Any]) -> None:
    without = {each["name"] for each in bill["components"] if not each.get("licenses")}
    assert without <= UNDECLARED
    for each in bill["components"]:
        assert re.match(r"pkg:(pypi|npm)/", each["purl"]), each["name"]


def test_the_bill_lists_dependencies(bill: dict[str, Any]) -> None:
    needs = {each["ref"]: each.get("dependsOn", []) for each in bill["dependencies"]}
    (django,) = [each for each in bill["components"] if each["name"] == "Django"]
    of_django = {ref.partition("==")[0] for ref in needs[django["bom-ref"]]}
    assert {"asgiref", "sqlparse"} <= of_django
