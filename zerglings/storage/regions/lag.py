"""How far this region is behind the others, measured end to end with their heartbeats.

For each database it is the age of the oldest of a region's markers as they have arrived here.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from zerglings.storage.regions.heartbeats import Arrived

KEPT_FOR = 60.0
"""Seconds for which lags are reported while the store cannot be read."""


@dataclass(frozen=True, slots=True)
class Lag:
    """How far this region is behind another one, in seconds.

    Attributes:
        zerglings: for the main database.
        history: for the history database.
    """

    zerglings: float
    history: float


@dataclass(frozen=True, slots=True)
class _Marker:
    """A marker as it has arrived here.

    Attributes:
        time: the time in it, None if it has not arrived.
        since: the same, or when it was first seen if that was earlier: the other clock is wrong.
    """

    time: float | None
    since: float


@dataclass(slots=True)
class _Region:
    """The markers of another region in both databases."""

    zerglings: list[_Marker] = field(default_factory=list)
    history: list[_Marker] = field(default_factory=list)

    def update(self, arrived: Arrived, now: float) -> None:
        self.zerglings = _updated(self.zerglings, arrived.zerglings, now)
        self.history = _updated(self.history, arrived.history, now)

    def lag(self, now: float) -> Lag:
        return Lag(_age(self.zerglings, now), _age(self.history, now))


class LagMeter:
    """Measures how far this region is behind each other region whose heartbeat has arrived."""

    def __init__(self) -> None:
        self._regions: dict[str, _Region] = {}
        self._updated = 0.0

    def update(self, arrived: Iterable[Arrived], now: float) -> None:
        """Take note of what has arrived by now, in seconds since 1970."""
        regions = {}
        for each in arrived:
            regions[each.region] = self._regions.get(each.region) or _Region()
            regions[each.region].update(each, now)
        self._regions = regions
        self._updated = now

    def lags(self, now: float) -> dict[str, Lag] | None:
        """Return the lag for each region by its name.

        Regions whose heartbeat has never arrived are missing. The result is None if there was no
        update in the last ``KEPT_FOR`` seconds.
        """
        if now - self._updated > KEPT_FOR:
            return None
        return {name: region.lag(now) for name, region in sorted(self._regions.items())}


def _updated(before: Sequence[_Marker], times: Sequence[float | None], now: float) -> list[_Marker]:
    """Return the markers with these times. One whose time is the same stays as it is."""
    markers = [_Marker(time, now if time is None else min(time, now)) for time in times]
    for number, (old, new) in enumerate(zip(before, markers, strict=False)):
        if old.time == new.time:
            markers[number] = old
    return markers


def _age(markers: Sequence[_Marker], now: float) -> float:
    return max(0.0, now - min(marker.since for marker in markers))
