"""Runs a crash test in rounds: kills processes under load, then checks acknowledged commands.

After each kill it replays every zergling that the round's clients know from the store. At the end
of a round it compares the round's ledger with the store, and at the end of the run all ledgers.
"""

from __future__ import annotations

import random
import shutil
import time
from collections import Counter
from collections.abc import Collection
from contextlib import closing
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from statistics import median

from tests.proof.crashes.ground import Ground
from tests.proof.crashes.invariants import Known, faults_of, faults_of_file
from tests.proof.crashes.mixed import MixedSwarm
from tests.proof.load.ledger import Fate
from tests.proof.load.swarm import EXPECTED
from tests.proof.load.verdict import Verdict, check
from tests.support.backends import Backend, sqlite_at

COPY = "a copy of the file while all stand still"


@dataclass(frozen=True)
class Pace:
    """The intensity of a run: its load, and the minimum and maximum of blows per round."""

    clients: int = 24
    zerglings: int = 12
    blows: tuple[int, int] = (1, 4)
    between: int = 250
    """Acknowledged commands between two blows at most."""


@dataclass
class Blow:
    """One blow: its time, the recovery time, and the longest time without an acknowledgement.

    All in seconds; ``at`` is on the monotonic clock.
    """

    kind: str
    at: float
    recovery: float
    silence: float = 0.0


@dataclass
class Report:
    """The result of a run."""

    blows: list[Blow] = field(default_factory=list)
    statuses: Counter[int | None] = field(default_factory=Counter)
    fates: Counter[Fate] = field(default_factory=Counter)
    wrong: Counter[str] = field(default_factory=Counter)
    details: list[str] = field(default_factory=list)
    replayed: int = 0
    rounds: int = 0
    copies: int = 0

    def is_clean(self) -> bool:
        """Whether no fault was found."""
        return not self.wrong.total()

    def blame(self, what: str, details: list[str]) -> None:
        """Add the faults of one kind."""
        self.wrong[what] += len(details)
        self.details += [f"{what}: {detail}" for detail in details]

    def take(self, swarm: MixedSwarm, verdict: Verdict) -> None:
        """Add the results of a completed round."""
        ledger = swarm.ledger
        self.rounds += 1
        self.statuses += ledger.statuses
        self.fates += ledger.fates
        for what, found in vars(verdict).items():
            self.blame(what, found)
        strange = set(ledger.statuses) - EXPECTED - {None}
        self.blame("wrong answers", [*ledger.complaints, *(f"status {s}" for s in strange)])

    def lines(self) -> list[str]:
        """Return the report as a readable table."""
        head = f"{'blow':42} {'times':>5} {'recovery, s':>17} {'silence, s':>17}"
        rows = [head, f"{'':42} {'':>5} {'median':>8} {'worst':>8} {'median':>8} {'worst':>8}"]
        for kind in sorted({blow.kind for blow in self.blows}):
            of_kind = [blow for blow in self.blows if blow.kind == kind]
            figures = [
                f"{figure:8.2f}"
                for values in ([b.recovery for b in of_kind], [b.silence for b in of_kind])
                for figure in (median(values), max(values))
            ]
            rows.append(f"{kind:42} {len(of_kind):5} {' '.join(figures)}")
        fates = ", ".join(f"{self.fates[fate]} {fate.value}" for fate in Fate)
        answers = ", ".join(
            f"{n} × {s or 'none'}" for s, n in sorted(self.statuses.items(), key=str)
        )
        wrong = ", ".join(f"{self.wrong[what]} {what}" for what in (*vars(Verdict()), *_ALSO))
        return [
            *rows,
            f"{self.rounds} rounds, {self.statuses.total()} requests: {answers}",
            f"{self.fates.total()} commands: {fates}",
            f"{self.replayed} times a zergling was replayed, {self.copies} copies were opened",
            wrong,
            *self.details[:50],
        ]


_ALSO = ("wrong answers", "faults after a blow", "faults in a copy", "faults at the end")


