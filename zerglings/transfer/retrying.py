"""Retries of store calls in batch jobs, with a backoff of about half a minute in total."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

from zerglings.repository.chunk_store import Incomplete
from zerglings.storage.base import (
    AccountRefused,
    NotBootstrapped,
    StoreError,
    TooLarge,
    UnknownPosition,
)

PAUSES = (0.1, 0.3, 1.0, 3.0, 5.0, 10.0, 10.0)
"""Seconds before each retry."""

_PERMANENT = (AccountRefused, NotBootstrapped, UnknownPosition, Incomplete, TooLarge)
"""Errors that a retry cannot fix."""

Pause = Callable[[float], None]
Result = TypeVar("Result")


def with_retries(call: Callable[[], Result], pause: Pause = time.sleep) -> Result:
    """Return the result of a call, and retry it after a temporary error of the store.

    Args:
        call: an idempotent function.
        pause: sleeps for a number of seconds.

    Raises:
        StoreError: the error of the last attempt, or a permanent one.
    """
    for seconds in PAUSES:
        try:
            return call()
        except _PERMANENT:
            raise
        except StoreError:
            pause(seconds)
    return call()
