"""``python -m bench.traffic``: the cost of the rate limit, and of a refusal.

Calls the WSGI application directly, over the embedded store: without a limit, with a limit that is
never reached, and with one that is used up. Each variant runs in a separate process. Then measures
the parts of the rate limit alone. Prints microseconds per call in the fastest of several rounds,
which depends least on what else runs on the machine.
"""

from __future__ import annotations

import io
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from typing import Any

from bench.plan import ROOT
from overmind_project.http.client_address import TrustedProxies, networks, rate_limit_network
from overmind_project.http.gcra import Limiter, Rate

ROUNDS = 5
CALLS = 2000
PART_CALLS = 50_000
KINDS = {"answered, no limit": "", "answered, with a limit": "999999/s", "refused": "1/h"}


def main() -> int:
    """Measure and print."""
    if sys.argv[1:] == ["application"]:
        sys.stderr.write(f"{_of_application():.1f}\n")
        return 0
    found: dict[str, list[float]] = {kind: [] for kind in KINDS}
    for _ in range(ROUNDS):
        for kind, limit in KINDS.items():
            found[kind].append(_in_a_process(limit))
    for kind, figures in found.items():
        _say(f"a read of one zergling, {kind}", min(figures))
    for part, call in _parts():
        _say(part, min(_microseconds(call, PART_CALLS) for _ in range(ROUNDS)))
    return 0


def _say(what: str, microseconds: float) -> None:
    sys.stdout.write(f"{what:<50}{microseconds:8.1f} µs\n")


def _in_a_process(limit: str) -> float:
    with tempfile.TemporaryDirectory() as directory:
        path = str(Path(directory) / "bench.sqlite3")
        settings = {
            "DJANGO_SETTINGS_MODULE": "overmind_project.settings",
            "OVERMIND_STORE": "sqlite",
            "OVERMIND_SQLITE_PATH": path,
            "OVERMIND_RATE_LIMIT": limit,
        }
        run = [sys.executable, "-m", "bench.traffic", "application"]
        done = subprocess.run(  # nosec B603 # noqa: S603 - no shell, and no untrusted input
            run, cwd=ROOT, env=os.environ | settings, capture_output=True, text=True, check=True
        )
    return float(done.stderr.splitlines()[-1])


def _of_application() -> float:
    """Return the microseconds of a read. Log lines go to the standard output."""
    from gevent import monkey

    monkey.patch_all()  # as in the service, where yielding costs nothing without other greenlets

    from overmind_project.wsgi import application
    from zerglings.domain.pose import Pose
    from zerglings.hive.hive import configured_hive
    from zerglings.storage.bootstrap.plan import sqlite_steps
    from zerglings.storage.bootstrap.runner import Run, bring_about

    path = Path(os.environ["OVERMIND_SQLITE_PATH"])
    bring_about(sqlite_steps(path), Run(timeout=10), lambda *_: None)
    zergling = configured_hive().spawn(Pose())

    def call() -> None:
        environ: dict[str, Any] = {
            "REQUEST_METHOD": "GET",
            "PATH_INFO": f"/zerglings/{zergling.id}",
            "REMOTE_ADDR": "127.0.0.1",
            "SERVER_NAME": "127.0.0.1",
            "SERVER_PORT": "8080",
            "wsgi.url_scheme": "http",
            "wsgi.input": io.BytesIO(),
        }
        answer: Any = application(environ, lambda *_: lambda _: None)
        list(answer)
        answer.close()

    call()
    return _microseconds(call, CALLS)


def _parts() -> Iterator[tuple[str, Callable[[], object]]]:
    limiter, numbers = Limiter(Rate.parse("999999/s")), count()
    here = rate_limit_network("127.0.0.1")
    yield "a check of the limit", lambda: limiter.wait(here)
    yield "a request counted", lambda: limiter.take(here)
    yield (
        "a request counted for a new address",
        lambda: limiter.take(rate_limit_network(f"2001:db8:{next(numbers) % 65536:x}::1")),
    )
    proxies = TrustedProxies(networks("10.0.0.0/8"))
    environ = {"REMOTE_ADDR": "10.0.0.1", "HTTP_X_FORWARDED_FOR": "192.0.2.1, 10.0.0.2"}
    yield "the client found behind two proxies", lambda: proxies.client_of(environ)


def _microseconds(call: Callable[[], object], calls: int) -> float:
    began = time.perf_counter()
    for _ in range(calls):
        call()
    return (time.perf_counter() - began) / calls * 1e6


if __name__ == "__main__":
    sys.exit(main())
