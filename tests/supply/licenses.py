"""Writes LICENSES.md, the licences of all runtime dependencies, for ``make licenses``.

pip-licenses reads the licence of each package from its metadata. Browser assets have no metadata,
so the service keeps its own list of them.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterable
from functools import cache
from pathlib import Path

from tests.supply.assets import ASSETS
from tests.supply.requirements import here, locked
from tests.support.service import ROOT

PAGE = ROOT / "LICENSES.md"

ALLOWED = frozenset(
    {
        "0BSD",
        "Apache Software License",
        "Apache-2.0 AND BSD-2-Clause",
        "Apache-2.0 OR BSD-2-Clause",
        "BSD 3-Clause OR Apache-2.0",
        "BSD License",
        "BSD-2-Clause",
        "BSD-3-Clause",
        "MIT",
        "MIT AND PSF-2.0",
        "MIT License",
        "MPL-2.0 AND (Apache-2.0 OR MIT)",
        "MPL-2.0 AND MIT",
        "Mozilla Public License 2.0 (MPL 2.0)",
        "PSF-2.0",
        "ZPL-2.1",
    }
)
"""Licences compatible with MIT: permissive ones, and MPL-2.0, which covers only its files."""

_HEAD = """# Licences

Overmind itself is under the [MIT licence](LICENSE). `make licenses` writes this page; a test holds
it against what is installed, and lets in no licence that is not on a list of permissive ones.
Versions and hashes are in `requirements.txt`.

## Packages

What `requirements.txt` names for Linux and macOS, with the licence that each declares:

"""
_ASSETS_HEAD = """
## For the browser

What these packages bring along, and the service hands out:

"""


@cache
def licences() -> dict[str, str]:
    """Return the declared licence of each runtime package of this platform, by name."""
    names = [each.requirement.name for each in here(locked(ROOT / "requirements.txt"))]
    tool = Path(sys.executable).with_name("pip-licenses")
    done = subprocess.run(
        [tool, "--from=mixed", "--format=json", "--packages", *names],
        check=True,
        capture_output=True,
        text=True,
    )
    found = {each["Name"]: each["License"] for each in json.loads(done.stdout)}
    return dict(sorted(found.items(), key=lambda item: item[0].lower()))


def page() -> str:
    """Return the up-to-date page."""
    packages = [(f"`{name}`", licence) for name, licence in licences().items()]
    assets = [
        (each.title, each.licence, f"`{each.package}`", ", ".join(f"`{it}`" for it in each.files))
        for each in ASSETS
    ]
    return (
        _HEAD
        + _table(("package", "licence"), packages)
        + _ASSETS_HEAD
        + _table(("asset", "licence", "comes with", "files in `staticfiles/`"), assets)
    )


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [head, ("---",) * len(head), *rows]
    return "".join("| " + " | ".join(cells) + " |\n" for cells in lines).replace(" --- ", "---")


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
