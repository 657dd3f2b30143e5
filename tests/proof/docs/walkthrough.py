"""Runs the commands of a page against a fresh service and compares what they print.

Ids, revisions and hashes may differ from those on the page if each is replaced consistently; times
and durations may differ freely. ``…`` stands for omitted text, alone on a line for any lines.
Everything else must be equal.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import Self

from tests.support.backends import sqlite_backend
from tests.support.pages import Command
from tests.support.service import ROOT, Service, clean_environment

ADDRESS = "localhost:8080"
"""Where the service is on the pages."""

TIMEOUT = 30.0
DEADLINE = 10.0
"""Seconds within which a line must be in the log, or events come without a repeat."""

_TRIED_AGAIN = re.compile("^grep |/events")
"""Commands that only look, at what may be written a moment later, or told twice after a resume."""

_NAMED = (
    r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}",  # an id
    r"\d+-[0-9a-f]{32}",  # a revision
    r"\b[0-9a-f]{32}\b",  # a request's id
)
"""What stays the same all through a page."""

_FREE = (
    r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z",
    r"(?<=duration_ms[=:])\d+\.\d+",
    r'(?<=duration_ms":)\d+\.\d+',
    r"(?<= in )\d+\.\d(?= s)",
)
"""What may be another each time."""

_TOKEN = re.compile("|".join(f"(?P<k{n}>{shape})" for n, shape in enumerate(_NAMED + _FREE)))


class Walkthrough:
    """One reader who follows one page, with a directory and a service of their own."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory / "reader"
        self._directory.mkdir()
        (self._directory / "manage.py").symlink_to(ROOT / "manage.py")
        (self._directory / ".curlrc").write_text("silent\nshow-error\n")
        self._store = sqlite_backend(directory).environment
        self._variables: dict[str, str] = {}
        self._service: Service | None = None
        self._known: dict[str, str] = {}
        """What the page calls a thing, and what it is here."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._service is not None:
            self._service.stop()

    def give(self, variables: dict[str, str]) -> None:
        """Let the service have these variables from now on."""
        self._variables |= variables
        if self._service is not None:
            self._service.stop()
            self._service = None

    def follow(self, command: Command) -> None:
        """Run a command and compare what it prints."""
        deadline = time.monotonic() + DEADLINE
        match = None
        while match is None:
            printed = self._run(self._translated(command.text))
            match = self._matches(command.output, printed)
            if not _TRIED_AGAIN.search(command.text) or time.monotonic() > deadline:
                break
        if match is None:
            told = self._translated(command.output)
            raise AssertionError(
                f"line {command.line}: $ {command.text}\nshould print\n{told}\nprints\n{printed}"
            )
        self._known |= match

    def _run(self, text: str) -> str:
        done = subprocess.run(
            ["bash", "-c", text],
            cwd=self._directory,
            env=self._environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=TIMEOUT,
            check=False,
        )
        here = f"127.0.0.1:{self._service.port}" if self._service is not None else ADDRESS
        lines = (line.rstrip() for line in done.stdout.replace(here, ADDRESS).splitlines())
        return "\n".join(lines).rstrip("\n")

    def _environment(self) -> dict[str, str]:
        tools = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        own = {"HOME": str(self._directory), "PATH": tools, "NO_COLOR": "1"}
        return clean_environment() | self._store | self._variables | own

    def _translated(self, text: str) -> str:
        """Return a text of the page with what is meant here."""
        for theirs, ours in self._known.items():
            text = text.replace(theirs, ours)
        if ADDRESS not in text:
            return text
        if self._service is None:
            self._service = Service(self._store | self._variables, self._directory)
        return text.replace(ADDRESS, f"127.0.0.1:{self._service.port}")

    def _matches(self, told: str, printed: str) -> dict[str, str] | None:
        """Return what new names on the page turned out to be; None if it prints something else."""
        names: dict[str, str] = {}
        match = re.fullmatch(self._pattern(told.rstrip("\n"), names), printed)
        return match and {theirs: match[group] for theirs, group in names.items()}

    def _pattern(self, told: str, names: dict[str, str]) -> str:
        pattern, end = "", 0
        for token in _TOKEN.finditer(told):
            pattern += _plain(told[end : token.start()]) + self._pattern_of(token, names)
            end = token.end()
        return pattern + _plain(told[end:])

    def _pattern_of(self, token: re.Match[str], names: dict[str, str]) -> str:
        kind, text = int((token.lastgroup or "")[1:]), token[0]
        if kind >= len(_NAMED):
            return _FREE[kind - len(_NAMED)]
        if text in self._known:
            return re.escape(self._known[text])
        if text in names:
            return f"(?P={names[text]})"
        names[text] = f"n{len(names)}"
        return f"(?P<{names[text]}>{_NAMED[kind]})"


def _plain(text: str) -> str:
    """Return the pattern of what must be equal but for what is left out."""
    escaped = re.escape(text)
    escaped = re.sub(r"(?m)(^|(?<=\n))…\\\n", r"(?:.*\n)*?", escaped)
    escaped = re.sub(r"\\\n…\Z", r"(?:\n.*)*", escaped)
    return escaped.replace("…", ".*?")
