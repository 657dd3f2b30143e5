"""Tests that LICENSES.md is current and that every licence in it is an approved one."""

from __future__ import annotations

import re
from fnmatch import fnmatch
from pathlib import Path

import pytest
from django.contrib.staticfiles.finders import get_finders

from overmind_project.apps import StaticFiles
from tests.supply.assets import ASSETS
from tests.supply.licenses import ALLOWED, PAGE, licences, page
from tests.supply.requirements import here, locked
from tests.support.service import ROOT

OURS = ("overmind/", "zerglings/")


@pytest.fixture(scope="module")
def declared() -> dict[str, str]:
    return licences()


def collected() -> dict[str, Path]:
    """Third-party files that `collectstatic` collects, with their paths."""
    ignored = StaticFiles.ignore_patterns
    found = [(path, its) for finder in get_finders() for path, its in finder.list(ignored)]
    return {path: Path(its.path(path)) for path, its in found if not path.startswith(OURS)}


def tables(text: str) -> list[str]:
    return [line for line in text.splitlines() if line.startswith("|")]


def test_the_tables_are_current() -> None:
    assert tables(PAGE.read_text(encoding="utf-8")) == tables(page()), "run make licenses"


def test_every_runtime_package_is_listed(declared: dict[str, str]) -> None:
    names = {re.sub(r"[-_.]+", "-", name).lower() for name in declared}
    assert names == {each.name for each in here(locked(ROOT / "requirements.txt"))}


def test_every_licence_is_allowed(declared: dict[str, str]) -> None:
    assert {name: each for name, each in declared.items() if each not in ALLOWED} == {}


def test_every_allowed_licence_is_used(declared: dict[str, str]) -> None:
    assert set(declared.values()) == ALLOWED


def test_every_file_served_to_browsers_has_a_licence() -> None:
    patterns = [pattern for asset in ASSETS for pattern in asset.files]
    files = collected()
    assert len(files) > 5
    assert {path for path in files if not any(fnmatch(path, each) for each in patterns)} == set()
    assert [each for each in patterns if not any(fnmatch(path, each) for path in files)] == []


def test_every_listed_version_is_the_served_one() -> None:
    files = collected()
    for asset in ASSETS:
        own = [path for path in files if any(fnmatch(path, each) for each in asset.files)]
        said = [files[path].read_text(encoding="utf-8", errors="replace") for path in own]
        assert asset.version is None or any(asset.version in text for text in said), asset.name
