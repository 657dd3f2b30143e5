"""Tests that the lock files are complete and current, without asking a registry."""

from __future__ import annotations

import re
from collections.abc import Iterator
from importlib.metadata import distribution
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.supply.requirements import (
    DEVELOPMENT,
    RUNTIME,
    SOURCES,
    Pinned,
    here,
    install_options,
    locked,
    pins,
)
from tests.support.service import ROOT

CARD = {"django", "djangorestframework", "pycouchdb", "gunicorn"}
"""The main packages of the service."""

each_installed = pytest.mark.parametrize("lock", [RUNTIME, DEVELOPMENT], ids=lambda path: path.name)
each_source = pytest.mark.parametrize(
    "source", SOURCES, ids=lambda path: str(path.relative_to(ROOT))
)


def by_name(packages: list[Pinned]) -> dict[str, Pinned]:
    found = {each.name: each for each in packages}
    assert len(found) == len(packages)
    return found


@each_source
def test_every_direct_pin_is_locked_at_its_version(source: Path) -> None:
    asked = pins(source)
    assert asked
    lock = by_name(locked(source.with_suffix(".txt")))
    assert {name: lock[name].version for name in asked if name in lock} == asked, "run make lock"


@each_source
def test_every_locked_package_has_hashes(source: Path) -> None:
    packages = locked(source.with_suffix(".txt"))
    assert packages
    assert [each.name for each in packages if not each.hashes] == []


@each_source
def test_lock_files_name_no_registry(source: Path) -> None:
    text = source.with_suffix(".txt").read_text(encoding="utf-8")
    assert not re.search(r"://|index-url|find-links|trusted-host", text)


@each_source
def test_a_lock_file_names_the_command_that_writes_it(source: Path) -> None:
    """The dependency updater runs the command in the header, so it must equal `make lock`'s."""
    target = source.with_suffix(".txt").relative_to(ROOT)
    command = (
        "uv pip compile --universal --python-version=3.11 --no-strip-extras --generate-hashes "
        f"--output-file={target} {source.relative_to(ROOT)}"
    )
    assert target.read_text(encoding="utf-8").splitlines()[1] == f"#    {command}"
    assert str(target.with_suffix("")) in (ROOT / "Makefile").read_text(encoding="utf-8")


def required(package: Pinned) -> Iterator[Requirement]:
    """Yield what a package requires with the extras that its lock names.

    Known from the metadata of what is installed, so for this platform and this Python.
    """
    for text in distribution(package.name).requires or ():
        requirement = Requirement(text)
        marker, extras = requirement.marker, {"", *package.requirement.extras}
        if marker is None or any(marker.evaluate({"extra": extra}) for extra in extras):
            yield requirement


@each_installed
def test_requirements_of_locked_packages_are_locked(lock: Path) -> None:
    packages = by_name(here(locked(lock)))
    for name, package in packages.items():
        for requirement in required(package):
            found = packages.get(canonicalize_name(requirement.name))
            assert found, f"{name} needs {requirement}: run make lock"
            assert requirement.specifier.contains(found.version, prereleases=True), name


@each_installed
def test_a_lock_file_keeps_the_required_extras(lock: Path) -> None:
    """Without extras, pip before 23.3 searches newer releases for them and fails."""
    packages = by_name(here(locked(lock)))
    for package in packages.values():
        for requirement in required(package):
            found = packages[canonicalize_name(requirement.name)].requirement
            assert requirement.extras <= found.extras, f"{package.name} needs {requirement}"


@each_installed
def test_installed_versions_equal_the_locked_ones(lock: Path) -> None:
    packages = here(locked(lock))
    assert {each.name: distribution(each.name).version for each in packages} == {
        each.name: each.version for each in packages
    }


def test_development_uses_the_packages_of_the_runtime() -> None:
    runtime, development = by_name(locked(RUNTIME)), by_name(locked(DEVELOPMENT))
    assert {n: (p.version, p.hashes) for n, p in development.items() if n in runtime} == {
        n: (p.version, p.hashes) for n, p in runtime.items()
    }


def test_the_main_packages_are_direct_requirements() -> None:
    assert pins(ROOT / "requirements.in").keys() >= CARD
    assert "pytest-django" in pins(ROOT / "requirements-dev.in")


@pytest.mark.parametrize("name", ["Makefile", "Dockerfile", "tests/peer/install.sh"])
def test_every_installation_requires_hashes(name: str) -> None:
    text = (ROOT / name).read_text(encoding="utf-8").replace("\\\n", " ")
    installs = re.findall(r"(?m)^.*pip (?:--python \S+ )?(?:install|\$\(INSTALL\)).*$", text)
    assert installs
    for line in installs:
        assert "--require-hashes" in line.replace("$(INSTALL)", " ".join(install_options())), line


def test_packages_without_wheels_are_built_with_locked_tools() -> None:
    text = (ROOT / "Makefile").read_text(encoding="utf-8").replace("\\\n", " ")
    (line,) = re.findall(r"(?m)^.*\$\(UV\) pip install.*$", text)
    (lock,) = re.findall(r"\s--requirement=(\S+)", line)
    assert re.findall(r"\s--build-constraints=(\S+)", line) == [lock]
    assert " --only-binary=:all: " in line
    built = re.findall(r"\s--no-binary=(\S+)", line)
    assert built
    assert by_name(locked(ROOT / lock)).keys() >= {*built, "setuptools"}
