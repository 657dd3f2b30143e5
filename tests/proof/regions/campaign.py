"""Runs a campaign over regions: cuts links and restarts services under load, then compares.

Afterwards all links are restored, every zergling is read in every region until nothing changes
any more, and each region's databases are compared with the ledger and with the other regions'.
"""

from __future__ import annotations

import logging
import random
import signal
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from contextlib import closing, contextmanager
from dataclasses import dataclass, field

import orjson

from bench.regions.rig import Region, Rig
from tests.proof.load.ledger import Fate
from tests.proof.load.verdict import check, whole_history
from tests.proof.regions.clients import FAILED, SLOW, Failure, RegionSwarm
from tests.support.backends import Backend
from tests.support.documents import SOON
from tests.support.original import Original
from zerglings.domain.document_format import decode
from zerglings.domain.zergling import replay
from zerglings.repository.archive import Archive
from zerglings.repository.base_recovery import BaseRecovery
from zerglings.storage.base import StoreError

logger = logging.getLogger(__name__)

ORIGINALS = 3
"""Zerglings that the original writes too, in the first region."""

ORIGINAL_THINK = (0.05, 0.3)
CONVERGENCE = 300.0
"""Seconds within which the regions become equal after the last link is restored."""

CALM = 3.0
"""Seconds for which nothing may change until the regions count as converged."""


@dataclass(frozen=True)
class Pace:
    """The intensity of a campaign. Times are the minimum and maximum seconds."""

    clients: int = 9
    zerglings: int = 30
    between: tuple[float, float] = (0.5, 5.0)
    cut: tuple[float, float] = (0.5, 15.0)


@dataclass(frozen=True)
class Restart:
    """The time for which a region's service was away, on the monotonic clock."""

    port: int
    began: float
    ended: float


@dataclass
class Report:
    """The result of a campaign."""

    strikes: Counter[str] = field(default_factory=Counter)
    statuses: Counter[int | None] = field(default_factory=Counter)
    fates: Counter[Fate] = field(default_factory=Counter)
    elsewhere: int = 0
    deaths: int = 0
    convergence: float = 0.0
    documents: int = 0
    chunks: int = 0
    originals: int = 0
    excused: int = 0
    """Reads answered with 5xx while their service was restarted."""

    slow: int = 0
    """Reads answered with 5xx while their own store took more than a second to answer."""

    early: int = 0
    """Reads of histories whose older part had not arrived yet."""

    wrong: list[str] = field(default_factory=list)

    def is_clean(self) -> bool:
        """Whether no fault was found."""
        return not self.wrong

    def lines(self) -> list[str]:
        """Return the report as readable lines."""
        answers = ", ".join(
            f"{n} × {s or 'none'}" for s, n in sorted(self.statuses.items(), key=str)
        )
        return [
            ", ".join(f"{count} × {what}" for what, count in self.strikes.items()),
            f"{self.statuses.total()} requests: {answers}",
            f"{self.fates.total()} commands: "
            + ", ".join(f"{self.fates[fate]} {fate.value}" for fate in Fate)
            + f"; {self.elsewhere} requests repeated in another region; {self.deaths} deaths;"
            f" {self.originals} commands of the original",
            f"converged after {self.convergence:.1f} s: {self.documents} documents,"
            f" {self.chunks} in the history",
            f"failed reads: {self.excused} during restarts, {self.slow} at slow stores,"
            f" {self.early} of histories that had not arrived",
            f"{len(self.wrong)} faults",
            *self.wrong[:50],
        ]


