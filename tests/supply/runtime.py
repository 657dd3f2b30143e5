"""Makes an environment with only the packages of requirements.txt, without installing them again.

It is a virtual environment whose packages are links to those of the current one, so it takes a
second and no network. Tests run the service with it and list its content.
``python -m tests.supply.runtime DIRECTORY`` makes one.
"""

from __future__ import annotations

import sys
import sysconfig
import venv
from importlib.metadata import distribution
from pathlib import Path

from tests.supply.requirements import here, locked
from tests.support.service import ROOT


def make_runtime(directory: Path) -> Path:
    """Make the environment and return its Python."""
    venv.create(directory, clear=True, symlinks=True, with_pip=False)
    paths = sysconfig.get_paths("venv", vars={"base": str(directory), "platbase": str(directory)})
    place = Path(paths["purelib"])
    for package in here(locked(ROOT / "requirements.txt")):
        found = distribution(package.name)
        tops = {path.parts[0] for path in found.files or ()} - {"..", "__pycache__"}
        for top in tops:
            if not (link := place / top).exists():  # packages may share a namespace
                link.symlink_to(Path(str(found.locate_file(top))).resolve())
    return directory / "bin" / "python"


if __name__ == "__main__":
    make_runtime(Path(sys.argv[1]))
