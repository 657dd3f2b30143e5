"""Reads the requirements files: the pins that people edit, and the lock files made from them.

It resolves and installs nothing, and asks no registry.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.support.service import ROOT

SOURCES = [*sorted(ROOT.glob("requirements*.in")), ROOT / "tests" / "peer" / "requirements.in"]
"""The files of direct requirements; the lock file of each ends with ``.txt``."""

RUNTIME, DEVELOPMENT = ROOT / "requirements.txt", ROOT / "requirements-dev.txt"
"""The lock files of packages installed in the test environment."""

_HASH = re.compile(r"--hash=sha256:([0-9a-f]{64})(?= |$)")


@dataclass(frozen=True)
class Pinned:
    """A package at one version, and the hashes that it may have."""

    name: str
    version: str
    hashes: frozenset[str]
    requirement: Requirement


def pins(source: Path) -> dict[str, str]:
    """Return the version of each direct requirement of a ``.in`` file."""
    return {each.name: each.version for each in _read(source)}


def locked(lock: Path) -> list[Pinned]:
    """Return every package of a lock file."""
    return list(_read(lock))


def install_options() -> list[str]:
    """Return the pip command and options with which the Makefile installs a lock file."""
    (found,) = re.findall(r"(?m)^INSTALL := (.*)$", (ROOT / "Makefile").read_text("utf-8"))
    return str(found).split()


def here(packages: Iterable[Pinned]) -> list[Pinned]:
    """Return the packages that this platform and Python need."""
    return [each for each in packages if not (m := each.requirement.marker) or m.evaluate()]


def _read(path: Path) -> Iterable[Pinned]:
    """Yield the requirement of each line; lines that refer to other files are skipped.

    Raises:
        InvalidRequirement: A line is neither a requirement nor such a reference.
        ValueError: A package is not at one version.
    """
    text = re.sub(r"\\\n", " ", path.read_text(encoding="utf-8"))
    for line in text.splitlines():
        meant = re.sub(r"(^|\s)#.*", "", line).strip()
        if not meant or meant.startswith(("-r ", "-c ")):
            continue
        requirement = Requirement(meant.partition(" --hash")[0])
        (specifier,) = requirement.specifier
        if specifier.operator != "==" or specifier.version.endswith("*"):
            raise ValueError(f"{path.name}: {requirement} is not at one version")
        hashes = frozenset(_HASH.findall(meant))
        name = canonicalize_name(requirement.name)
        yield Pinned(name, specifier.version, hashes, requirement)
