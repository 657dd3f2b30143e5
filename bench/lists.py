"""The cost of a full list: its rate, and the memory of the process that serves it."""

from __future__ import annotations

import http.client
import sys
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from bench import process
from bench.documents import Document, zergling
from bench.errors import BenchError
from bench.service import Server, overmind
from bench.stores import Benched

COMMANDS = 10
"""Commands of each zergling: few, so that a million zerglings can be written in minutes."""

WAIT_LIMIT = 300.0
"""Seconds to wait for the next bytes of a list."""

WARM_UPS = 10
READ_SIZE = 1 << 16
MARK = b'"facing":'
END = b"]}"


@dataclass(frozen=True, slots=True)
class ListCost:
    """Measurements of one full list.

    ``length`` is in zerglings. ``peak`` and ``growth`` are the memory of the serving process, in
    MiB.
    """

    length: int
    seconds: float
    first_byte_seconds: float
    megabytes: float
    peak: float
    growth: float

    @property
    def rate(self) -> float:
        """Zerglings per second."""
        return self.length / self.seconds


def measure_list(store: Benched, prefix: str, checkout: Path, length: int) -> ListCost:
    """Fill a new database with ``length`` zerglings, and list all of them once."""
    database = f"{prefix}-list"
    with overmind(store, database, checkout) as server:
        sys.stderr.write(f"list of {length}: filling\n")
        store.fill(database, _zerglings(length))
        for _ in range(WARM_UPS):  # each over a new connection, so that every worker gets some
            _read(server, "/zerglings/?limit=10")
        workers = server.workers
        before = {pid: process.rss([pid]) for pid in workers}
        for pid in workers:
            process.reset_peak(pid)
        sys.stderr.write(f"list of {length}: reading\n")
        seconds, first, size, count = _read(server, "/zerglings/")
        if count != length:
            raise BenchError(f"the list of {length} has {count} zerglings")
        growth = {pid: process.peak_rss(pid) - before[pid] for pid in workers}
        busiest = max(growth, key=growth.__getitem__)
        peak = process.peak_rss(busiest)
    return ListCost(length, seconds, first, size / 1e6, peak, growth[busiest])


def _zerglings(length: int) -> Iterator[Document]:
    model = zergling(COMMANDS)
    for zergling_id in sorted(str(uuid.uuid4()) for _ in range(length)):
        yield model | {"_id": zergling_id, "id": zergling_id}


def _read(server: Server, path: str) -> tuple[float, float, int, int]:
    """Return seconds in all, seconds until the first byte, bytes, and number of zerglings."""
    connection = server.connect(WAIT_LIMIT)
    began = time.monotonic()
    try:
        connection.request("GET", path, headers={"Accept": "application/json"})
        response = connection.getresponse()
        first = time.monotonic() - began
        if response.status != http.client.OK:
            raise BenchError(f"a list was answered with {response.status}")
        size, count = _count(response)
        return time.monotonic() - began, first, size, count
    finally:
        connection.close()


def _count(response: http.client.HTTPResponse) -> tuple[int, int]:
    size = count = 0
    rest = b""
    while piece := response.read1(READ_SIZE):
        size += len(piece)
        rest += piece
        count += rest.count(MARK)
        rest = rest[-(len(MARK) - 1) :]
    if not rest.endswith(END):
        raise BenchError("a list broke off")
    return size, count
