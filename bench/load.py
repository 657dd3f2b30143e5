"""Runs wrk and parses its figures. Independent of the server under load."""

from __future__ import annotations

import json
import shutil
import statistics
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from bench.errors import BenchError

SCRIPTS = Path(__file__).resolve().parent / "wrk"
MARK = "figures "
"""Prefix of the line of figures that the wrk scripts print."""

ANSWER_TIMEOUT = 10
"""Seconds after which wrk counts a request as failed."""

GRACE = 30.0
"""Extra seconds for wrk to connect and to sum up."""

THREADS = 2


@dataclass(frozen=True, slots=True)
class Load:
    """One run of wrk with a script of ``bench/wrk``.

    ``paths`` is a file with one path per line, from which the script chooses. With
    ``thread_each``, every connection has its own thread, and therefore its own Lua state.
    """

    script: str
    url: str
    connections: int
    seconds: int
    paths: Path
    headers: Mapping[str, str] = field(default_factory=dict)
    thread_each: bool = False

    def command(self, wrk: str) -> list[str]:
        """Return wrk's command line."""
        threads = self.connections if self.thread_each else min(THREADS, self.connections)
        options = ["-t", threads, "-c", self.connections, "-d", f"{self.seconds}s"]
        options += ["--timeout", f"{ANSWER_TIMEOUT}s", "-s", SCRIPTS / f"{self.script}.lua"]
        for name, value in self.headers.items():
            options += ["-H", f"{name}: {value}"]
        return [wrk, *map(str, options), self.url, "--", str(self.paths), str(self.connections)]


@dataclass(frozen=True, slots=True)
class Figures:
    """Figures of one run of wrk. ``good`` counts answers below 400, or whole pairs."""

    good: int
    requests: int
    refused: int
    socket_errors: int
    seconds: float
    p50_ms: float
    p99_ms: float
    put_p50_ms: float | None = None

    @property
    def rate(self) -> float:
        """Successes per second."""
        return self.good / self.seconds

    @property
    def errors(self) -> int:
        """Number of requests that were refused or got no answer."""
        return self.refused + self.socket_errors


def find_wrk() -> str:
    """Return the path of wrk.

    Raises:
        BenchError: it is not installed.
    """
    if wrk := shutil.which("wrk"):
        return wrk
    raise BenchError("wrk is missing: apt-get install wrk")


def run(loads: Sequence[Load]) -> Figures:
    """Run loads at the same time and return their figures as those of one load.

    Raises:
        BenchError: wrk is missing, could not connect, or did not end in time.
    """
    wrk = find_wrk()
    with ExitStack() as stack:
        started = [stack.enter_context(_running(load.command(wrk))) for load in loads]
        outputs = [_output(load, running) for load, running in zip(loads, started, strict=True)]
    return combined([parse(output) for output in outputs])


def combined(parts: Sequence[Figures]) -> Figures:
    """Combine the figures of loads that ran at the same time.

    Percentiles of all requests cannot be computed from those of the parts: ``p50_ms`` is the
    median of theirs, ``p99_ms`` the highest.
    """
    if len(parts) == 1:
        return parts[0]
    return Figures(
        good=sum(part.good for part in parts),
        requests=sum(part.requests for part in parts),
        refused=sum(part.refused for part in parts),
        socket_errors=sum(part.socket_errors for part in parts),
        seconds=max(part.seconds for part in parts),
        p50_ms=statistics.median(part.p50_ms for part in parts),
        p99_ms=max(part.p99_ms for part in parts),
    )


@contextmanager
def _running(command: Sequence[str]) -> Iterator[subprocess.Popen[str]]:
    """Start wrk; kill it if it still runs at the end of the block."""
    with subprocess.Popen(  # nosec B603 # noqa: S603 - no shell, and no untrusted input
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as running:
        try:
            yield running
        finally:
            running.kill()


def _output(load: Load, running: subprocess.Popen[str]) -> str:
    try:
        return "".join(running.communicate(timeout=load.seconds + GRACE))
    except subprocess.TimeoutExpired:
        raise BenchError(f"wrk did not end with {load.script} at {load.connections}") from None


def parse(output: str) -> Figures:
    """Parse the output of wrk.

    Raises:
        BenchError: it contains no figures; the text repeats wrk's last line.
    """
    for line in output.splitlines():
        if line.startswith(MARK):
            return Figures(**json.loads(line.removeprefix(MARK)))
    last = (output.strip().splitlines() or ["nothing"])[-1]
    raise BenchError(f"wrk gave no figures but {last!r}")
