"""Generates the load for k8s/e2e.sh: moves zerglings over new connections and counts the answers.

Prints a JSON line with the counts every second. When the file STOP appears, it compares every
zergling with the acknowledged commands, prints a final line and exits.
"""

from __future__ import annotations

import http.client
import json
import sys
import threading
import time
from collections import Counter
from pathlib import Path

STOP = Path("/tmp/stop")  # nosec B108 # noqa: S108 - the container runs nothing else
THREADS = 4
PAUSE = 0.05  # seconds between two requests of a thread
TIMEOUT = 15  # seconds
OUTCOMES = ("sent", "ok", "unavailable", "doubtful", "failed")
CREATED, UNAVAILABLE = 201, 503
MAX_SECONDS = 3600  # maximum seconds of a run


class Load:
    """Sends requests to one address and counts the results."""

    def __init__(self, address: str, port: int, host: str) -> None:
        self._address = (address, port)
        self._headers = {"Host": host}
        self._lock = threading.Lock()
        self._counts: Counter[str] = Counter()
        self._acknowledged: Counter[str] = Counter()
        self._doubtful: Counter[str] = Counter()
        self.failures: list[str] = []

    def call(
        self, method: str, path: str, body: str | None = None
    ) -> tuple[int, str | None, bytes]:
        """Send one request over a new connection; return status, Retry-After and body."""
        connection = http.client.HTTPConnection(*self._address, timeout=TIMEOUT)
        try:
            connection.request(method, path, body, self._headers)
            response = connection.getresponse()
            return response.status, response.headers["Retry-After"], response.read()
        finally:
            connection.close()

    def spawn(self) -> str:
        """Return a new zergling's id. Retries on 503: the load has not begun yet."""
        while True:
            status, _, body = self.call("POST", "/zerglings/")
            if status == CREATED:
                return str(json.loads(body)["zergling"]["id"])
            if status != UNAVAILABLE:
                sys.exit(f"cannot spawn: {status} {body!r}")
            time.sleep(1)

    def move(self, zergling_id: str) -> None:
        """Move a zergling and count the answer."""
        try:
            status, retry_after, body = self.call("POST", f"/zerglings/{zergling_id}", "M")
        except (OSError, http.client.HTTPException) as error:
            self._note("failed", zergling_id, repr(error))
            return
        if status == 200:
            self._note("ok", zergling_id)
        elif status == 503 and retry_after is not None:
            is_doubtful = b"unknown" in body
            self._note("doubtful" if is_doubtful else "unavailable", zergling_id)
        else:
            self._note("failed", zergling_id, f"{status} {body[:200]!r}")

    def _note(self, outcome: str, zergling_id: str, failure: str | None = None) -> None:
        with self._lock:
            self._counts["sent"] += 1
            self._counts[outcome] += 1
            if outcome == "ok":
                self._acknowledged[zergling_id] += 1
            elif outcome in ("doubtful", "failed"):
                self._doubtful[zergling_id] += 1
            if failure:
                self.failures.append(failure)

    def report(self, **more: object) -> None:
        """Print the counts so far as a JSON line."""
        with self._lock:
            counts = {name: self._counts[name] for name in OUTCOMES}
            line = counts | {"failures": self.failures[-5:]} | more
        sys.stdout.write(json.dumps(line) + "\n")
        sys.stdout.flush()

    def wrong_zerglings(self, ids: list[str]) -> list[str]:
        """Return a message for each zergling that differs from the acknowledged commands."""
        wrong = []
        for zergling_id in ids:
            zergling = json.loads(self.call("GET", f"/zerglings/{zergling_id}")[2])["zergling"]
            moves = zergling["location"]["y"]  # it only moves ahead, facing north
            least = self._acknowledged[zergling_id]
            if not least <= moves <= least + self._doubtful[zergling_id]:
                wrong.append(f"{zergling_id}: {least} acknowledged, {moves} made")
            if zergling["location"]["x"] or zergling["facing"] != "N":
                wrong.append(f"{zergling_id}: is at {zergling['location']}")
        return wrong


def main() -> None:
    """Generate load until STOP appears."""
    load = Load(sys.argv[1], int(sys.argv[2]), sys.argv[3])
    ids = [load.spawn() for _ in range(12)]
    stopped = threading.Event()

    def client(number: int) -> None:
        turn = number
        while not stopped.is_set():
            load.move(ids[turn % len(ids)])
            turn += THREADS
            stopped.wait(PAUSE)

    threads = [threading.Thread(target=client, args=(number,)) for number in range(THREADS)]
    for thread in threads:
        thread.start()
    began = time.monotonic()
    while not STOP.exists() and time.monotonic() - began < MAX_SECONDS:
        load.report()
        time.sleep(1)
    stopped.set()
    for thread in threads:
        thread.join()
    wrong = load.wrong_zerglings(ids)
    load.report(wrong=wrong, final=True)
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
