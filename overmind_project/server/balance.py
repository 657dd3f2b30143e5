"""Balances new connections over the processes of one service.

All processes accept from the same listening socket, and one that waits for the store accepts as
soon as one that is idle. Clients keep their connections, so without balancing a few processes hold
most of them: with 8 processes and 256 connections, one process had 47 requests in a batch and
another 3.

A listening socket for each process (``SO_REUSEPORT``) would balance too. But it would let two
services listen on the same port, and refuse connections while a process restarts.
"""

from __future__ import annotations

import mmap
from collections.abc import Collection

import gevent

SLACK = 1
"""A process accepts at once if it has at most this many more connections than another one."""

LOOKS, PAUSE_SECONDS = 5, 0.001
"""How often, and how long, a process with more connections leaves a new one to the others."""

_NOT_SERVING = 2**32 - 1


class ConnectionCounts:
    """The number of open connections of each process, in memory that all processes share.

    Args:
        processes: the usual number of processes. There is room for twice as many, because those of
            a new configuration start before the old ones have ended.
    """

    def __init__(self, processes: int) -> None:
        self._counts = memoryview(mmap.mmap(-1, 2 * processes * 4)).cast("I")
        for place in range(len(self._counts)):
            self.leave(place)

    def free_place(self, taken: Collection[int]) -> int:
        """Return the first place that is not taken; the last place if all are."""
        places = range(len(self._counts))
        return next((place for place in places if place not in taken), places[-1])

    def note(self, place: int, connections: int) -> None:
        """Set the number of open connections of the process at this place."""
        self._counts[place] = connections

    def leave(self, place: int) -> None:
        """Stop counting a process that accepts no more connections."""
        self._counts[place] = _NOT_SERVING

    def let_others_accept(self, place: int) -> None:
        """Wait for a moment while another process has fewer connections than the one here."""
        for _ in range(LOOKS):
            if not self.has_more_than_others(place):
                return
            gevent.sleep(PAUSE_SECONDS)

    def has_more_than_others(self, place: int) -> bool:
        """Whether the process here has more connections than another, beyond ``SLACK``."""
        return self._counts[place] > min(self._counts) + SLACK
