"""Polling for stores that cannot push changes."""

from __future__ import annotations

import time
from collections.abc import Callable

from zerglings.storage.base import Changes

POLL_INTERVAL = 0.05
"""Seconds between two polls."""


def wait_for_changes(read: Callable[[], Changes], seconds: float) -> Changes:
    """Call ``read`` until it returns changes or ``seconds`` have passed; return the last result."""
    deadline = time.monotonic() + seconds
    while not (changes := read()).ids and (remaining := deadline - time.monotonic()) > 0:
        time.sleep(min(POLL_INTERVAL, remaining))
    return changes
