"""How much memory a server holds, at rest and while it is loaded."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from bench import process
from bench.service import Server

EVERY = 0.25
"""Seconds between two looks; each costs the kernel some milliseconds."""


@dataclass(slots=True)
class Memory:
    """MiB of all processes of a server; ``pss`` counts shared pages once, None if not readable."""

    rss: float
    pss: float | None

    @classmethod
    def of(cls, server: Server) -> Memory:
        """Look at a server."""
        pids = process.tree(server.pid)
        return cls(process.rss(pids), process.pss(pids))

    def raise_to(self, other: Memory) -> None:
        """Keep the larger of each."""
        self.rss = max(self.rss, other.rss)
        if self.pss is not None and other.pss is not None:
            self.pss = max(self.pss, other.pss)


@contextmanager
def watched(server: Server) -> Iterator[Memory]:
    """Give the peak of a server's memory during the block, complete when that has ended."""
    peak = Memory.of(server)
    ended = threading.Event()

    def watch() -> None:
        while not ended.wait(EVERY):
            peak.raise_to(Memory.of(server))

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield peak
    finally:
        ended.set()
        thread.join()
