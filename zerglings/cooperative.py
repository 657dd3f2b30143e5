"""Cooperative scheduling: split long loops so that gevent can serve other requests in between."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from typing import TypeVar, overload

from gevent import monkey

YIELD_EVERY = 16
"""Items to process between two yields, for example callers to wake. Other greenlets that are ready,
such as the handler of a liveness probe, do not wait for all items."""

SLICE_SIZE = 5000
"""Items to process between two yields: a few milliseconds of work if each is one command."""

YIELD_SECONDS = 0.0001
"""Shortest sleep, in seconds, after which gevent polls its sockets."""

Item = TypeVar("Item")


def yield_control() -> None:
    """Let other greenlets run, including those that wait for network input.

    ``sleep(0)`` is not enough: gevent polls its sockets only when no greenlet is ready, or at every
    fiftieth callback if its switch interval has passed. Without gevent this does nothing, because
    the operating system preempts threads.
    """
    if monkey.is_module_patched("time"):
        time.sleep(YIELD_SECONDS)


def with_yields(items: Iterable[Item]) -> Iterator[Item]:
    """Yield each item, and let other greenlets run after every ``YIELD_EVERY`` items."""
    for number, item in enumerate(items):
        if number and number % YIELD_EVERY == 0:
            time.sleep(0)
        yield item


@overload
def in_slices(sequence: range, size: int = SLICE_SIZE) -> Iterator[range]: ...
@overload
def in_slices(sequence: Sequence[Item], size: int = SLICE_SIZE) -> Iterator[Sequence[Item]]: ...
def in_slices(sequence: Sequence[Item], size: int = SLICE_SIZE) -> Iterator[Sequence[Item]]:
    """Yield consecutive slices of a sequence, and let other greenlets run between them.

    Args:
        sequence: a sequence or a range; if it has at most ``size`` items it is yielded as it is.
        size: items per slice.
    """
    for start in range(0, len(sequence), size):
        if start:
            yield_control()
        yield sequence[start : start + size] if len(sequence) > size else sequence
