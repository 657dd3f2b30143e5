"""Runs a proxy in the foreground, on loopback and with a configuration of its own."""

from __future__ import annotations

import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.support.waiting import wait_until


@contextmanager
def running(program: str, *arguments: str, port: int) -> Iterator[int]:
    """Run a program that listens on a port during the block; yield the port."""
    # Debian has them where only root looks.
    found = shutil.which(program) or shutil.which(program, path="/usr/sbin")
    if found is None:
        pytest.skip(f"BEHIND {program.upper()} NOTHING IS TESTED: it is not installed")
    with subprocess.Popen([found, *arguments]) as process:
        try:
            wait_until(lambda: _listens(process, port), f"{program} listens")
            yield port
        finally:
            process.terminate()


def _listens(process: subprocess.Popen[bytes], port: int) -> bool:
    assert process.poll() is None, "it ended"
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
