"""Waits for a condition that another thread or process brings about."""

from __future__ import annotations

import time
from collections.abc import Callable

POLL_SECONDS = 0.005
PATIENCE_SECONDS = 30.0
"""What a busy machine may need; a test that passes never waits that long."""


def wait_until(
    condition: Callable[[], object], what: str, seconds: float = PATIENCE_SECONDS
) -> None:
    """Return as soon as a condition holds.

    Args:
        condition: is called again and again; what it raises ends the wait.
        what: the state in which it holds, for the error.
        seconds: how long it may take.

    Raises:
        AssertionError: it still does not hold by then.
    """
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"after {seconds:.0f} s still not: {what}"
        time.sleep(POLL_SECONDS)  # between two looks
