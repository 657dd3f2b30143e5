"""Going through many without holding up whoever comes meanwhile. Knows nothing of what they are."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from typing import TypeVar, overload

from gevent import monkey

TOGETHER = 16
"""Callers that go on at once when they are answered; the others a moment later, after those who
came meanwhile, such as a liveness probe."""

SLICE = 5000
"""Words, or what takes as little time as one, to go through at once: a few milliseconds."""

MOMENT = 0.0001
"""Seconds, as few as make gevent look at its connections."""

Each = TypeVar("Each")


def yield_control() -> None:
    """Let all other greenlets of this thread go on; threads of the system need no such help.

    ``sleep(0)`` is not enough: gevent runs the greenlets that are ready up to fifty times before it
    checks its sockets for new requests.
    """
    if monkey.is_module_patched("time"):
        time.sleep(MOMENT)


def with_yields(all_of_them: Iterable[Each]) -> Iterator[Each]:
    """Yield each, and give way after every few of them."""
    for number, each in enumerate(all_of_them):
        if number and number % TOGETHER == 0:
            time.sleep(0)
        yield each


@overload
def in_slices(many: range, size: int = SLICE) -> Iterator[range]: ...
@overload
def in_slices(many: Sequence[Each], size: int = SLICE) -> Iterator[Sequence[Each]]: ...
def in_slices(many: Sequence[Each], size: int = SLICE) -> Iterator[Sequence[Each]]:
    """Yield a sequence in slices, and give way between them; a short one is a single slice."""
    for start in range(0, len(many), size):
        if start:
            yield_control()
        yield many[start : start + size] if len(many) > size else many
