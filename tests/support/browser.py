"""Starts Chromium and records console errors and requests to other hosts."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Request, sync_playwright

SHELL = "chromium-headless-shell"
"""Chromium without any window: the same rendering with a third of the CPU time."""

NAMES = ("chromium", "chromium-browser", "google-chrome")
"""Names of an installed browser; without one, Playwright's is used."""

ARGUMENTS = [
    "--no-sandbox",  # it does not start as root otherwise
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@contextmanager
def chromium(*more: str) -> Iterator[Browser]:
    """Run a browser until the block ends."""
    names = NAMES if os.environ.get("PWDEBUG") else (SHELL, *NAMES)
    path = next(filter(None, map(shutil.which, names)), None)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=[*ARGUMENTS, *more])
        yield browser
        browser.close()


class Watch:
    """Records errors in the pages of a browser context, and their requests to other hosts.

    ``expected`` holds patterns of the console errors that a test causes on purpose.
    """

    def __init__(self, context: BrowserContext, host: str) -> None:
        self.expected: list[str] = []
        self.errors: list[str] = []
        self.foreign: list[str] = []
        self._host = host
        context.on("console", self._note)
        context.on("weberror", lambda raised: self.errors.append(str(raised.error)))
        context.on("request", self._look)

    def check(self) -> None:
        """Fail if there was an unexpected error or a request to another host."""
        unexpected = [
            error
            for error in self.errors
            if not any(re.search(pattern, error) for pattern in self.expected)
        ]
        assert unexpected == [], unexpected
        assert self.foreign == [], self.foreign

    def _note(self, message: ConsoleMessage) -> None:
        # A breach of the Content-Security-Policy is an error here too.
        if message.type == "error":
            self.errors.append(f"{message.text} {message.location.get('url', '')}")

    def _look(self, request: Request) -> None:
        url = urlsplit(request.url)
        if url.scheme != "data" and url.netloc != self._host:  # data come with the page itself
            self.foreign.append(request.url)
