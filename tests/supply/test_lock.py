"""The lock files are complete and current, as far as that can be seen without asking a registry."""

from __future__ import annotations

import re
from importlib.metadata import distribution
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.support.requirements import Pinned, here, locked, pins
from tests.support.service import ROOT

SOURCES = [
    *sorted(ROOT.glob("requirements*.in")),
    ROOT / "tests" / "peer" / "requirements.in",
]
RUNTIME, DEVELOPMENT = ROOT / "requirements.txt", ROOT / "requirements-dev.txt"
CARD = {"django", "djangorestframework", "pycouchdb", "gunicorn"}
"""What the service is built on."""

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
def test_no_lock_names_a_registry(source: Path) -> None:
    text = source.with_suffix(".txt").read_text(encoding="utf-8")
    assert not re.search(r"://|index-url|find-links|trusted-host", text)


@each_source
def test_the_lock_says_the_command_that_writes_it(source: Path) -> None:
    """An updater repeats the command of the header, so it must be that of `make lock`."""
    target = source.with_suffix(".txt").relative_to(ROOT)
    command = (
        "uv pip compile --universal --python-version=3.11 --generate-hashes "
        f"--output-file={target} {source.relative_to(ROOT)}"
    )
    assert target.read_text(encoding="utf-8").splitlines()[1] == f"#    {command}"
    assert str(target.with_suffix("")) in (ROOT / "Makefile").read_text(encoding="utf-8")


@pytest.mark.parametrize("lock", [RUNTIME, DEVELOPMENT], ids=lambda path: path.name)
def test_what_a_locked_package_requires_is_locked(lock: Path) -> None:
    """Known from the metadata of what is installed, so of this platform and this Python."""
    packages = by_name(here(locked(lock)))
    for name in packages:
        for needed in distribution(name).requires or ():
            requirement = Requirement(needed)
            if requirement.marker and not requirement.marker.evaluate({"extra": ""}):
                continue
            found = packages.get(canonicalize_name(requirement.name))
            assert found, f"{name} needs {requirement}: run make lock"
            assert requirement.specifier.contains(found.version, prereleases=True), name


@pytest.mark.parametrize("lock", [RUNTIME, DEVELOPMENT], ids=lambda path: path.name)
def test_what_is_installed_is_what_is_locked(lock: Path) -> None:
    packages = here(locked(lock))
    assert {each.name: distribution(each.name).version for each in packages} == {
        each.name: each.version for each in packages
    }


def test_development_runs_with_the_runtime_s_packages() -> None:
    runtime, development = by_name(locked(RUNTIME)), by_name(locked(DEVELOPMENT))
    assert {n: (p.version, p.hashes) for n, p in development.items() if n in runtime} == {
        n: (p.version, p.hashes) for n, p in runtime.items()
    }


def test_what_the_service_is_built_on_is_asked_for_by_name() -> None:
    assert pins(ROOT / "requirements.in").keys() >= CARD
    assert "pytest-django" in pins(ROOT / "requirements-dev.in")


@pytest.mark.parametrize("name", ["Makefile", "Dockerfile", "tests/peer/install.sh"])
def test_nothing_is_installed_without_its_hash(name: str) -> None:
    text = (ROOT / name).read_text(encoding="utf-8").replace("\\\n", " ")
    installs = re.findall(r"(?m)^.*pip (?:--python \S+ )?(?:install|\$\(INSTALL\)).*$", text)
    assert installs
    for line in installs:
        assert "--require-hashes" in line.replace("$(INSTALL)", _install()), line


def _install() -> str:
    (found,) = re.findall(r"(?m)^INSTALL := (.*)$", (ROOT / "Makefile").read_text("utf-8"))
    return str(found)
