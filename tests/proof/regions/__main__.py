"""`make regions`: disconnects and restarts regions at random under load, and prints a report.

Takes the URLs of two or three running CouchDBs: http://admin:password@host:port.
"""

from __future__ import annotations

import argparse
import random
import signal
import sys
import time

from bench.errors import BenchError
from bench.regions.rig import rig
from tests.proof.regions.campaign import Campaign, Pace


def main() -> int:
    """Run one campaign; return 1 if a fault was found, 2 if it could not run."""
    parser = argparse.ArgumentParser(prog="python -m tests.proof.regions", description=__doc__)
    parser.add_argument("--minutes", type=float, default=30, help="of disturbances (%(default)s)")
    parser.add_argument("--seed", type=int, default=None, help="of the disturbances")
    parser.add_argument("urls", nargs="+", metavar="URL")
    options = parser.parse_args()
    seed = options.seed if options.seed is not None else time.time_ns() % 10**6
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("stopped"))  # and clean up
    sys.stdout.write(f"{options.minutes:g} minutes, --seed {seed}\n")
    sys.stdout.flush()
    try:
        with rig(options.urls) as started:
            report = Campaign(started, random.Random(seed), Pace()).run(60 * options.minutes)
    except BenchError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    sys.stdout.write("\n".join([*report.lines(), ""]))
    return 0 if report.is_clean() else 1


if __name__ == "__main__":
    sys.exit(main())
