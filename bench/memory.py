"""The memory of a server, at rest and under load."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from bench import process
from bench.service import Server

EVERY = 0.25
"""Seconds between two samples; each costs the kernel some milliseconds."""


@dataclass(slots=True)
class Memory:
    """Memory of all processes of a server, in MiB.

    ``pss`` counts shared pages once; it is None if it cannot be read.
    """

    rss: float
    pss: float | None

    @classmethod
    def of(cls, server: Server) -> Memory:
        """Measure a server now."""
        pids = process.tree(server.pid)
        return cls(process.rss(pids), process.pss(pids))

    def raise_to(self, other: Memory) -> None:
        """Raise each figure to that of ``other`` if that is larger."""
        self.rss = max(self.rss, other.rss)
        if self.pss is not None and other.pss is not None:
            self.pss = max(self.pss, other.pss)


@contextmanager
def watched(server: Server) -> Iterator[Memory]:
    """Yield the peak of a server's memory, which is updated until the block ends."""
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
