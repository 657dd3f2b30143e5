"""Reads of single zerglings, many with one store call."""

from __future__ import annotations

import time
from collections.abc import Sequence

from zerglings.hive.mutations import NoSuchZergling
from zerglings.hive.pending import PendingOperation, pause_before_next_attempt, timeout_for
from zerglings.repository.reading import Found, Reader
from zerglings.storage.base import StoreError


class PendingRead(PendingOperation):
    """An operation that reads one living zergling."""

    def answer(self, found: Found, seconds: float) -> None:
        """Answer the operation with the result of a read, or leave it for a retry.

        Args:
            found: the result.
            seconds: how long the read took.
        """
        if isinstance(found, StoreError):
            self.attempt_failed(found, seconds)
        elif found is None or found.is_dead:
            self.fail(NoSuchZergling())
        else:
            self.succeed(found)


class ReadBatch:
    """Executes batches of reads.

    Args:
        reader: reads the zerglings.
    """

    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    def __call__(self, reads: Sequence[PendingRead]) -> None:
        """Make one attempt at each read. Those that stay unanswered are to be retried."""
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
