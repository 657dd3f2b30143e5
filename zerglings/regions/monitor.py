"""The part of a service process that writes its region's heartbeat and watches those of others."""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable
from functools import cache
from typing import Protocol

from django.conf import settings

from zerglings.storage import open_heartbeats
from zerglings.storage.base import StoreError
from zerglings.storage.regions.heartbeats import PERIOD, Heartbeats
from zerglings.storage.regions.lag import Lag, LagMeter

logger = logging.getLogger(__name__)

FIRST_PAUSE = 1.0
"""Maximum seconds before the first heartbeat. The pauses are random, so that processes take turns.
"""


class Event(Protocol):
    """An event of ``threading`` or gevent."""

    def wait(self, timeout: float) -> object:
        """Wait up to ``timeout`` seconds; return whether the event is set."""


class RegionMonitor:
    """Keeps one region's heartbeat current, and knows how far it is behind the others.

    Args:
        heartbeats: the heartbeats of regions, as seen from this one.
        clock: returns the time in seconds since 1970.
    """

    def __init__(self, heartbeats: Heartbeats, clock: Callable[[], float] = time.time) -> None:
        self.region = heartbeats.region
        self._heartbeats = heartbeats
        self._clock = clock
        self._meter = LagMeter()
        self._logged: set[type[Exception]] = set()

    def run(self, stopping: Event) -> None:
        """Work until ``stopping`` is set, whatever fails meanwhile."""
        pause = random.uniform(0, FIRST_PAUSE)
        while not stopping.wait(pause):
            self.step()
            pause = random.uniform(0.9, 1.1) * PERIOD

    def step(self) -> None:
        """Write a heartbeat if one is due, and read those of the other regions.

        Each kind of error is logged once until a step succeeds.
        """
        succeeded = [self._succeeds(work) for work in (self._heartbeats.write, self._look)]
        if all(succeeded):
            self._logged.clear()

    def lags(self) -> dict[str, Lag] | None:
        """Return how far this region is behind the others, as ``LagMeter.lags`` does."""
        return self._meter.lags(self._clock())

    def close(self) -> None:
        """Close the connections."""
        self._heartbeats.close()

    def _succeeds(self, work: Callable[[float], None]) -> bool:
        try:
            work(self._clock())
        except Exception as error:  # noqa: BLE001 - it is logged, and the next step tries again
            if type(error) not in self._logged:
                self._logged.add(type(error))
                _log(error)
            return False
        return True

    def _look(self, now: float) -> None:
        self._meter.update(self._heartbeats.arrived(), now)


def _log(error: Exception) -> None:
    if isinstance(error, StoreError):
        logger.warning("The heartbeats of regions pause while the store fails: %s", error)
    else:
        logger.error("The heartbeats of regions pause after a crash", exc_info=error)


@cache
def configured_monitor() -> RegionMonitor | None:
    """Return the monitor of this process, None if ``OVERMIND_REGION`` is not set."""
    return RegionMonitor(open_heartbeats()) if settings.OVERMIND_REGION else None
