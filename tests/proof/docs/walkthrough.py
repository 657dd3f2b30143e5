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
"""The service's address on the pages."""

TIMEOUT = 30.0
DEADLINE = 10.0
"""Seconds within which a log line must appear or events must arrive."""

_TRIED_AGAIN = re.compile("^grep |/events")
"""Read-only commands, repeated because their output may appear a moment later."""

_NAMED = (
    r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}",  # an id
    r"\d+-[0-9a-f]{32}",  # a revision
    r"\b[0-9a-f]{32}\b",  # a request's id
)
"""Patterns of values that stay the same throughout a page."""

_FREE = (
    r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z",
    r"(?<=duration_ms[=:])\d+\.\d+",
    r'(?<=duration_ms":)\d+\.\d+',
    r"(?<= in )\d+\.\d(?= s)",
)
"""Patterns of values that may differ in each run."""

_TOKEN = re.compile("|".join(f"(?P<k{n}>{shape})" for n, shape in enumerate(_NAMED + _FREE)))


class Walkthrough:
    """Follows one page, with its own directory and service."""

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
        """Restart the service with these variables."""
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
        """Return a text of the page with the values of this run."""
        for theirs, ours in self._known.items():
            text = text.replace(theirs, ours)
        if ADDRESS not in text:
            return text
        if self._service is None:
            self._service = Service(self._store | self._variables, self._directory)
        return text.replace(ADDRESS, f"127.0.0.1:{self._service.port}")

    def _matches(self, told: str, printed: str) -> dict[str, str] | None:
        """Return the values of new names on the page, or None if the output differs."""
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
    """Return the pattern of the text, in which omissions match anything."""
    escaped = re.escape(text)
    escaped = re.sub(r"(?m)(^|(?<=\n))…\\\n", r"(?:.*\n)*?", escaped)
    escaped = re.sub(r"\\\n…\Z", r"(?:\n.*)*", escaped)
    return escaped.replace("…", ".*?")
