"""``python -m bench.regions.deep URL URL``: one zergling with 20,000 commands on each side.

While the regions are apart, each gives a zergling 20,000 commands (``REGION_DEPTH``) in requests of
100 to 500. Then they are linked again, and in both the zergling is moved and read every 50 ms until
both show all commands. Prints the answers, the longest answer times and the time to convergence.
Checks the answers, and at the end that both have the same history.
"""

from __future__ import annotations

import os
import random
import signal
import sys
import time
from collections import Counter
from collections.abc import Collection, Sequence
from concurrent.futures import ThreadPoolExecutor

from bench.errors import BenchError
from bench.regions.rig import Region, Rig, rig
from bench.regions.steady import OK, Caller, closing_all, spawn, steady, wait_until_merged

LEAST, MOST = 100, 500
"""Words of a request while the regions are apart."""

EVERY = 0.05
AFTERWARDS = 5.0
"""Seconds for which moves and reads go on after the histories are merged."""

UNAVAILABLE = 503
READS, MOVES = {OK}, {OK, UNAVAILABLE}
"""Allowed statuses. A move has a key, so it is refused while a part of the history is missing that
could contain the key. It is then repeated."""

END_LIMIT = 120.0
"""Seconds within which the databases become equal after the last move."""


def main() -> int:
    """Run the measurement and print the figures.

    Returns 1 if a command was lost or doubled, or if an answer has another status than the allowed.
    """
    try:
        depth = int(os.environ.get("REGION_DEPTH") or 20_000)
        with rig(sys.argv[1:]) as started:
            return _diverge(started, depth)
    except (BenchError, ValueError) as error:
        sys.stderr.write(f"bench: {error}\n")
        return 1


def _diverge(started: Rig, depth: int) -> int:
    regions = started.regions
    (zergling_id,) = spawn(regions, 1)
    started.cut(started.pairs)
    with ThreadPoolExecutor(len(regions)) as pool:
        deep = list(pool.map(lambda region: _deepen(region, zergling_id, depth), regions))
    _say(f"apart: {', '.join(str(sum(caller.moved.values())) for caller in deep)} commands")
    with steady(regions, [zergling_id], every=EVERY, reads=True, earlier=deep) as callers:
        movers = callers[: len(regions)]
        started.restore(started.pairs)
        _say(f"merged in all regions after {wait_until_merged(movers, [zergling_id]):.1f} s")
        time.sleep(AFTERWARDS)  # of load on the merged history
    is_answered = report("moves", movers, MOVES)
    is_answered &= report("reads", callers[len(regions) :], READS)
    is_equal = _compare(regions, zergling_id, sum(mover.moved.total() for mover in movers))
    return 0 if is_answered and is_equal else 1


def _deepen(region: Region, zergling_id: str, depth: int) -> Caller:
    with closing_all([region]) as (caller,):
        while (left := depth - caller.moved.total()) > 0:
            words = "".join(random.choices("MLR", k=min(left, random.randint(LEAST, MOST))))
            caller.command(zergling_id, words)
    return caller


def report(what: str, callers: Sequence[Caller], allowed: Collection[int]) -> bool:
    """Print the answers, and return whether all of them have an allowed status."""
    statuses = sum((caller.statuses for caller in callers), Counter[int]())
    longest = max(caller.longest for caller in callers)
    is_allowed = statuses.keys() <= set(allowed)
    verdict = "" if is_allowed else f"; ALLOWED ARE ONLY {sorted(allowed)}"
    _say(f"{what}: answers {dict(statuses)}, the longest after {longest:.2f} s{verdict}")
    return is_allowed


def _compare(regions: Sequence[Region], zergling_id: str, acknowledged: int) -> bool:
    """Return whether the regions are equal and have as many commands as were acknowledged."""
    began = time.monotonic()
    while True:
        is_equal = len({region.contents() for region in regions}) == 1
        with closing_all(regions) as callers:
            counts = {caller.count(zergling_id) for caller in callers}
        is_over = is_equal and counts == {acknowledged}
        if is_over or time.monotonic() - began > END_LIMIT:
            break
        time.sleep(EVERY)
    _say(
        f"databases {'equal' if is_equal else 'DIFFERENT'} {time.monotonic() - began:.1f} s after"
        f" the last move; {acknowledged} commands acknowledged, {sorted(counts)} shown"
    )
    return is_over


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # clean up as for Ctrl-C
    sys.exit(main())
