"""Runs this release of the service or the previous one, whose code comes out of git's history.

The previous release is the newest tag that leads here and is not this version's own; while there is
none, it is the commit that the file ``previous-release`` names.
"""

from __future__ import annotations

import io
import os
import re
import subprocess
import sys
import tarfile
import venv
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from packaging.requirements import Requirement

from overmind_project import __version__
from tests.support.service import ROOT, SERVE, Service, clean_environment

NAMED = Path(__file__).with_name("previous-release")
COMMAND_TIMEOUT = 60.0
INSTALL_TIMEOUT = 600.0

UNMEASURED = {"COVERAGE_PROCESS_START": "", "COVERAGE_PROCESS_CONFIG": ""}
"""Variables that exclude the other release from coverage."""


class Unavailable(Exception):
    """The previous release is not available; the message has the reason and the remedy."""


@dataclass(frozen=True)
class Release:
    """Code of a release, its interpreter, and the environment of its processes."""

    name: str
    checkout: Path = ROOT
    python: str = sys.executable
    environment: Mapping[str, str] = field(default_factory=dict)

    def bootstrap(self, environment: Mapping[str, str]) -> None:
        """Bootstrap the store as this release's init container does."""
        done = subprocess.run(
            [self.python, "manage.py", "bootstrap_couch"],
            cwd=self.checkout,
            env=clean_environment() | dict(environment) | dict(self.environment),
            capture_output=True,
            text=True,
            timeout=COMMAND_TIMEOUT,
            check=False,
        )
        assert done.returncode == 0, f"bootstrap_couch of {self.name}: {done.stdout}{done.stderr}"

    def serve(self, environment: Mapping[str, str], directory: Path) -> Service:
        """Return a running service with its own log directory."""
        return Service(
            {**environment, **self.environment},
            directory,
            checkout=self.checkout,
            python=self.python,
            program=SERVE,
        )


def previous(directory: Path, *, may_install: bool) -> Release:
    """Check out the previous release into a directory.

    Args:
        directory: where to; it is empty.
        may_install: whether to make a virtual environment where this one lacks what it needs.

    Raises:
        Unavailable: there is no history, or not enough of it, or its requirements are not here.
    """
    name = _name_of_previous()
    checkout = directory / "checkout"
    with tarfile.open(fileobj=io.BytesIO(_git("archive", "--format=tar", name))) as archive:
        archive.extractall(checkout, filter="data")
    requirements = checkout / "requirements.txt"
    python = sys.executable
    if lacking := unsatisfied(requirements.read_text()):
        if not may_install:
            raise Unavailable(f"{name} needs {', '.join(lacking)}: make rollover installs them")
        python = _python_with(requirements, directory / "venv")
    return Release(name, checkout, python, UNMEASURED)


def unsatisfied(requirements: str) -> list[str]:
    """Return the lines of a requirements file that this environment does not satisfy."""
    lines = re.sub(r"\\\n", " ", requirements).splitlines()
    wanted = [re.split(r"\s+#|\s--hash=", f" {line}")[0].strip() for line in lines]
    return [text for text in wanted if text and not text.startswith("#") and not _is_here(text)]


def _is_here(text: str) -> bool:
    requirement = Requirement(text)
    if requirement.marker is not None and not requirement.marker.evaluate():
        return True
    try:
        return requirement.specifier.contains(version(requirement.name), prereleases=True)
    except PackageNotFoundError:
        return False


def _name_of_previous() -> str:
    own = [f"--exclude={prefix}{__version__}" for prefix in ("", "v")]
    try:
        return _git("describe", "--tags", "--abbrev=0", *own).decode().strip()
    except Unavailable:
        name = NAMED.read_text().split()[0]
    try:
        _git("rev-parse", "--verify", "--quiet", f"{name}^{{commit}}")
    except Unavailable as error:
        raise Unavailable(
            f"{name} of {NAMED.name} is not in the history; fetch all of it, tags too: "
            "git fetch --unshallow --tags, or fetch-depth: 0 of actions/checkout"
        ) from error
    return name


def _git(*arguments: str) -> bytes:
    environment = {k: v for k, v in os.environ.items() if not k.startswith("GIT_")}
    try:
        done = subprocess.run(
            ["git", "-C", str(ROOT), *arguments],
            env=environment,
            capture_output=True,
            timeout=COMMAND_TIMEOUT,
            check=True,
        )
    except FileNotFoundError as error:
        raise Unavailable("git is not installed") from error
    except subprocess.CalledProcessError as error:
        raise Unavailable(f"git {arguments[0]}: {error.stderr.decode().strip()}") from error
    return done.stdout


def _python_with(requirements: Path, directory: Path) -> str:
    venv.create(directory, with_pip=True)
    python = str(directory / "bin" / "python")
    install = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    # Its lock is complete. A pip before 24 would look for newer releases of what has extras.
    subprocess.run([*install, "--no-deps", "-r", requirements], timeout=INSTALL_TIMEOUT, check=True)
    return python
