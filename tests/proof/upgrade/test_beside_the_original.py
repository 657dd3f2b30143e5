"""Tests a rolling upgrade: the original and the service at once on one database.

Each request's commands encode a number of its own, so that it can be found in a history whose ids
the original has dropped. The original's commands are ones that it records without knowing them.
"""

from __future__ import annotations

import random
import re
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

import pytest

from tests.support.backends import Backend
from tests.support.documents import read
from tests.support.original import Original
from tests.support.service import Service
from zerglings.domain.document_format import decode
from zerglings.domain.pose import Pose, replay

SECONDS = 4.0
CLIENTS, ORIGINALS, ZERGLINGS = 6, 2, 4
LEAST = 50

THINKING = 0.02
"""Maximum seconds between two commands of a client of the original."""

DIGITS = 14
SPELLED = re.compile(rf"MM([LR]{{{DIGITS}}})")


def spelled(number: int) -> str:
    """Encode a number as commands; only encoded numbers begin with two moves in a row."""
    return "MM" + f"{number:0{DIGITS}b}".replace("0", "L").replace("1", "R")


def numbers_in(words: list[str]) -> Counter[int]:
    text = "".join(word if word in ("L", "R", "M") else "," for word in words)
    found = (letters.replace("L", "0").replace("R", "1") for letters in SPELLED.findall(text))
    return Counter(int(digits, 2) for digits in found)


@dataclass
class Account:
    """The outcomes of the requests to one zergling."""

    id: str
    acknowledged: set[int] = field(default_factory=set)
    unknown: set[int] = field(default_factory=set)
    theirs: set[str] = field(default_factory=set)


@pytest.fixture
def pair(backend: Backend, tmp_path: Path) -> Iterator[list[Service]]:
    """Two replicas of the service."""
    for name in ("one", "other"):
        (tmp_path / name).mkdir()
    with (
        Service(backend.environment, tmp_path / "one") as one,
        Service(backend.environment, tmp_path / "other") as other,
    ):
        yield [one, other]


class Load:
    """Clients of the service, and the original itself, on the same zerglings."""

    def __init__(self, services: list[Service], backend: Backend) -> None:
        self._services = services
        self._backend = backend
        self._over = threading.Event()
        self._numbers = count()
        self.complaints: list[str] = []
        self.accounts = [Account(services[0].spawn()) for _ in range(ZERGLINGS)]

    def run(self) -> None:
        """Load both for some seconds and until enough commands are acknowledged."""
        with ThreadPoolExecutor(CLIENTS + ORIGINALS) as pool:
            running = [pool.submit(self._ours, number) for number in range(CLIENTS)]
            running += [pool.submit(self._theirs, number) for number in range(ORIGINALS)]
            end = time.monotonic() + SECONDS
            while time.monotonic() < end or self._is_too_little():
                time.sleep(0.05)  # between two looks
            self._over.set()
            for each in running:
                each.result()

    def _is_too_little(self) -> bool:
        ours = sum(len(account.acknowledged) for account in self.accounts)
        theirs = sum(len(account.theirs) for account in self.accounts)
        return min(ours, theirs) < LEAST

    def _ours(self, client: int) -> None:
        while not self._over.is_set():
            service = self._services[client % len(self._services)]
            command(service, random.choice(self.accounts), next(self._numbers), self.complaints)

    def _theirs(self, client: int) -> None:
        with closing(self._backend.open()) as store:
            original = Original(store)
            for number in count():
                if self._over.wait(random.uniform(0, THINKING)):
                    return
                account, word = random.choice(self.accounts), f"jump {client} {number}"
                if original.command(account.id, word):
                    account.theirs.add(word)


def command(service: Service, account: Account, number: int, complaints: list[str]) -> None:
    reply = service.call("POST", f"/zerglings/{account.id}", spelled(number))
    if reply.status == 200:
        account.acknowledged.add(number)
    elif reply.status == 503:
        account.unknown.add(number)
    elif reply.status != 409:
        complaints.append(f"{number} was answered {reply.status}")


def test_commands_that_the_service_acknowledged_count_exactly_once(
    pair: list[Service], backend: Backend
) -> None:
    load = Load(pair, backend)
    load.run()
    assert load.complaints == []
    for account in load.accounts:
        path = f"/zerglings/{account.id}/history"
        words = pair[1].call("GET", path).json["commandHistory"]
        counts = numbers_in(words)
        assert account.acknowledged <= set(counts) <= account.acknowledged | account.unknown
        assert set(counts.values()) <= {1}
        assert Counter(word for word in words if word.startswith("jump")) == Counter(account.theirs)
        with closing(backend.open()) as store:
            zergling = decode(read(store, account.id))
        assert replay(Pose(), words) == zergling.pose
