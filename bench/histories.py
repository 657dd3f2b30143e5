"""Measures how the cost of a move depends on the zergling's history, updates and merges."""

from __future__ import annotations

import http.client
import secrets
import statistics
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import orjson

from bench.documents import Document, random_id
from bench.errors import BenchError
from bench.service import overmind
from bench.stores import Benched, CouchDB

LENGTHS = (100, 1_000, 100_000)
UPDATES = 1_000
PER_REQUEST = 1_000
WALK = "MRML"
SETTLING_MOVES = 250
"""Single moves between set-up and measurement. More than twice the history that a document keeps,
so that all documents then have the same form, whatever requests made their history."""

FACINGS = "NESW"


@dataclass(frozen=True, slots=True)
class Life:
    """A zergling, a description of its past, and the milliseconds of each measured move."""

    past: str
    zergling_id: str
    milliseconds: list[float]

    @property
    def p50(self) -> float:
        """The median, in milliseconds."""
        return statistics.median(self.milliseconds)

    @property
    def p99(self) -> float:
        """The 99th percentile, in milliseconds."""
        return sorted(self.milliseconds)[int(0.99 * (len(self.milliseconds) - 1))]


def measure_histories(
    store: Benched, database: str, checkout: Path, moves: int, merges: int
) -> tuple[list[Life], list[str]]:
    """Measure moves of zerglings with different pasts.

    Args:
        store: the store to use.
        database: name of a new database, dropped at the end.
        checkout: directory of the service's code.
        moves: measured moves of each zergling.
        merges: merges in the past of one zergling.

    Returns:
        The zerglings with their measurements, and remarks on what could not be measured.
    """
    with overmind(store, database, checkout) as server:
        client = Client(server.connect(timeout=60))
        try:
            lives = [
                Life(f"{length:,} commands", _after_commands(client, length), [])
                for length in LENGTHS
            ]
            lives.append(Life(f"{UPDATES:,} updates", _after_updates(client, UPDATES), []))
            remarks = []
            try:
                merged = _after_merges(client, store, database, merges)
                lives.append(Life(f"{merges:,} merges", merged, []))
            except BenchError as error:
                remarks.append(f"Merges: {error}.")
            _measure(client, lives, moves)
        finally:
            client.close()
    return lives, remarks


class Client:
    """One connection to the service."""

    def __init__(self, connection: http.client.HTTPConnection) -> None:
        self._connection = connection

    def spawn(self) -> str:
        """Spawn a zergling and return its id."""
        spawned: str = self._ask("POST", "/zerglings/")["zergling"]["id"]
        return spawned

    def command(self, zergling_id: str, commands: str) -> None:
        """Send commands in one request."""
        self._ask("POST", f"/zerglings/{zergling_id}", commands)

    def read(self, zergling_id: str) -> None:
        """Read a zergling."""
        self._ask("GET", f"/zerglings/{zergling_id}")

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def _ask(self, method: str, path: str, body: str = "") -> Document:
        self._connection.request(
            method, path, orjson.dumps(body) if body else None, {"Content-Type": "application/json"}
        )
        response = self._connection.getresponse()
        content = response.read()
        if response.status not in (http.client.OK, http.client.CREATED):
            raise BenchError(f"{method} {path} was answered with {response.status}")
        answer: Document = orjson.loads(content)
        return answer


def _after_commands(client: Client, length: int) -> str:
    sys.stderr.write(f"history of {length}\n")
    zergling_id = client.spawn()
    left = length
    while left:
        size = min(left, PER_REQUEST)
        client.command(zergling_id, (WALK * size)[:size])
        left -= size
    return zergling_id


def _after_updates(client: Client, updates: int) -> str:
    sys.stderr.write(f"history of {updates} updates\n")
    zergling_id = client.spawn()
    for number in range(updates):
        client.command(zergling_id, WALK[number % len(WALK)])
    return zergling_id


def _after_merges(client: Client, store: Benched, database: str, merges: int) -> str:
    """Create conflicting revisions of one zergling, and have the service merge each.

    Raises:
        BenchError: the store has no conflicts, or the service did not merge one.
    """
    if not isinstance(store, CouchDB):
        raise BenchError(f"{store.name} has no conflicting revisions")
    sys.stderr.write(f"history of {merges} merges\n")
    zergling_id = client.spawn()
    client.command(zergling_id, "L")
    path = f"{database}/{zergling_id}?revs=true&conflicts=true"
    current = store.ask("GET", path)
    for _ in range(merges):
        store.write(database, [rival_of(current)], new_edits=False)
        client.read(zergling_id)
        current = store.ask("GET", path)
        if "_conflicts" in current:
            raise BenchError("the service did not merge a conflicting revision")
    return zergling_id


def rival_of(current: Mapping[str, object]) -> Document:
    """Return a conflicting revision of a document, which differs in the last command.

    ``current`` was read with ``revs=true``, and its last command is a turn. The conflicting
    revision has the same location and ends with a right turn under another request id.
    """
    rival: Document = orjson.loads(orjson.dumps(current))
    generation, hashes = rival["_revisions"]["start"], rival["_revisions"]["ids"]
    its_hash = secrets.token_hex(16)
    was_left = rival["commandHistory"][-1] == "L"
    turn = 2 if was_left else 0  # the difference between a left turn and a right turn
    rival["facing"] = FACINGS[(FACINGS.index(rival["facing"]) + turn) % len(FACINGS)]
    rival["commandHistory"][-1] = "R"
    rival["commandIds"][-1] = random_id()
    rival["_rev"] = f"{generation}-{its_hash}"
    rival["_revisions"]["ids"] = [its_hash, *hashes[1:]]
    return rival


def _measure(client: Client, lives: list[Life], moves: int) -> None:
    """Move the zerglings in turn, so that a change in the machine's speed affects all alike."""
    sys.stderr.write("histories: settling and moving\n")
    for number in range(SETTLING_MOVES + moves):
        command = WALK[number % len(WALK)]
        for life in lives:
            began = time.perf_counter()
            client.command(life.zergling_id, command)
            if number >= SETTLING_MOVES:
                life.milliseconds.append((time.perf_counter() - began) * 1000)
