"""Runs ``manage.py`` commands and other Python programs in child processes.

None of them inherits a setting of the service: each gets the environment that its test gives it.
"""

from __future__ import annotations

import os
import pty
import select
import subprocess
import sys
import termios
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from tests.support.service import ROOT, clean_environment

TIMEOUT = 120.0
"""In seconds: fifty concurrent bootstraps on two cores take more than one minute."""

Environment = Mapping[str, str]
Done = subprocess.CompletedProcess[str]


def python(*arguments: str, **environment: str) -> Done:
    """Run the Python interpreter and return its completed process with text output."""
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=ROOT,
        env=clean_environment() | environment,
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
        check=False,
    )


def manage(
    environment: Environment, *arguments: str, given: bytes | None = None
) -> subprocess.CompletedProcess[bytes]:
    """Run a management command to its end; ``given`` is its standard input."""
    return subprocess.run(
        [sys.executable, "manage.py", *arguments],
        cwd=ROOT,
        env=clean_environment() | dict(environment),
        input=given,
        capture_output=True,
        timeout=TIMEOUT,
        check=False,
    )


def started(environment: Environment, *arguments: str) -> subprocess.Popen[bytes]:
    """Start a management command with pipes for its output."""
    return subprocess.Popen(
        [sys.executable, "manage.py", *arguments],
        cwd=ROOT,
        env=clean_environment() | dict(environment),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def through_head(
    environment: Environment, command: str, size: int
) -> subprocess.CompletedProcess[bytes]:
    """Pipe a command into ``head -c size``; the exit status is the command's."""
    return subprocess.run(
        [
            "bash",
            "-c",
            f"'{sys.executable}' manage.py {command} | head -c {size}; exit ${{PIPESTATUS[0]}}",
        ],
        cwd=ROOT,
        env=clean_environment() | dict(environment),
        capture_output=True,
        timeout=TIMEOUT,
        check=False,
    )


def on_a_terminal(environment: Environment, *arguments: str) -> bytes:
    """Run a command on a pseudo-terminal and return its output."""
    with running_on_a_terminal(environment, *arguments) as (running, terminal):
        shown = b"".join(iter(terminal.read, b""))
        assert running.wait(TIMEOUT) == 0
    return shown


class Terminal:
    """The other end of a pseudo-terminal on which a command runs."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def read(self) -> bytes:
        """Return what the command has written, b"" once it has ended."""
        assert not self.is_silent(TIMEOUT), "the command writes nothing"
        try:
            return os.read(self._descriptor, 4096)
        except OSError:  # Linux raises it when the other end is closed
            return b""

    def is_silent(self, seconds: float) -> bool:
        """Whether the command writes nothing for so long."""
        return not select.select([self._descriptor], [], [], seconds)[0]

    def read_until(self, wanted: bytes) -> bytes:
        """Return the output up to the part that completes ``wanted``."""
        shown, end = b"", time.monotonic() + TIMEOUT
        while wanted not in shown:
            part = self.read()
            assert part, shown
            assert time.monotonic() < end, shown
            shown += part
        return shown


@contextmanager
def running_on_a_terminal(
    environment: Environment, *arguments: str
) -> Iterator[tuple[subprocess.Popen[bytes], Terminal]]:
    """Start a command on a pseudo-terminal of 24 lines and 80 columns; kill it after the block."""
    mine, its = pty.openpty()
    termios.tcsetwinsize(its, (24, 80))
    with subprocess.Popen(
        [sys.executable, "manage.py", *arguments],
        cwd=ROOT,
        env=clean_environment() | {"TERM": "xterm"} | dict(environment),
        stdout=its,
        stderr=its,
    ) as running:
        os.close(its)
        try:
            yield running, Terminal(mine)
        finally:
            running.kill()
            os.close(mine)


def succeeded(done: subprocess.CompletedProcess[bytes]) -> str:
    """Assert that a command succeeded without any error output; return its output."""
    assert done.returncode == 0, done.stderr
    assert done.stderr == b""
    return done.stdout.decode()


def failed(done: subprocess.CompletedProcess[bytes]) -> str:
    """Assert that a command failed without a traceback; return its error output."""
    assert done.returncode == 1
    assert b"Traceback" not in done.stderr
    return done.stderr.decode()
