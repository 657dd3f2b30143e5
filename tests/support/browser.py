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
"""Draws the same and takes a third of the processor's time, but has no window to look at."""

NAMES = ("chromium", "chromium-browser", "google-chrome")
"""What the machine's own browser may be called; without one it is Playwright's."""

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
    """Notes what goes wrong in the pages of a context, and whom they call.

    ``expected`` are patterns of console errors that belong to what a test does.
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
        """Fail for anything that nobody expected."""
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
