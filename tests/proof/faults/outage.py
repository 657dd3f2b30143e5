"""Measures what clients of the service see while its store fails and recovers."""

from __future__ import annotations

import http.client
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import cycle

from tests.proof.faults.insight import Insight, connections
from tests.proof.faults.prober import percentile, probing
from tests.support.service import Reply, Service
from tests.support.waiting import wait_until

LATEST_ANSWER = 5.0
"""Seconds within which every request is answered."""

QUIET_DEADLINE = 8.0
"""Seconds after which an idle service has no request in progress."""

LEAKS = ("127.0.0.1", "http:", "https:", "Traceback", "urllib3", "overmind-test")
"""Text that no response may contain: the store's address, its client and its database."""

USUAL = 0.5
"""Seconds for which the load is measured before a fault, as a baseline."""


@dataclass
class Seen:
    """The responses that clients got in a time span."""

    statuses: Counter[int | None] = field(default_factory=Counter)
    slowest: float = 0.0
    wrong: list[str] = field(default_factory=list)

    def add(self, path: str, reply: Reply | None, seconds: float) -> None:
        status = reply.status if reply else None
        self.statuses[status] += 1
        self.slowest = max(self.slowest, seconds)
        if complaint := _complaint(path, reply):
            self.wrong.append(f"{path}: {complaint}")
        if seconds > LATEST_ANSWER:
            self.wrong.append(f"{path}: took {seconds:.1f} s")


def _complaint(path: str, reply: Reply | None) -> str | None:
    if reply is None:  # a streamed answer breaks off where the store fails midway
        return None if path in ("/zerglings/", "HISTORY") else "no answer"
    if reply.status == 503:
        error = reply.json["error"]
        if reply.headers["Retry-After"] != "1":
            return "a 503 without Retry-After"
        says = ("nothing was changed", "it is unknown whether", "Not ready: ")
        if not any(each in error for each in says):
            return f"what of it? {error}"
        return next((f"leaks: {error}" for leak in LEAKS if leak in error), None)
    if reply.status not in (200, 201):
        return f"{reply.status} {reply.body[:200]!r}"
    return None if _is_whole(path, reply) else f"something else: {reply.body[:200]!r}"


def _is_whole(path: str, reply: Reply) -> bool:
    """Whether a successful response is complete."""
    told = reply.json
    if path == "/readyz":
        return bool(told == {"status": "ready"})
    if path == "/_health":
        return "brain" in told["health"]
    if path == "HISTORY":
        return isinstance(told["commandHistory"], list)
    if path.startswith("/zerglings/?"):
        return 0 < len(told["zerglings"]) <= 5
    if path == "/zerglings/" and reply.status == 200:
        return all("location" in each for each in told["zerglings"])
    is_one = told["zergling"]["location"].keys() == {"x", "y"}
    return is_one and path in ("/zerglings/", f"/zerglings/{told['zergling']['id']}")


class Visitors:
    """Clients that send requests of all kinds, each over its own connection.

    They wait for a second after a 503, as it tells them to.
    """

    def __init__(self, service: Service, count: int) -> None:
        self._service = service
        self._count = count
        self._lock = threading.Lock()
        self._over = threading.Event()
        self.seen = Seen()
        zergling = service.spawn()
        self._requests = (
            ("POST", f"/zerglings/{zergling}", "M"),
            ("GET", f"/zerglings/{zergling}", None),
            ("GET", "/zerglings/?limit=5", None),
            ("GET", f"/zerglings/{zergling}/history", None),
            ("POST", "/zerglings/", None),
            ("GET", "/zerglings/", None),
            ("GET", "/_health", None),
            ("GET", "/readyz", None),
        )

    @contextmanager
    def visiting(self) -> Iterator[None]:
        """Run the clients during the block."""
        with ThreadPoolExecutor(self._count) as pool:
            doing = [pool.submit(self._visit, number) for number in range(self._count)]
            try:
                yield
            finally:
                self._over.set()
            for done in doing:
                done.result()

    def since(self) -> Seen:
        """Return what was seen since the last call."""
        with self._lock:
            seen, self.seen = self.seen, Seen()
        return seen

    def _visit(self, number: int) -> None:
        talk = self._service.connect()
        turns = cycle(self._requests[number % 8 :] + self._requests[: number % 8])
        while not self._over.is_set():
            method, path, body = next(turns)
            headers = {"Idempotency-Key": uuid.uuid4().hex} if method == "POST" else {}
            began = time.monotonic()
            reply = _reply(talk, self._service, method, path, body, headers)
            shown = "HISTORY" if path.endswith("/history") else path
            with self._lock:
                self.seen.add(shown, reply, time.monotonic() - began)
            if reply is None or reply.status == 503:
                self._over.wait(1.0)
        talk.close()


