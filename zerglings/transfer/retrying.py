"""Store calls that nobody waits for are tried again for half a minute or so, then given up."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

from zerglings.repository.archive import MissingChunk
from zerglings.storage.base import (
    AccountRefused,
    NotBootstrapped,
    StoreError,
    TooLarge,
    UnknownPosition,
)

PAUSES = (0.1, 0.3, 1.0, 3.0, 5.0, 10.0, 10.0)
"""Seconds before each new attempt."""

CALL_TIMEOUT = 30.0
"""Seconds that one store call may wait."""

LASTING = (AccountRefused, NotBootstrapped, UnknownPosition, MissingChunk, TooLarge)
"""What no new attempt mends."""

Pause = Callable[[float], None]
Result = TypeVar("Result")


def with_retries(call: Callable[[], Result], pause: Pause = time.sleep) -> Result:
    """Return what a call, which may be repeated, returns.

    Raises:
        StoreError: what the last attempt ended with, or what no attempt mends.
    """
    for seconds in PAUSES:
        try:
            return call()
        except LASTING:
            raise
        except StoreError:
            pause(seconds)
    return call()
