"""A steady load on regions: callers that command and read zerglings at a fixed pace."""

from __future__ import annotations

import http.client
import random
import secrets
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress

import orjson

from bench.errors import BenchError
from bench.regions.rig import Region

OK = 200
DONE = (OK, 201)
NO_ANSWER = 0
"""The status of a request whose connection broke."""

UNDECIDED = (NO_ANSWER, 409, 503)
"""Statuses after which a command is repeated."""

LOOK_EVERY = 0.05
TIMEOUT = 300.0
"""Seconds within which regions show each other's commands."""


class Caller:
    """Commands and reads zerglings of a region over one connection, and counts the answers.

    ``moved`` counts the words of acknowledged commands by zergling; ``longest`` is in seconds.
    """

    def __init__(self, region: Region) -> None:
        self.region = region
        self.statuses: Counter[int] = Counter()
        self.moved: Counter[str] = Counter()
        self.longest = 0.0
        self._talk = region.service.connect()

    def spawn(self) -> str:
        """Spawn a zergling and return its id; see `command`."""
        zergling_id: str = orjson.loads(self._insist("/zerglings/", ""))["zergling"]["id"]
        return zergling_id

    def command(self, zergling_id: str, words: str) -> None:
        """Command a zergling; repeat the command with its key until it is acknowledged.

        Raises:
            BenchError: it was refused, or not acknowledged within ``TIMEOUT`` seconds.
        """
        self._insist(f"/zerglings/{zergling_id}", words)
        self.moved[zergling_id] += len(words)

    def _insist(self, path: str, body: str) -> bytes:
        key, end = secrets.token_hex(16), time.monotonic() + TIMEOUT
        while True:
            status, got = self._ask("POST", path, body, key)
            if status in DONE:
                return got
            if status not in UNDECIDED or time.monotonic() > end:
                raise BenchError(f"a command was answered {status}")
            time.sleep(LOOK_EVERY)

    def count(self, zergling_id: str) -> int:
        """Return the number of commands that a zergling shows, -1 without an answer of 200."""
        status, body = self._ask("GET", f"/zerglings/{zergling_id}")
        if status != OK:
            return -1
        shown = orjson.loads(body)["zergling"]
        count: int = shown.get("commandCount", len(shown.get("commandHistory", ())))
        return count

    def wait_for(self, zergling_id: str, count: int, pause: float = 0.01) -> float:
        """Wait until a zergling shows so many commands; return the time on the monotonic clock.

        Raises:
            BenchError: it did not within ``TIMEOUT`` seconds.
        """
        end = time.monotonic() + TIMEOUT
        while self.count(zergling_id) < count:
            if time.monotonic() > end:
                raise BenchError(f"{zergling_id} has not {count} commands in {self.region.name}")
            time.sleep(pause)
        return time.monotonic()

    def close(self) -> None:
        """Close the connection."""
        self._talk.close()

    def _ask(
        self, method: str, path: str, body: str | None = None, key: str = ""
    ) -> tuple[int, bytes]:
        headers = {"Content-Type": "text/plain", "Idempotency-Key": key} if key else {}
        began = time.monotonic()
        status, got = NO_ANSWER, b""
        try:
            self._talk.request(method, path, body, headers)
            response = self._talk.getresponse()
            status, got = response.status, response.read()
        except (OSError, http.client.HTTPException):
            self._talk.close()
        self.longest = max(self.longest, time.monotonic() - began)
        self.statuses[status] += 1
        return status, got


@contextmanager
def steady(
    regions: Sequence[Region],
    ids: Sequence[str],
    *,
    every: float,
    reads: bool = False,
    earlier: Sequence[Caller] = (),
) -> Iterator[list[Caller]]:
    """Have callers command zerglings during the block; with ``reads``, others read them.

    Each region has one caller of a kind, which sends a request ``every`` so many seconds. The
    commands of ``earlier`` callers, one for each region, count as those of the movers.
    """
    over = threading.Event()
    movers = [Caller(region) for region in regions]
    for mover, before in zip(movers, earlier, strict=False):
        mover.moved += before.moved
    readers = [Caller(region) for region in regions] if reads else []
    with ThreadPoolExecutor(len(movers) + len(readers)) as pool:
        working = [pool.submit(_repeat, over, every, mover, ids, "M") for mover in movers]
        working += [pool.submit(_repeat, over, every, reader, ids, "") for reader in readers]
        try:
            yield movers + readers
        finally:
            over.set()
        for done in working:
            done.result()


def _repeat(
    over: threading.Event, every: float, caller: Caller, ids: Sequence[str], words: str
) -> None:
    due = time.monotonic()
    while not over.wait(max(0.0, due - time.monotonic())):
        due = max(due + every, time.monotonic() - every)
        zergling_id = random.choice(ids)
        if words:
            caller.command(zergling_id, words)
        else:
            caller.count(zergling_id)
    caller.close()


def spawn(regions: Sequence[Region], count: int) -> list[str]:
    """Spawn zerglings in the first region; return their ids once all regions have them."""
    with closing_all(regions) as callers:
        ids = [callers[0].spawn() for _ in range(count)]
        for caller in callers:
            for zergling_id in ids:
                caller.wait_for(zergling_id, 0)
    return ids


@contextmanager
def closing_all(regions: Sequence[Region]) -> Iterator[list[Caller]]:
    """Yield a caller of each region, and close them at the end."""
    callers = [Caller(region) for region in regions]
    try:
        yield callers
    finally:
        for caller in callers:
            with suppress(OSError):
                caller.close()


def wait_until_merged(movers: Sequence[Caller], ids: Sequence[str]) -> float:
    """Wait until each region shows all commands that were acknowledged until now in all regions.

    The movers may go on; each is the only one in its region. Returns the seconds it took.
    """
    began = time.monotonic()
    before = {mover.region.name: mover.moved.copy() for mover in movers}
    with closing_all([mover.region for mover in movers]) as readers:
        for mover, reader in zip(movers, readers, strict=True):
            others = [counts for name, counts in before.items() if name != mover.region.name]
            for zergling_id in ids:
                far = sum(counts[zergling_id] for counts in others)
                while reader.count(zergling_id) < far + mover.moved[zergling_id]:
                    if time.monotonic() - began > TIMEOUT:
                        raise BenchError(f"{zergling_id} is not merged in {mover.region.name}")
                    time.sleep(LOOK_EVERY)
    return time.monotonic() - began
