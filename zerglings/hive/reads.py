"""Looks at zerglings, many with one read."""

from __future__ import annotations

import time
from collections.abc import Sequence

from zerglings.hive.mutations import NoSuchZergling
from zerglings.hive.pending import PendingCall, pause_before_next_attempt, timeout_for
from zerglings.repository.reading import Found, Reader
from zerglings.storage.base import StoreError


class PendingRead(PendingCall):
    """One caller's wish to see one living zergling."""

    def answer(self, found: Found, seconds: float) -> None:
        """Take what a read found, after so many seconds."""
        if isinstance(found, StoreError):
            self.attempt_failed(found, seconds)
        elif found is None or found.is_dead:
            self.fail(NoSuchZergling())
        else:
            self.succeed(found)


class ReadBatch:
    """Reads what many callers want to see at once."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    def __call__(self, reads: Sequence[PendingRead]) -> None:
        """Make one attempt at each look; those left unanswered are to be attempted again."""
        waiting = [read for read in reads if not read.is_over()]
        if not waiting:
            return
        pause_before_next_attempt(waiting)
        ids = {read.zergling_id for read in waiting}
        found: dict[str, Found] = {}
        began = time.monotonic()
        try:
            found = self._reader.read(ids, timeout=timeout_for(waiting))
        except StoreError as error:
            found = dict.fromkeys(ids, error)
        seconds = time.monotonic() - began
        for read in waiting:
            read.answer(found.get(read.zergling_id), seconds)
