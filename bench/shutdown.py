"""``python -m bench.shutdown [TIMES]``: stops the service under load, 20 times by default.

Each time, 64 clients move a zergling over persistent connections, 8 others open a connection for
each move, and 200 connections are idle. Then the service gets SIGTERM. Prints how long the service
took to end, and the requests that failed. Uses the embedded store.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import statistics
import sys
import tempfile
import time
from pathlib import Path

from bench.errors import BenchError
from bench.plan import ROOT
from bench.rush import Call, Seen, rushing
from bench.service import HOST, Server, overmind
from bench.stores import Embedded

DEFAULT_TIMES = 20
KEEPING, COMING, IDLE = 64, 8, 200
LOAD_SECONDS = 1.5
END_LIMIT = 30.0


def main() -> int:
    """Start and stop the service repeatedly, and print the results."""
    times = int(sys.argv[1]) if len(sys.argv) > 1 else DEFAULT_TIMES
    total, seconds = Seen(), []
    with tempfile.TemporaryDirectory() as directory:
        store = Embedded(Path(directory))
        try:
            for number in range(times):
                with overmind(store, f"shutdown-{number}", ROOT) as server:
                    seconds.append(_stopped(server, total))
        except BenchError as error:
            sys.stderr.write(f"bench: {error}\n")
            return 1
    sys.stdout.write(
        f"{times} times SIGTERM, {KEEPING} clients that keep their connections, {COMING} that do"
        f" not, {IDLE} idle: {sum(total.answered.values())} answered {dict(total.answered)},"
        f" {total.failed.total()} failed {dict(total.failed)}; ended after"
        f" {statistics.median(seconds):.2f} s, {max(seconds):.2f} s at most\n"
    )
    return 0


def _stopped(server: Server, total: Seen) -> float:
    connection = server.connect()
    connection.request("POST", "/zerglings/")
    zergling_id = json.loads(connection.getresponse().read())["zergling"]["id"]
    idle = [socket.create_connection((HOST, server.port)) for _ in range(IDLE)]
    call = Call("POST", f"/zerglings/{zergling_id}", "M")
    with rushing(server.port, call, keeping=KEEPING, coming=COMING) as seen:
        time.sleep(LOAD_SECONDS)
        seconds = ended(server.pid, signal.SIGTERM)
    for one in idle:
        one.close()
    total.add(seen)
    return seconds


def ended(pid: int, by: signal.Signals) -> float:
    """Send a signal to a child process; return the seconds until it ended.

    Raises:
        BenchError: the process still runs after ``END_LIMIT`` seconds.
    """
    began = time.monotonic()
    os.kill(pid, by)
    while os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT | os.WNOHANG) is None:
        if time.monotonic() > began + END_LIMIT:
            raise BenchError(f"the service did not end within {END_LIMIT:.0f} seconds")
        time.sleep(0.01)
    return time.monotonic() - began


if __name__ == "__main__":
    sys.exit(main())