def _reply(
    talk: http.client.HTTPConnection,
    service: Service,
    method: str,
    path: str,
    body: str | None,
    headers: dict[str, str],
) -> Reply | None:
    try:
        return service.call(method, path, body, headers, connection=talk)
    except (OSError, http.client.HTTPException):
        talk.close()
        return None


@dataclass(frozen=True)
class Row:
    """One fault and its effects. Times are in seconds."""

    fault: str
    requests: int
    refused: int
    wrong: int
    slowest: float
    health_before: float
    health_p99: float
    health_worst: float
    recovery: float
    greenlets: tuple[int, int]
    connections: tuple[int, int]

    HEAD = (
        "| fault | requests | answered 503 | wrong answers | slowest answer | healthz p99 / worst"
        " | worst before it | recovery | greenlets before / after | connections before / after |\n"
        "|---|---|---|---|---|---|---|---|---|---|"
    )

    def __str__(self) -> str:
        health = f"{self.health_p99 * 1000:.0f} / {self.health_worst * 1000:.0f} ms"
        return (
            f"| {self.fault} | {self.requests} | {self.refused} | {self.wrong} "
            f"| {self.slowest:.2f} s | {health} | {self.health_before * 1000:.0f} ms "
            f"| {self.recovery:.2f} s "
            f"| {self.greenlets[0]} / {self.greenlets[1]} "
            f"| {self.connections[0]} / {self.connections[1]} |"
        )


class Trial:
    """A service whose store is struck, again and again, while visitors come and go.

    Args:
        service: what is tried.
        port: where it reaches its store.
        insight: counts its greenlets.
        visitors: how many come at once.
        seconds: how long a fault lasts.
    """

    def __init__(
        self, service: Service, port: int, insight: Insight, *, visitors: int, seconds: float
    ) -> None:
        self._service = service
        self._port = port
        self._insight = insight
        self._count = visitors
        self._seconds = seconds
        self.rows: list[Row] = []
        self.wrong: list[str] = []

    def endure(
        self,
        fault: str,
        strike: Callable[[], object],
        mend: Callable[[], object],
        seconds: float | None = None,
    ) -> Row:
        """Cause a fault, wait, end it, and measure the service during and after it."""
        before = self._held()
        visitors = Visitors(self._service, self._count)
        with probing(self._service) as probes, visitors.visiting():
            wait_until(lambda: visitors.seen.statuses[200] > self._count, "all are served")
            began = time.monotonic()
            time.sleep(USUAL)  # so long it is well
            visitors.since()
            struck_at = time.monotonic()
            strike()
            time.sleep(seconds or self._seconds)  # so long is the fault
            mend()
            recovery = self._recovery()
            recovered_at = time.monotonic()
        seen = visitors.since()
        after = self._quiet(before)
        self.wrong += [f"{fault}: {wrong}" for wrong in seen.wrong]
        self.wrong += [f"{fault}: /healthz: {status}" for status in probes.statuses - {200}]
        health = probes.between(struck_at, recovered_at)
        row = Row(
            fault,
            seen.statuses.total(),
            seen.statuses[503],
            len(seen.wrong),
            seen.slowest,
            max(probes.between(began, struck_at)),
            percentile(health, 0.99),
            max(health),
            recovery,
            (before[0], after[0]),
            (before[1], after[1]),
        )
        self.rows.append(row)
        return row

    def _recovery(self) -> float:
        """Return the seconds until commands are carried out again and the brain is said to be ok.

        Three times in a row, so that a single connection that is well does not count.
        """
        began = time.monotonic()
        in_a_row, ended = 0, began
        while in_a_row < 3:
            health = self._service.call("GET", "/_health").json["health"]["brain"]
            if health == "ok" and self._service.call("POST", "/zerglings/").status == 201:
                in_a_row += 1
                ended = ended if in_a_row > 1 else time.monotonic()
            else:
                in_a_row = 0
            assert time.monotonic() - began < 30, "it does not recover"
        return ended - began

    def _held(self) -> tuple[int, int]:
        return self._insight.greenlets(self._service), connections(self._service, self._port)

    def _quiet(self, before: tuple[int, int]) -> tuple[int, int]:
        """Return the held resources once they are down to the baseline, or at the time limit."""
        deadline = time.monotonic() + QUIET_DEADLINE
        while (held := self._held())[0] > before[0] and time.monotonic() < deadline:
            time.sleep(0.1)  # between two looks
        return held


def table(rows: Sequence[Row]) -> str:
    """Return rows as a table for a page."""
    return "\n".join([Row.HEAD, *map(str, rows)])
