"""Tests that the oldest supported pip installs every lock file, whatever newer releases exist."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from tests.proof.supply.old_pip import download_pip, try_to_install
from tests.supply.requirements import (
    DEVELOPMENT,
    SOURCES,
    Pinned,
    here,
    install_options,
    locked,
)
from tests.support.service import ROOT

BY_UV = {"requirements-redbot.in"}
"""The lock file that uv installs, because it has a package without a wheel."""

LOCKS = [source.with_suffix(".txt") for source in SOURCES if source.name not in BY_UV]


@pytest.fixture(scope="module")
def pip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return download_pip(tmp_path_factory.mktemp("pip"))


@pytest.mark.parametrize("lock", LOCKS, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_lock_file_installs_although_every_package_has_a_newer_release(
    lock: Path, pip: Path, tmp_path: Path
) -> None:
    done = try_to_install(pip, install_options(), here(locked(lock)), tmp_path)
    assert done.returncode == 0, done.stderr


def without_extras(package: Pinned) -> Pinned:
    requirement = Requirement(str(package.requirement))
    requirement.extras = set()
    return replace(package, requirement=requirement)


@pytest.mark.skipif(sys.version_info >= (3, 13), reason="its oldest pip looks at no newer release")
def test_an_old_pip_fails_when_it_resolves_dependencies(pip: Path, tmp_path: Path) -> None:
    """This shows that the test above can fail: without extras and without ``--no-deps``."""
    packages = [without_extras(each) for each in here(locked(DEVELOPMENT))]
    done = try_to_install(pip, ["install", "--require-hashes"], packages, tmp_path)
    assert done.returncode != 0
    assert "must have their versions pinned" in done.stderr
