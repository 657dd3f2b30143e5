"""Looks at zerglings, many with one read."""

from __future__ import annotations

import time
from collections.abc import Sequence

from zerglings.hive.mutations import NoSuchZergling
from zerglings.hive.pending import ZerglingCall, pause_before_next_attempt, timeout_for
from zerglings.repository.reading import Found, Reader
from zerglings.storage.base import StoreError


class Look(ZerglingCall):
    """One caller's wish to see one living zergling."""

    def answer(self, found: Found, seconds: float) -> None:
        """Take what a read found, after so many seconds."""
        if isinstance(found, StoreError):
            self.attempt_failed(found, seconds)
        elif found is None or found.is_dead:
            self.fail(NoSuchZergling())
        else:
            self.succeed(found)


class LookFlush:
    """Reads what many callers want to see at once."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    def __call__(self, looks: Sequence[Look]) -> None:
        """Make one attempt at each look; those left unanswered are to be attempted again."""
        waiting = [look for look in looks if not look.is_over()]
        if not waiting:
            return
        pause_before_next_attempt(waiting)
        ids = {look.zergling_id for look in waiting}
        found: dict[str, Found] = {}
        began = time.monotonic()
        try:
            found = self._reader.read(ids, timeout=timeout_for(waiting))
        except StoreError as error:
            found = dict.fromkeys(ids, error)
        seconds = time.monotonic() - began
        for look in waiting:
            look.answer(found.get(look.zergling_id), seconds)
