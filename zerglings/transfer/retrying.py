"""Retries of store calls outside requests, by default for about half a minute in total."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
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


def _ignore(_error: StoreError) -> None:
    pass


def with_retries(
    call: Callable[[], Result],
    pause: Pause = time.sleep,
    *,
    pauses: Iterable[float] = PAUSES,
    failed: Callable[[StoreError], None] = _ignore,
) -> Result:
    """Return the result of a call, and retry it after a temporary error of the store.

    Args:
        call: an idempotent function.
        pause: sleeps for a number of seconds.
        pauses: seconds before each retry.
        failed: is called with each temporary error that a retry follows.

    Raises:
        StoreError: the error of the last attempt, or a permanent one.
    """
    for seconds in pauses:
        try:
            return call()
        except _PERMANENT:
            raise
        except StoreError as error:
            failed(error)
            pause(seconds)
    return call()
