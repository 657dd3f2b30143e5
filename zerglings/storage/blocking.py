"""Run blocking calls without blocking the gevent hub."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from gevent import get_hub, monkey

T = TypeVar("T")


def run_blocking(function: Callable[[], T]) -> T:
    """Call ``function`` and return its result, without blocking other greenlets.

    When gevent has patched ``threading``, the function runs in a thread of the hub's pool. It must
    then not use locks of ``threading``, which are gevent's, or objects that are bound to one
    thread.
    """
    if not monkey.is_module_patched("threading"):
        return function()
    outcome: list[T] = []
    error = get_hub().threadpool.apply(_catch, (function, outcome))
    if error is not None:
        raise error
    return outcome[0]


def _catch(function: Callable[[], T], outcome: list[T]) -> Exception | None:
    """Return an error instead of raising it, because gevent prints errors of pool threads."""
    try:
        outcome.append(function())
    except Exception as error:  # noqa: BLE001 - raised again by the caller
        return error
    return None
