"""Runs an old pip on a lock file, with a local folder of releases to choose from.

A release here is a wheel with only the real package's metadata. Each package of a lock has two, the
locked one and a far newer one, so the result depends on no date and no registry.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Iterable, Mapping
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple
from zipfile import ZipFile

from packaging.utils import canonicalize_name

from tests.supply.requirements import Pinned

OLDEST = Path(__file__).with_name("pip.txt")
NEWER = "9999"
TIMEOUT_SECONDS = 300.0

_WHEEL = "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"


class Needs(NamedTuple):
    """The requirements in a package's metadata: ``Requires-Dist`` and ``Provides-Extra``."""

    requirements: tuple[str, ...]
    extras: tuple[str, ...]

    @classmethod
    def of(cls, metadata: Mapping[str, Any]) -> Needs:
        """Read them from a package's metadata in their form as JSON."""
        requirements, extras = metadata.get("requires_dist", ()), metadata.get("provides_extra", ())
        return cls(tuple(requirements), tuple(extras))


def download_pip(folder: Path) -> Path:
    """Download the oldest pip that comes with this Python; return the path that Python runs."""
    options = ["--quiet", "--no-deps", "--require-hashes", "--dest", str(folder)]
    _own_pip("download", *options, "--requirement", str(OLDEST))
    (wheel,) = folder.glob("pip-*.whl")
    return wheel / "pip"


def try_to_install(
    pip: Path, command: Iterable[str], packages: Iterable[Pinned], folder: Path
) -> subprocess.CompletedProcess[str]:
    """Run pip without installing anything, for a lock file of these packages.

    ``command`` is "install" with its options. Releases and lock are made in ``folder``. The lock
    has the requirements of the real one, and the hashes of the releases made here.
    """
    made = [
        (package, _make_releases(folder, package, needs)) for package, needs in _needs(packages)
    ]
    lock = _write_lock(folder, made)
    only_here = ["--isolated", "--no-index", "--find-links", str(folder)]
    only_try = ["--dry-run", "--ignore-installed", "--requirement", str(lock)]
    return _python(str(pip), *command, *only_here, *only_try, PIP_CONFIG_FILE=os.devnull)


def _make_releases(folder: Path, package: Pinned, needs: Needs) -> set[str]:
    """Build a package's locked release and a newer one; return the hash of the locked one."""
    _make_wheel(folder, package.name, NEWER, needs)
    wheel = _make_wheel(folder, package.name, package.version, needs)
    return {hashlib.sha256(wheel.read_bytes()).hexdigest()}


def _make_wheel(folder: Path, name: str, version: str, needs: Needs) -> Path:
    release = f"{name.replace('-', '_')}-{version}"
    headers = ["Metadata-Version: 2.1", f"Name: {name}", f"Version: {version}"]
    headers += [f"Requires-Dist: {each}" for each in needs.requirements]
    headers += [f"Provides-Extra: {each}" for each in needs.extras]
    path = folder / f"{release}-py3-none-any.whl"
    with ZipFile(path, "w") as wheel:
        wheel.writestr(f"{release}.dist-info/METADATA", "\n".join(headers) + "\n")
        wheel.writestr(f"{release}.dist-info/WHEEL", _WHEEL)
        wheel.writestr(f"{release}.dist-info/RECORD", "")
    return path


def _write_lock(folder: Path, packages: Iterable[tuple[Pinned, Iterable[str]]]) -> Path:
    lines = [
        " ".join([str(package.requirement), *(f"--hash=sha256:{each}" for each in hashes)])
        for package, hashes in packages
    ]
    path = folder / "lock.txt"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def _needs(packages: Iterable[Pinned]) -> list[tuple[Pinned, Needs]]:
    """Return packages with their requirements, in the same order."""
    known = {package.name: (package, _installed(package)) for package in packages}
    missing = [package for package, needs in known.values() if needs is None]
    found = _downloaded(missing) if missing else {}
    return [(package, needs or found[name]) for name, (package, needs) in known.items()]


def _installed(package: Pinned) -> Needs | None:
    """Return the requirements of a package that is installed at this version."""
    try:
        found = distribution(package.name)
    except PackageNotFoundError:
        return None
    return Needs.of(found.metadata.json) if found.version == package.version else None


def _downloaded(packages: Iterable[Pinned]) -> dict[str, Needs]:
    """Return the requirements of packages with wheels for this machine."""
    with TemporaryDirectory() as folder:
        lock = _write_lock(Path(folder), [(each, each.hashes) for each in packages])
        options = ["--quiet", "--dry-run", "--ignore-installed", "--no-deps", "--only-binary=:all:"]
        source = ["--require-hashes", "--requirement", str(lock)]
        report = _own_pip("install", *options, *source, "--report", "-")
    found = [each["metadata"] for each in json.loads(report)["install"]]
    return {canonicalize_name(each["name"]): Needs.of(each) for each in found}


def _own_pip(*arguments: str) -> str:
    """Return the output of this environment's pip."""
    done = _python("-m", "pip", *arguments)
    if done.returncode:
        raise RuntimeError(done.stderr)
    return done.stdout


def _python(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments],
        env=os.environ | environment,
        capture_output=True,
        text=True,
        timeout=TIMEOUT_SECONDS,
        check=False,
    )
