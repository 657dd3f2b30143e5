"""`make regions`: disconnects and restarts regions at random under load, and prints a report.

Takes the URLs of two or three running CouchDBs: http://admin:password@host:port. The original
service writes in the first.

REGION_RESTART, if given, has a shell command for each of them, separated by semicolons. It kills a
node with SIGKILL, starts it again, and ends when the node answers. An empty command kills nothing.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import sys
import time
from pathlib import Path

from bench.errors import BenchError
from bench.regions.rig import rig
from tests.proof.regions.campaign import Campaign
from tests.proof.regions.disturbances import Pace


def main() -> int:
    """Run one campaign; return 1 if a fault was found, 2 if it could not run."""
    parser = argparse.ArgumentParser(prog="python -m tests.proof.regions", description=__doc__)
    parser.add_argument("--minutes", type=float, default=30, help="of disturbances (%(default)s)")
    parser.add_argument(
        "--clients",
        type=int,
        default=Pace.clients,
        help="fewer on a slow machine (%(default)s; with five CouchDBs on two processors 3)",
    )
    parser.add_argument("--seed", type=int, default=None, help="of the disturbances")
    parser.add_argument(
        "--evidence",
        type=Path,
        default=Path("build/regions"),
        help="directory for the documents and logs of faults (%(default)s)",
    )
    parser.add_argument("urls", nargs="+", metavar="URL")
    options = parser.parse_args()
    seed = options.seed if options.seed is not None else time.time_ns() % 10**6
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("stopped"))  # and clean up
    sys.stdout.write(f"{options.minutes:g} minutes, --seed {seed}\n")
    sys.stdout.flush()
    try:
        with rig(options.urls) as started:
            campaign = Campaign(
                started,
                random.Random(seed),
                Pace(clients=options.clients),
                kills=[each.strip() for each in os.environ.get("REGION_RESTART", "").split(";")],
                evidence=options.evidence / str(seed),
            )
            try:
                report = campaign.run(60 * options.minutes)
            finally:  # also if the comparison fails
                sys.stdout.write("\n".join([*campaign.report.lines(), ""]))
                sys.stdout.flush()
    except BenchError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    return 0 if report.is_clean() else 1


if __name__ == "__main__":
    sys.exit(main())
