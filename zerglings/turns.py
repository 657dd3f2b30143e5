"""Going through many without holding up whoever comes meanwhile. Knows nothing of what they are."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from typing import TypeVar

TOGETHER = 16
"""Callers that go on at once when they are answered; the others a moment later, after those who
came meanwhile, such as a liveness probe."""

Each = TypeVar("Each")


def in_turns(all_of_them: Iterable[Each]) -> Iterator[Each]:
    """Yield each, and give way after every few of them."""
    for number, each in enumerate(all_of_them):
        if number and number % TOGETHER == 0:
            time.sleep(0)
        yield each
