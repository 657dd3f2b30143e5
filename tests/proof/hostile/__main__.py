"""`make fuzz`: runs the tests of this folder repeatedly, each round with another seed."""

from __future__ import annotations

import os
import random
import re
import subprocess
import sys
import time

from tests.support.service import ROOT

SHARE = 4
"""The share of a round for schemathesis per store: one in so many."""

SHORTEST_ROUND = 120
"""Minimum seconds of a round."""


def play(seconds: int) -> tuple[int, list[str]]:
    """Run one round; return the number of inputs and the names of failed tests."""
    seed = str(random.getrandbits(31))
    budget = {"OVERMIND_FUZZ_SECONDS": str(max(10, seconds // SHARE)), "OVERMIND_FUZZ_SEED": seed}
    command = [
        *(
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "-rf",
            "--show-capture=no",
            "-p",
            "no:cacheprovider",
        ),
        *(f"--hypothesis-seed={seed}", "tests/proof/hostile"),
    ]
    run = subprocess.run(
        command, cwd=ROOT, env=os.environ | budget, stdout=subprocess.PIPE, text=True, check=False
    )
    tried = re.search(r"^Inputs tried: (\d+) .*", run.stdout, re.MULTILINE)
    failed = re.findall(r"^(?:FAILED|ERROR) (.*)", run.stdout, re.MULTILINE)
    if run.returncode != 0:
        sys.stdout.write(run.stdout)
        failed = failed or ["the round itself"]
    sys.stdout.write(f"Seed {seed}. {tried[0] if tried else 'Nothing tried'}\n")
    return int(tried[1]) if tried else 0, failed


def main(minutes: float) -> int:
    """Run rounds until the time is up and print the result; return 1 if a test failed."""
    end = time.monotonic() + minutes * 60
    total, failures = 0, []
    while (left := end - time.monotonic()) > 0:
        tried, failed = play(int(max(SHORTEST_ROUND, left / SHARE)))
        total += tried
        failures += failed
    sys.stdout.write(f"Inputs tried: {total}. Failures found: {len(failures)}\n")
    sys.stdout.writelines(f"  {failure}\n" for failure in failures)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main(float(sys.argv[1])))
