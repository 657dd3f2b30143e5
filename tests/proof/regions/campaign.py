"""Runs a campaign over regions: cuts links and restarts services under load, then compares.

Afterwards all links are restored, every zergling is read in every region until nothing changes
any more, and each region's databases are compared with the ledger and with the other regions'.
"""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import FIRST_EXCEPTION, wait
from contextlib import closing
from pathlib import Path
from typing import Any

import orjson

from bench.regions.rig import Region, Rig
from tests.proof.load.ledger import Fate
from tests.proof.load.verdict import check, whole_history
from tests.proof.regions.clients import FAILED, SLOW, RegionSwarm
from tests.proof.regions.disturbances import Disturbances, Pace
from tests.proof.regions.evidence import save
from tests.proof.regions.report import Excuse, Report
from tests.support.backends import Backend
from tests.support.documents import SOON
from zerglings.domain.document_format import decode
from zerglings.domain.pose import replay
from zerglings.repository.archive import Archive
from zerglings.repository.base_recovery import BaseRecovery
from zerglings.repository.retry_budget import TimeLeft
from zerglings.storage.base import StoreError

CONVERGENCE = 300.0
"""Seconds within which the regions become equal after the last link is restored."""

CALM = 3.0
"""Seconds for which nothing may change until the regions count as converged."""


class Campaign:
    """Runs a load over regions and disturbs it.

    Args:
        rig: the regions.
        dice: chooses the disturbances.
        pace: how hard.
        kills: see ``Disturbances``.
        evidence: the directory for what is needed to analyse faults; made if there are any.
    """

    def __init__(
        self,
        rig: Rig,
        dice: random.Random,
        pace: Pace,
        *,
        kills: Sequence[str] = (),
        evidence: Path | None = None,
    ) -> None:
        self._rig = rig
        self._evidence = evidence
        self.report = Report()
        """What was seen so far."""

        self._disturbances = Disturbances(rig, dice, pace, self.report, kills)
        self._swarm = RegionSwarm(rig.regions, clients=pace.clients, zerglings=pace.zerglings)

    def run(self, seconds: float) -> Report:
        """Disturb the load for some seconds, heal all regions under load, and compare them.

        While links are cut, heal seldom gets as far as removing something. So it runs in all
        regions once more when the disturbances are over.
        """
        adopt = self._swarm.strangers.ids.extend
        with self._swarm.run():
            with self._disturbances.running(adopt) as disturbing:
                wait(disturbing, seconds, FIRST_EXCEPTION)
            self._rig.restore(self._rig.pairs)
            if self._rig.has_scheduler:
                self._disturbances.heal_all()
        self._take_load()
        self._converge_and_compare()
        self._save_evidence()
        return self.report

    @property
    def _stored(self) -> dict[str, list[str]]:
        return self._disturbances.stored

    def _take_load(self) -> None:
        """Take over what the clients saw."""
        report, ledger = self.report, self._swarm.ledger
        report.statuses, report.fates = ledger.statuses, ledger.fates
        report.elsewhere, report.deaths = self._swarm.elsewhere, ledger.deaths
        report.incomplete = self._swarm.incomplete
        report.wrong += ledger.complaints
        for read in self._swarm.reads:
            report.enter_read(read)
        for name, period, healing in self._disturbances.healings:
            report.enter_heal(name, period, healing)

    def _converge_and_compare(self) -> None:
        try:
            self.report.convergence = self._converge()
        except TimeoutError as error:
            self.report.wrong.append(str(error))
        for region in self._rig.regions:
            try:
                self._compare(region)
            except (AssertionError, StoreError) as error:
                self.report.wrong.append(f"cannot compare {region.name}: {error}")

    def _save_evidence(self) -> None:
        if self._evidence and self.report.wrong:
            sent = [*self._swarm.ledger.sent, *self._swarm.strangers.sent]
            save(self._evidence, self._rig.regions, self.report.wrong, sent)

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
                self.report.documents, self.report.chunks = (
                    len(orjson.loads(content)) for content in seen[0]
                )
                return changed - began
            if now - began > CONVERGENCE:
                raise TimeoutError(f"after {CONVERGENCE:.0f} s: {'; '.join(faults[:50])}")

    def _read_all(self) -> None:
        ids = [life.id for life in self._swarm.ledger.lives] + list(self._stored)
        for region in self._rig.regions:
            with closing(region.service.connect()) as talk:
                for id_ in ids:
                    reply = region.service.call("GET", f"/zerglings/{id_}", connection=talk)
                    if reply.status >= FAILED and region.delay() > SLOW:
                        self.report.failed_reads[Excuse.SLOW] += 1
                    elif reply.status >= FAILED:
                        said = f"{reply.status} in {region.name}: {reply.json['error']}"
                        self.report.wrong.append(f"{id_} after the run: {said}")

    def _compare(self, region: Region) -> None:
        """Compare a region with the ledger."""
        backend = Backend(region.environment)
        verdict = check(self._swarm, backend, self._stored, is_healed=self._rig.has_scheduler)
        for what, found in vars(verdict).items():
            self.report.wrong += [f"{what} in {region.name}: {each}" for each in found]
        with closing(backend.open()) as store:
            for id_, stored in self._stored.items():
                document, *_ = store.get_many([id_], timeout=SOON)[id_]
                bases = BaseRecovery(Archive(store.history))
                zergling = bases.restore(decode(document), TimeLeft(SOON))
                words = [word for each in whole_history(store, zergling) for word in each.words]
                self.report.wrong += [
                    f"{fault} of {id_} in {region.name}"
                    for fault in self._faults_of_stranger(id_, words, stored)
                ]
                if replay(zergling.spawn, words) != zergling.pose:
                    self.report.wrong.append(f"{id_} is elsewhere in {region.name}")

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
    """Return what differs between regions or has conflicts, with the revision in each region."""
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
                f"{id_} differs: {', '.join(_revision(rows.get(id_)) for rows in parsed)}"
                for id_ in sorted(every)
                if any(rows.get(id_) != parsed[0].get(id_) for rows in parsed)
            ]
    return faults


def _revision(row: Mapping[str, Any] | None) -> str:
    return row["value"]["rev"] if row else "missing"