class Campaign:
    """Runs rounds of blows on a ground.

    Args:
        ground: what is struck.
        backend: where the store is, past the services.
        place: a directory for copies.
        dice: chooses the blows and when they fall.
        pace: how hard.
        kinds: which blows; all if empty.
    """

    def __init__(
        self,
        ground: Ground,
        backend: Backend,
        place: Path,
        dice: random.Random,
        pace: Pace,
        kinds: Collection[str] = (),
    ) -> None:
        self._ground = ground
        self._backend = backend
        self._place = place
        self._dice = dice
        self._pace = pace
        self._file = _file_of(backend)
        possible = [*ground.strikes, *([COPY] if self._file else [])]
        self._kinds = [kind for kind in possible if not kinds or kind in kinds]
        self._deck: list[str] = []
        self._known: list[Known] = []
        self.report = Report()

    def run(self, seconds: float) -> Report:
        """Run for some seconds, and at least until every kind of blow was struck."""
        end = time.monotonic() + seconds
        while time.monotonic() < end or {b.kind for b in self.report.blows} < set(self._kinds):
            self._round()
        for known in self._known:
            self._replay(known, "faults at the end")
        return self.report

    def _round(self) -> None:
        """Load the services, strike, and compare the store with the ledger."""
        pace = self._pace
        others = self._listed()
        swarm = MixedSwarm(
            self._ground.services, clients=pace.clients, zerglings=pace.zerglings, deaths=0.01
        )
        blows = []
        with swarm.run():
            for _ in range(self._dice.randint(*pace.blows)):
                swarm.wait_for_more(self._dice.randint(1, pace.between))
                blows.append(self._blow(swarm, self._next_kind()))
        self.report.take(swarm, check(swarm, self._backend, others))
        _measure_silence(swarm, blows)
        self.report.blows += blows
        self._known.append(Known.of(swarm.ledger))

    def _next_kind(self) -> str:
        """Return a kind of blow: in random order, each as often as the others."""
        if not self._deck:
            self._deck = self._dice.sample(self._kinds, len(self._kinds))
        return self._deck.pop()

    def _blow(self, swarm: MixedSwarm, kind: str) -> Blow:
        at = self._copy(swarm) if kind == COPY else self._ground.strikes[kind]()
        self._ground.wait_until_all_answer()
        blow = Blow(kind, at, time.monotonic() - at)
        self._replay(_known_to(swarm), "faults after a blow")
        return blow

    def _replay(self, known: Known, what: str) -> None:
        with closing(self._backend.open()) as store:
            self.report.blame(what, faults_of(store, known))
        self.report.replayed += len(known.lives)
        if self._file:
            self.report.blame(what, faults_of_file(self._file))

    def _copy(self, swarm: MixedSwarm) -> float:
        """Copy the file while every process is stopped, as a power cut would leave it."""
        assert self._file is not None
        copy = self._place / "copy.sqlite3"
        ends = self._dice.choice((("", "-wal"), ("", "-wal", "-shm")))
        with self._ground.frozen():
            known = _known_to(swarm)
            copy_files(self._file, copy, ends)
        at = time.monotonic()
        self.report.blame("faults in a copy", faults_of_copy(copy, known))
        self.report.copies += 1
        return at

    def _listed(self) -> set[str]:
        shown = self._ground.services[0].call("GET", "/zerglings/").json.get("zerglings", [])
        return {zergling["id"] for zergling in shown}


def _known_to(swarm: MixedSwarm) -> Known:
    with swarm.lock:
        return Known.of(swarm.ledger)


def _measure_silence(swarm: MixedSwarm, blows: list[Blow]) -> None:
    """Find the longest time around each blow without any acknowledgement."""
    moments = sorted(s.ended for s in swarm.ledger.sent if s.fate is Fate.ACKNOWLEDGED)
    for blow in blows:
        until = blow.at + blow.recovery
        around = [(a, b) for a, b in pairwise(moments) if b > blow.at and a < until]
        blow.silence = max((b - max(a, blow.at) for a, b in around), default=0.0)


def _file_of(backend: Backend) -> Path | None:
    path = backend.environment.get("OVERMIND_SQLITE_PATH")
    return Path(path) if path else None


def copy_files(source: Path, copy: Path, ends: tuple[str, ...]) -> None:
    """Copy a database's files one after the other, replacing an earlier copy."""
    for old in copy.parent.glob(f"{copy.name}*"):
        old.unlink()
    for end in ends:
        if Path(f"{source}{end}").exists():
            shutil.copyfile(f"{source}{end}", f"{copy}{end}")


def faults_of_copy(copy: Path, known: Known) -> list[str]:
    """Return the faults of a copy that was made when clients knew this."""
    if faults := faults_of_file(copy):
        return faults
    with closing(sqlite_at(copy).open()) as store:
        store.check_ready(timeout=5)
        return faults_of(store, known)
