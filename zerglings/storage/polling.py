"""Waiting for changes in a store that tells nobody of them."""

from __future__ import annotations

import time
from collections.abc import Callable

from zerglings.storage.base import Changes

EVERY = 0.05
"""Seconds between two looks."""


def wait_for_changes(look: Callable[[], Changes], seconds: float) -> Changes:
    """Look until there are changes, ``seconds`` long at most; return what the last look found."""
    deadline = time.monotonic() + seconds
    while not (changes := look()).ids and (left := deadline - time.monotonic()) > 0:
        time.sleep(min(EVERY, left))
    return changes