class Campaign:
    """Runs a load over regions and disturbs it.

    Args:
        rig: the regions.
        dice: chooses the disturbances.
        pace: how hard.
    """

    def __init__(self, rig: Rig, dice: random.Random, pace: Pace) -> None:
        self._rig = rig
        self._dice = dice
        self._pace = pace
        self._over = threading.Event()
        self._restarts: list[Restart] = []
        self._stored: dict[str, list[str]] = {}
        self._report = Report()
        self._swarm = RegionSwarm(rig.regions, clients=pace.clients, zerglings=pace.zerglings)

    def run(self, seconds: float) -> Report:
        """Disturb the load for some seconds, then compare the regions."""
        with self._swarm.run(), self._disturbed() as disturbing:
            wait(disturbing, seconds, FIRST_EXCEPTION)
        self._rig.restore(self._rig.pairs)
        self._take_load()
        try:
            self._report.convergence = self._converge()
        except TimeoutError as error:
            self._report.wrong.append(str(error))
        for region in self._rig.regions:
            self._compare(region)
        return self._report

    @contextmanager
    def _disturbed(self) -> Iterator[list[Future[None]]]:
        """Cut links, restart services, and run the original during the block."""
        with ThreadPoolExecutor(3) as pool:
            does = (self._cut_links, self._restart_services, self._run_original)
            working = [pool.submit(each) for each in does]
            try:
                yield working
            finally:
                self._over.set()
            for done in working:
                done.result()

    def _cut_links(self) -> None:
        while not self._over.wait(self._dice.uniform(*self._pace.between)):
            pair = self._dice.choice(self._rig.pairs)
            self._report.strikes[f"{' and '.join(pair)} apart"] += 1
            self._rig.cut([pair])
            self._over.wait(self._dice.uniform(*self._pace.cut))
            if self._dice.random() < 0.7:  # otherwise another cut begins before this one ends
                self._rig.restore(self._rig.pairs)

    def _restart_services(self) -> None:
        while not self._over.wait(2 * self._dice.uniform(*self._pace.between)):
            region = self._dice.choice(self._rig.regions)
            by = self._dice.choice((signal.SIGKILL, signal.SIGTERM))
            self._report.strikes[f"a service ended by {by.name}"] += 1
            began = time.monotonic()
            region.restart(by)
            self._restarts.append(Restart(region.service.port, began, time.monotonic()))

    def _run_original(self) -> None:
        with closing(_backend(self._rig.regions[0]).open()) as store:
            original = Original(store)
            self._stored = {original.spawn(): [] for _ in range(ORIGINALS)}
            self._swarm.strangers.ids += self._stored
            number = 0
            while not self._over.wait(self._dice.uniform(*ORIGINAL_THINK)):
                id_, word, number = self._dice.choice(list(self._stored)), f"o{number}", number + 1
                try:
                    is_stored = original.command(id_, word)
                except StoreError:  # the store was too slow; the outcome is unknown
                    continue
                if is_stored:
                    self._stored[id_].append(word)
                    self._report.originals += 1

    def _take_load(self) -> None:
        """Take over what the clients saw."""
        report, ledger = self._report, self._swarm.ledger
        report.statuses, report.fates = ledger.statuses, ledger.fates
        report.elsewhere, report.deaths = self._swarm.elsewhere, ledger.deaths
        report.wrong += ledger.complaints
        for read in self._swarm.reads:
            if any(_covers(away, read) for away in self._restarts):
                report.excused += 1
            elif read.is_early:
                report.early += 1
            elif read.is_excused:
                report.slow += 1
            else:
                report.wrong.append(f"a read failed: {read.status} to {read.path}: {read.said}")

    def _converge(self) -> float:
        """Read every zergling in every region until nothing changes; return the seconds it took.

        Raises:
            TimeoutError: the regions still differ, or have conflicts.
        """
        began = changed = time.monotonic()
        last: list[tuple[bytes, ...]] = []
        while True:
            self._read_all()
            now, seen = time.monotonic(), [region.contents() for region in self._rig.regions]
            if seen != last:
                last, changed = seen, now
            faults = _differences(self._rig.regions, seen)
            if not faults and now - changed >= CALM:
                self._report.documents, self._report.chunks = (
                    len(orjson.loads(content)) for content in seen[0]
                )
                return changed - began
            if now - began > CONVERGENCE:
                raise TimeoutError(f"after {CONVERGENCE:.0f} s: {'; '.join(faults[:20])}")

    def _read_all(self) -> None:
        ids = [life.id for life in self._swarm.ledger.lives] + list(self._stored)
        for region in self._rig.regions:
            with closing(region.service.connect()) as talk:
                for id_ in ids:
                    reply = region.service.call("GET", f"/zerglings/{id_}", connection=talk)
                    if reply.status >= FAILED and region.delay() > SLOW:
                        self._report.slow += 1
                    elif reply.status >= FAILED:
                        said = f"{reply.status} in {region.name}: {reply.json['error']}"
                        self._report.wrong.append(f"{id_} after the run: {said}")

    def _compare(self, region: Region) -> None:
        """Compare a region with the ledger."""
        backend = _backend(region)
        verdict = check(self._swarm, backend, self._stored)
        for what, found in vars(verdict).items():
            self._report.wrong += [f"{what} in {region.name}: {each}" for each in found]
        with closing(backend.open()) as store:
            for id_, stored in self._stored.items():
                document, *_ = store.get_many([id_], timeout=SOON)[id_]
                bases = BaseRecovery(Archive(store.history))
                zergling = bases.restore(decode(document), timeout=SOON)
                words = [word for each in whole_history(store, zergling) for word in each.words]
                self._report.wrong += [
                    f"{fault} of {id_} in {region.name}"
                    for fault in self._faults_of_stranger(id_, words, stored)
                ]
                if replay(zergling.spawn, words) != zergling.pose:
                    self._report.wrong.append(f"{id_} is elsewhere in {region.name}")

    def _faults_of_stranger(self, id_: str, words: list[str], stored: list[str]) -> Iterator[str]:
        """Every acknowledged command, and every one that the original stored, counts once."""
        letters, counts = "".join(words), Counter(words)
        for sent in self._swarm.strangers.sent:
            if sent.life.id == id_:
                count = letters.count(sent.words)
                if count > 1 or (count == 0 and sent.fate is Fate.ACKNOWLEDGED):
                    yield f"{sent.words} counts {count} times"
        yield from (
            f"the original's {word} counts {counts[word]} times"
            for word in stored
            if counts[word] != 1
        )


def _differences(regions: Sequence[Region], seen: list[tuple[bytes, ...]]) -> list[str]:
    """Return the documents that differ between regions or have conflicts."""
    faults: list[str] = []
    for number, database in enumerate(regions[0].databases):
        contents = [each[number] for each in seen]
        parsed = [{r["id"]: r for r in orjson.loads(each)} for each in contents]
        faults += [
            f"{id_} in {region.name} has conflicts"
            for region, rows in zip(regions, parsed, strict=True)
            for id_, row in rows.items()
            if "_conflicts" in row["doc"]
        ]
        if len(set(contents)) > 1:
            faults.append(f"the contents of {database} differ")
            every = {id_ for rows in parsed for id_ in rows}
            faults += [
                f"{id_} differs"
                for id_ in every
                if any(rows.get(id_) != parsed[0].get(id_) for rows in parsed)
            ]
    return faults


def _covers(away: Restart, read: Failure) -> bool:
    return away.port == read.port and away.began <= read.ended and read.began <= away.ended


def _backend(region: Region) -> Backend:
    return Backend(region.environment)
