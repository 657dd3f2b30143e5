"""``python -m bench.regions.revs_limit URL URL``: what ``_revs_limit`` costs in regions.

While two regions are apart, only the first commands zerglings, each in so many requests of one
word. CouchDB forgets the oldest revisions of a document beyond ``_revs_limit``. So with more
updates than that, the second region cannot tell that its revision is an ancestor of the arriving
one, and keeps both as rivals, which the service merges. For each limit and number of updates this
prints the zerglings with rivals in the second region, the median time of their first and second
read there, and CouchDB's processor time per update in the first.

``REVS_LIMITS`` (10,50,200,1000) and ``REGION_UPDATES`` (20,100,400) name them.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from statistics import median

from bench import process
from bench.errors import BenchError
from bench.regions.rig import Region, Rig, rig
from bench.regions.steady import LOOK_EVERY, TIMEOUT, Caller, spawn

ZERGLINGS = 20
CLIENTS = 10


def main() -> int:
    """Run the measurement and print the figures."""
    try:
        limits = _given("REVS_LIMITS", "10,50,200,1000")
        numbers = _given("REGION_UPDATES", "20,100,400")
        with rig(sys.argv[1:]) as started:
            for limit in limits:
                for line in _measure(started, limit, numbers):
                    sys.stdout.write(f"{line}\n")
                    sys.stdout.flush()
    except BenchError as error:
        sys.stderr.write(f"bench: {error}\n")
        return 1
    return 0


def _given(variable: str, default: str) -> list[int]:
    try:
        return [int(each) for each in (os.environ.get(variable) or default).split(",")]
    except ValueError as error:
        raise BenchError(f"{variable}: {error}") from None


def _measure(started: Rig, limit: int, numbers: Sequence[int]) -> Iterator[str]:
    first, second = started.regions[:2]
    for region in (first, second):
        region.couch.ask("PUT", f"{region.database}/_revs_limit", limit)
    for updates in numbers:
        ids = spawn([first, second], ZERGLINGS)
        started.cut(started.pairs)
        spent = _update(first, ids, updates)
        started.restore(started.pairs)
        rivals = sum(_wait_for_rivals(second, id_, updates) for id_ in ids)
        with closing(Caller(second)) as caller:
            merging, again = (median(_timed(caller, id_) for id_ in ids) for _ in range(2))
        yield (
            f"_revs_limit {limit}, {updates} updates: {rivals} of {ZERGLINGS} with rivals, first"
            f" read {1000 * merging:.1f} ms, second {1000 * again:.1f} ms; {spent:.2f} ms of"
            " CouchDB's processor time per update"
        )


def _update(region: Region, ids: Sequence[str], updates: int) -> float:
    """Update each zergling so often; return CouchDB's milliseconds of processor time for one."""
    pid = region.couch.pid
    if not pid:
        raise BenchError("CouchDB does not run on this machine")
    before = process.cpu_seconds(pid)
    with ThreadPoolExecutor(CLIENTS) as pool:
        list(
            pool.map(lambda client: _command(region, ids[client::CLIENTS], updates), range(CLIENTS))
        )
    return 1000 * (process.cpu_seconds(pid) - before) / (updates * len(ids))


def _command(region: Region, ids: Sequence[str], updates: int) -> None:
    with closing(Caller(region)) as caller:
        for _ in range(updates):
            for zergling_id in ids:
                caller.command(zergling_id, "M")


def _wait_for_rivals(region: Region, zergling_id: str, updates: int) -> bool:
    """Wait until a zergling's updates have arrived in CouchDB; return whether it has rivals."""
    end = time.monotonic() + TIMEOUT
    while time.monotonic() < end:
        leaf = region.couch.ask("GET", f"{region.database}/{zergling_id}?conflicts=true")
        if int(leaf["_rev"].partition("-")[0]) > updates:
            return "_conflicts" in leaf
        time.sleep(LOOK_EVERY)
    raise BenchError(f"the updates of {zergling_id} have not arrived in {region.name}")


def _timed(caller: Caller, zergling_id: str) -> float:
    began = time.monotonic()
    caller.count(zergling_id)
    return time.monotonic() - began


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # clean up as for Ctrl-C
    sys.exit(main())
