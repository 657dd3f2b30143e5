"""How far this region is behind the others, measured end to end with their heartbeats.

For the history database it is the age of the newest heartbeat that has arrived. For the main
database it is the age of the newest heartbeat whose change, and those of all earlier ones, have
arrived there too.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from zerglings.storage.base import Store
from zerglings.storage.regions.changes import Change, ChangeLog
from zerglings.storage.regions.heartbeats import TIMEOUT, Heartbeat, read_heartbeats

MAX_AWAITED = 100
"""Heartbeats of a region to remember while their changes have not arrived."""

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


@dataclass(slots=True)
class _Awaited:
    """A heartbeat whose change has not arrived yet, as far as is known.

    ``since`` is its time, or when it was first seen if its time was later: that clock is wrong.
    """

    since: float
    change: Change | None


@dataclass(slots=True)
class _Region:
    """What is known of another region.

    Attributes:
        newest: its newest heartbeat.
        newest_since: ``since`` of that heartbeat.
        reached: ``since`` of the newest heartbeat whose change has arrived, None if none has.
        awaited: the heartbeats after that one, oldest first.
    """

    newest: Heartbeat | None = None
    newest_since: float = 0.0
    reached: float | None = None
    awaited: list[_Awaited] = field(default_factory=list)

    def add(self, heartbeat: Heartbeat, now: float) -> None:
        """Add a heartbeat. The order of arrival counts, not the times: clocks are set back."""
        if heartbeat == self.newest:
            return
        self.newest = heartbeat
        self.newest_since = min(heartbeat.time, now)
        if len(self.awaited) == MAX_AWAITED:
            self.awaited.pop()
        self.awaited.append(_Awaited(self.newest_since, heartbeat.latest))

    def settle(self, unknown: set[Change], outstanding: set[Change]) -> None:
        """Drop the heartbeats up to the newest one whose change has arrived.

        Heartbeats after an outstanding change do not count: it may have taken another way. A change
        that is unknown but not outstanding decides nothing.
        """
        arrived = 0
        for number, each in enumerate(self.awaited, 1):
            if each.change in outstanding:
                break
            if each.change not in unknown:
                arrived, self.reached = number, each.since
        del self.awaited[:arrived]

    def lag(self, now: float) -> Lag:
        """Return the lag. While no change is known to have arrived, it is that of the oldest."""
        reached = self.awaited[0].since if self.reached is None else self.reached
        return Lag(max(0.0, now - reached), max(0.0, now - self.newest_since))


class LagMeter:
    """Measures how far this region is behind each other region whose heartbeat has arrived.

    Args:
        region: the name of this region.
        history: the store of the history database.
        changes: the changes of the main database.
    """

    def __init__(self, region: str, history: Store, changes: ChangeLog) -> None:
        self._region = region
        self._history = history
        self._changes = changes
        self._regions: dict[str, _Region] = {}
        self._updated = 0.0

    def update(self, now: float) -> None:
        """Read the heartbeats. ``now`` is the time in seconds since 1970.

        Raises:
            StoreError: the store failed; what was known stays.
        """
        heartbeats = {each.region: each for each in read_heartbeats(self._history)}
        heartbeats.pop(self._region, None)
        regions = {name: self._regions.get(name) or _Region() for name in heartbeats}
        for name, heartbeat in heartbeats.items():
            regions[name].add(heartbeat, now)
        self._regions = regions
        awaited = [each.change for region in regions.values() for each in region.awaited]
        changes = {change for change in awaited if change is not None}
        unknown = self._changes.unknown(changes, timeout=TIMEOUT)
        outstanding = self._changes.outstanding(unknown, timeout=TIMEOUT)
        for region in regions.values():
            region.settle(unknown, outstanding)
        self._updated = now

    def lags(self, now: float) -> dict[str, Lag] | None:
        """Return the lag for each region by its name, without calling the store.

        Regions whose heartbeat has never arrived are missing. The result is None if the heartbeats
        could not be read in the last ``KEPT_FOR`` seconds.
        """
        if now - self._updated > KEPT_FOR:
            return None
        return {name: region.lag(now) for name, region in sorted(self._regions.items())}
