"""Waits for a condition that another thread or process brings about."""

from __future__ import annotations

import time
from collections.abc import Callable

POLL_SECONDS = 0.005
TIMEOUT_SECONDS = 30.0
"""Seconds that a busy machine may need; a passing test never waits that long."""


def wait_until(
    condition: Callable[[], object], what: str, seconds: float = TIMEOUT_SECONDS
) -> None:
    """Return as soon as a condition holds.

    Args:
        condition: called repeatedly; an exception from it ends the wait.
        what: the expected state, for the error message.
        seconds: the timeout.

    Raises:
        AssertionError: if the condition does not hold in time.
    """
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"after {seconds:.0f} s still not: {what}"
        time.sleep(POLL_SECONDS)  # between two looks
