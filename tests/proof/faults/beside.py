"""Runs a measuring module in a child process during a test, and returns what it measured.

The module prints ``ready`` once it runs, and its results as JSON when its standard input is closed.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tests.support.service import ROOT


@contextmanager
def running_beside(module: str, *arguments: str) -> Iterator[list[Any]]:
    """Run a module during the block; afterwards the list contains its output."""
    seen: list[Any] = []
    with subprocess.Popen(
        [sys.executable, "-m", module, *arguments],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        try:
            yield seen
        finally:
            output, _ = process.communicate()
    assert process.returncode == 0
    seen += json.loads(output)
