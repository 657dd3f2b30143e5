"""Disturbs regions at random: cuts links, restarts services, kills stores, and heals.

The original service writes in the first region meanwhile.
"""

from __future__ import annotations

import http.client
import random
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import partial

from bench.errors import BenchError
from bench.regions.rig import TIMEOUT, Region, Rig
from tests.proof.regions.heals import Healing, heal
from tests.proof.regions.report import Excuse, Period, Report
from tests.support.backends import Backend
from tests.support.original import Original
from tests.support.waiting import wait_until
from zerglings.storage.base import StoreError

ORIGINALS = 3
"""Zerglings that the original writes too, in the first region."""

ORIGINAL_THINK = (0.05, 0.3)
OK = 200


@dataclass(frozen=True)
class Pace:
    """The intensity of a campaign. Times are the minimum and maximum seconds."""

    clients: int = 9
    zerglings: int = 30
    between: tuple[float, float] = (0.5, 5.0)
    cut: tuple[float, float] = (0.5, 15.0)
    kill: tuple[float, float] = (10.0, 50.0)
    heal: tuple[float, float] = (30.0, 90.0)


class Disturbances:
    """Disturbs a rig until the block ``running`` ends.

    Args:
        rig: the regions.
        dice: chooses the disturbances.
        pace: how often.
        report: counts them.
        kills: for each region a shell command that kills a node of its CouchDB and starts it again,
            or an empty string; nothing at all for no kills.
    """

    def __init__(
        self, rig: Rig, dice: random.Random, pace: Pace, report: Report, kills: Sequence[str] = ()
    ) -> None:
        self._rig = rig
        self._dice = dice
        self._pace = pace
        self._report = report
        self._killed_by = [
            (region, command)
            for region, command in zip(rig.regions, kills, strict=False)
            if command
        ]
        self._over = threading.Event()
        self.stored: dict[str, list[str]] = {}
        """The commands that the original stored, by its zerglings' ids."""

        self.healings: list[tuple[str, Period, Healing]] = []
        """All runs of heal, with the name of their region."""

    @contextmanager
    def running(self, adopt: Callable[[Sequence[str]], None]) -> Iterator[list[Future[None]]]:
        """Disturb during the block.

        Args:
            adopt: is given the ids of the original's zerglings.
        """
        does = [self._cut_links, self._restart_services, lambda: self._run_original(adopt)]
        if self._killed_by:
            does.append(self._kill_stores)
        if self._rig.has_scheduler:
            does.append(self._heal_regions)
        with ThreadPoolExecutor(len(does)) as pool:
            working = [pool.submit(each) for each in does]
            try:
                yield working
            finally:
                self._over.set()
            for done in working:
                done.result()

    def heal_all(self) -> None:
        """Heal all regions at once, undisturbed."""
        with ThreadPoolExecutor(len(self._rig.regions)) as pool:
            does = [pool.submit(self._heal, each, threading.Event()) for each in self._rig.regions]
        for done in does:
            done.result()

    def _pause(self, limits: tuple[float, float]) -> bool:
        """Wait a random time; return whether the disturbances go on."""
        return not self._over.wait(self._dice.uniform(*limits))

    def _cut_links(self) -> None:
        while self._pause(self._pace.between):
            pair = self._dice.choice(self._rig.pairs)
            self._report.strikes[f"{' and '.join(pair)} apart"] += 1
            self._rig.cut([pair])
            self._pause(self._pace.cut)
            if self._dice.random() < 0.7:  # otherwise another cut begins before this one ends
                self._rig.restore(self._rig.pairs)

    def _restart_services(self) -> None:
        least, most = self._pace.between
        while self._pause((2 * least, 2 * most)):
            region = self._dice.choice(self._rig.regions)
            by = self._dice.choice((signal.SIGKILL, signal.SIGTERM))
            self._report.strikes[f"a service ended by {by.name}"] += 1
            with self._away(region, Excuse.RESTARTED):
                region.restart(by)

    def _kill_stores(self) -> None:
        while self._pause(self._pace.kill):
            region, command = self._dice.choice(self._killed_by)
            self._report.strikes[f"{region.name}'s CouchDB killed"] += 1
            with self._away(region, Excuse.KILLED):
                _run(command)
                wait_until(partial(_is_ready, region), f"{region.name} is ready", TIMEOUT)

    def _heal_regions(self) -> None:
        """Heal a random region from time to time; never one region twice at once."""
        healing: dict[str, Future[None]] = {}
        with ThreadPoolExecutor(len(self._rig.regions)) as pool:
            while self._pause(self._pace.heal):
                idle = [
                    region
                    for region in self._rig.regions
                    if region.name not in healing or healing[region.name].done()
                ]
                if idle:
                    region = self._dice.choice(idle)
                    healing[region.name] = pool.submit(self._heal, region, self._over)
        for done in healing.values():
            done.result()

    def _heal(self, region: Region, ending: threading.Event) -> None:
        began = time.monotonic()
        healing = heal(self._rig.environment(region), ending)
        period = Period(region.service.port, began, time.monotonic())
        self.healings.append((region.name, period, healing))

    @contextmanager
    def _away(self, region: Region, excuse: Excuse) -> Iterator[None]:
        began = time.monotonic()
        yield
        period = Period(region.service.port, began, time.monotonic())
        self._report.aways.append((period, excuse))

    def _run_original(self, adopt: Callable[[Sequence[str]], None]) -> None:
        with closing(Backend(self._rig.regions[0].environment).open()) as store:
            original = Original(store)
            self.stored = {original.spawn(): [] for _ in range(ORIGINALS)}
            adopt(list(self.stored))
            number = 0
            while self._pause(ORIGINAL_THINK):
                id_, word, number = self._dice.choice(list(self.stored)), f"o{number}", number + 1
                try:
                    is_stored = original.command(id_, word)
                except StoreError:  # the store was killed or too slow; the outcome is unknown
                    continue
                if is_stored:
                    self.stored[id_].append(word)
                    self._report.originals += 1


def _run(command: str) -> None:
    """Run a shell command of whoever started the campaign."""
    with tempfile.TemporaryFile("w+") as said:
        done = subprocess.run(
            command,
            shell=True,
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # the CouchDB that it starts outlives the campaign
            timeout=TIMEOUT,
            check=False,
        )
        if done.returncode:
            said.seek(0)
            raise BenchError(f"{command!r} failed: {said.read().strip()}")


def _is_ready(region: Region) -> bool:
    try:
        return region.service.call("GET", "/readyz").status == OK
    except (OSError, http.client.HTTPException):  # the service is being restarted, too
        return False
