"""The bill of materials that `make sbom` wrote names what the service runs with, and nothing else.

CycloneDX's own tool has held it against the schema by then. `make sbom` says where it is; other
runs of the tests have none.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from tests.support.requirements import here, locked
from tests.support.service import ROOT

MADE = os.environ.get("OVERMIND_SBOM")

UNDECLARED = {"uritemplate"}
"""Whose metadata names its licences in words that are none of SPDX's; LICENSES.md has them."""

pytestmark = pytest.mark.skipif(not MADE, reason="make sbom")


@pytest.fixture(scope="module")
def bill() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(Path(str(MADE)).read_text(encoding="utf-8"))
    return found


def test_it_names_each_runtime_package_with_its_version(bill: dict[str, Any]) -> None:
    named = {(each["name"].lower(), each["version"]) for each in bill["components"]}
    wanted = {(each.name, each.version) for each in here(locked(ROOT / "requirements.txt"))}
    assert {
        (name.replace("_", "-").replace(".", "-"), version) for name, version in named
    } == wanted


def test_each_package_has_its_licence_and_its_place_in_the_registry(bill: dict[str, Any]) -> None:
    without = {each["name"] for each in bill["components"] if not each.get("licenses")}
    assert without <= UNDECLARED
    for each in bill["components"]:
        assert each["purl"].startswith("pkg:pypi/"), each["name"]


def test_it_says_who_needs_whom(bill: dict[str, Any]) -> None:
    needs = {each["ref"]: each.get("dependsOn", []) for each in bill["dependencies"]}
    (django,) = [each for each in bill["components"] if each["name"].lower() == "django"]
    of_django = {ref.partition("==")[0] for ref in needs[django["bom-ref"]]}
    assert {"asgiref", "sqlparse"} <= of_django
    assert bill["metadata"]["component"]["name"] == "overmind"
