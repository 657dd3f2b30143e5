"""The report of a campaign over regions: what was done, what clients saw, and every fault."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum

from tests.proof.load.ledger import Fate
from tests.proof.regions.clients import Failure
from tests.proof.regions.heals import Healing, Outcome

FAULTS_SHOWN = 200


class Excuse(Enum):
    """The reason for which a read may be answered with 5xx."""

    RESTARTED = "while the service was restarted"
    KILLED = "while the region's own store was killed"
    SLOW = "while the region's own store took more than a second to answer"


@dataclass(frozen=True)
class Period:
    """A time on the monotonic clock, in the region of a service."""

    port: int
    began: float
    ended: float

    def overlaps(self, other: Period) -> bool:
        """Whether two periods are of one region and have a moment in common."""
        is_same = self.port == other.port
        return is_same and self.began <= other.ended and other.began <= self.ended


@dataclass
class Report:
    """The result of a campaign.

    Attributes:
        began: when the campaign began, on the monotonic clock.
        strikes: the disturbances, by name.
        aways: when the service or the store of a region was away, and which of them.
        heals: the runs of ``heal``, by their outcome.
        healed: what they merged, removed and purged.
        heal_said: why ``heal`` refused, and what it could not heal then; ids are left out.
        failed_reads: reads that may be answered with 5xx.
        elsewhere: requests that were repeated in another region.
        incomplete: histories that were read before their older part had arrived.
    """

    began: float = field(default_factory=time.monotonic)
    strikes: Counter[str] = field(default_factory=Counter)
    aways: list[tuple[Period, Excuse]] = field(default_factory=list)
    heals: Counter[str] = field(default_factory=Counter)
    healed: Counter[str] = field(default_factory=Counter)
    heal_said: Counter[str] = field(default_factory=Counter)
    statuses: Counter[int | None] = field(default_factory=Counter)
    fates: Counter[Fate] = field(default_factory=Counter)
    failed_reads: Counter[Excuse] = field(default_factory=Counter)
    elsewhere: int = 0
    incomplete: int = 0
    deaths: int = 0
    convergence: float = 0.0
    documents: int = 0
    chunks: int = 0
    originals: int = 0
    wrong: list[str] = field(default_factory=list)

    def is_clean(self) -> bool:
        """Whether no fault was found."""
        return not self.wrong

    def enter_read(self, read: Failure) -> None:
        """Record a read that was answered with 5xx."""
        excuse = self._excuse(read)
        if excuse is not None:
            self.failed_reads[excuse] += 1
            return
        self.wrong.append(
            f"a read failed {read.began - self.began:.0f} s after the start: {read.status} to"
            f" {read.path} on port {read.port} after {read.ended - read.began:.2f} s: {read.said}"
        )

    def enter_heal(self, region: str, period: Period, healing: Healing) -> None:
        """Record a run of heal."""
        outcome = healing.outcome
        self.heals[outcome.value] += 1
        self.healed += healing.counts
        if outcome is Outcome.REFUSED:
            self.heal_said.update(healing.complaints)
        is_killed = any(
            excuse is Excuse.KILLED and away.overlaps(period) for away, excuse in self.aways
        )
        if outcome is Outcome.FAILED or (outcome is Outcome.STOPPED and not is_killed):
            self.wrong.append(f"heal in {region}: {healing.said}")

    def lines(self) -> list[str]:
        """Return the report as readable lines."""
        return [
            f"disturbances: {_counted(self.strikes)}",
            f"{self.statuses.total()} requests: {_counted(self.statuses)}",
            f"{self.fates.total()} commands: "
            + ", ".join(f"{self.fates[fate]} {fate.value}" for fate in Fate),
            f"{self.elsewhere} requests repeated in another region, {self.deaths} deaths,"
            f" {self.originals} commands of the original",
            f"{self.heals.total()} runs of heal: {_counted(self.heals)}",
            *(f"  {count} × {what}" for what, count in self.healed.items()),
            *(f"  {count} × said: {what}" for what, count in self.heal_said.most_common()),
            f"{self.incomplete} histories read whose older part had not arrived",
            f"{self.failed_reads.total()} failed reads without a fault:",
            *(f"  {self.failed_reads[excuse]} {excuse.value}" for excuse in Excuse),
            f"equal {self.convergence:.1f} s after the load: {self.documents} documents,"
            f" {self.chunks} in the history",
            f"{len(self.wrong)} faults",
            *self.wrong[:FAULTS_SHOWN],
        ]

    def _excuse(self, read: Failure) -> Excuse | None:
        """Return the reason for which a read may fail; None makes it a fault."""
        period = Period(read.port, read.began, read.ended)
        for away, excuse in self.aways:
            if away.overlaps(period):
                return excuse
        return Excuse.SLOW if read.is_excused else None


def _counted(counts: Mapping[str, int] | Mapping[int | None, int]) -> str:
    pairs = sorted(counts.items(), key=str)
    return ", ".join(f"{count} × {what or 'none'}" for what, count in pairs) or "none"
