"""Calls that block a thread, made from a worker whose threads may be greenlets."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from gevent import get_hub, monkey

T = TypeVar("T")


def run_blocking(function: Callable[[], T]) -> T:
    """Return what ``function`` returns, without holding up the other greenlets of this thread.

    It runs in another thread where gevent has taken the place of threads, so it must use no lock
    of the ``threading`` module, which would be a greenlet's, and nothing that belongs to a thread.
    """
    if not monkey.is_module_patched("threading"):
        return function()
    outcome: list[T] = []
    error = get_hub().threadpool.apply(_kept, (function, outcome))
    if error is not None:
        raise error
    return outcome[0]


def _kept(function: Callable[[], T], outcome: list[T]) -> Exception | None:
    """Return an error instead of raising it: gevent would print it, expected or not."""
    try:
        outcome.append(function())
    except Exception as error:  # noqa: BLE001 - raised again where it is waited for
        return error
    return None
