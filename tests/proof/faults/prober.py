"""Calls ``/healthz`` continuously from a child process and records how long each response takes.

python -m tests.proof.faults.prober PORT
"""

from __future__ import annotations

import http.client
import json
import math
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from tests.proof.faults.beside import running_beside
from tests.support.service import Service

EVERY = 0.02
DEADLINE = 20.0


@dataclass
class Probes:
    """When each probe was sent, the seconds until its answer, the status, and the seconds that the
    prober itself came late before it: what the machine does to whoever waits for a timer."""

    seen: list[tuple[float, float, int, float]] = field(default_factory=list)

    def between(self, began: float, ended: float) -> list[float]:
        """Return the durations of the probes sent in a time span."""
        return [seconds for at, seconds, *_ in self.seen if began <= at < ended]

    def lateness(self, began: float, ended: float) -> float:
        """Return the largest delay of the prober itself in a time span."""
        return max(late for at, *_, late in self.seen if began <= at < ended)

    @property
    def statuses(self) -> set[int]:
        return {status for _, _, status, _ in self.seen}


@contextmanager
def probing(service: Service) -> Iterator[Probes]:
    """Probe during the block; the results are available afterwards."""
    probes = Probes()
    with running_beside("tests.proof.faults.prober", str(service.port)) as told:
        yield probes
    probes.seen = [tuple(seen) for seen in told]


def percentile(values: list[float], share: float) -> float:
    return sorted(values)[math.ceil(len(values) * share) - 1]


def in_ms(values: list[float]) -> str:
    return f"{percentile(values, 0.99) * 1000:.0f} / {max(values) * 1000:.0f} ms"


def _end_with_input(over: threading.Event) -> None:
    sys.stdin.read()
    over.set()


def _main(port: int) -> None:
    over = threading.Event()
    threading.Thread(target=_end_with_input, args=(over,), daemon=True).start()
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    seen = []
    rested_at = time.monotonic()
    while not over.wait(EVERY):
        late = time.monotonic() - rested_at - EVERY
        talk = http.client.HTTPConnection("127.0.0.1", port, timeout=DEADLINE)
        began = time.monotonic()
        talk.request("GET", "/healthz")
        status = talk.getresponse().status
        seen.append((began, time.monotonic() - began, status, late))
        talk.close()
        rested_at = time.monotonic()
    sys.stdout.write(json.dumps(seen))


if __name__ == "__main__":
    _main(int(sys.argv[1]))
