"""Runs ``manage.py heal`` in a region, as its nightly job does, and tells how it ended."""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
import threading
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

from tests.support.service import ROOT, clean_environment

GRACE = 60.0
"""Seconds for which the dead are kept, so that heal removes some during a campaign."""

DAY = 24 * 60 * 60
POLL_SECONDS = 0.2

REFUSALS = ("nothing more was removed or purged: ", "nothing was purged or removed: ")
"""What heal says before the reason why it does not remove: a region or a node is behind."""

STOPPED = "heal stopped: "
"""What heal says before the error of its own store that ended it."""

_CHANGED_MEANWHILE = "has rival revisions"
_LOGGED = re.compile(r"\d{4}-\d\d-\d\dT")
_ID = re.compile(r"[0-9a-f]{8}-[0-9a-f-]{27}[0-9a-f:]*")
_DONE = re.compile(r"^ *(\d+)  (.+)$", re.MULTILINE)


class Outcome(Enum):
    """How a run of heal ended."""

    DONE = "done"
    REFUSED = "refused"
    STOPPED = "stopped by an error of its own store"
    ENDED = "ended with the disturbances"
    UNFINISHED = "left documents that others changed meanwhile to the next run"
    FAILED = "failed"


@dataclass(frozen=True)
class Healing:
    """A run of heal: its exit status (None: it was killed) and its output."""

    status: int | None
    said: str

    @property
    def outcome(self) -> Outcome:
        """How it ended."""
        if self.status is None:
            return Outcome.ENDED
        if any(refusal in self.said for refusal in REFUSALS):
            return Outcome.REFUSED
        if self.status == 0:
            return Outcome.DONE
        if STOPPED in self.said:
            return Outcome.STOPPED
        *causes, _summary = self._complaints() or [""]
        is_expected = causes and all(cause.endswith(_CHANGED_MEANWHILE) for cause in causes)
        return Outcome.UNFINISHED if is_expected else Outcome.FAILED

    @property
    def complaints(self) -> list[str]:
        """Why it refused, and what it could not heal, without ids."""
        return [_ID.sub("…", line) for line in self._complaints()]

    def _complaints(self) -> list[str]:
        lines = self.said.splitlines()
        return [line for line in lines if not (_DONE.match(line) or _LOGGED.match(line))]

    @property
    def counts(self) -> Counter[str]:
        """What it has merged, removed and purged."""
        return Counter({what: int(count) for count, what in _DONE.findall(self.said)})


def heal(environment: Mapping[str, str], ending: threading.Event) -> Healing:
    """Run heal, and kill it when ``ending`` is set.

    Args:
        environment: the variables of a region with its peers.
        ending: set at the end of the disturbances.
    """
    command = (sys.executable, "manage.py", "heal", "--grace", f"{GRACE / DAY:.8f}")
    with tempfile.TemporaryFile("w+") as output:
        process = subprocess.Popen(
            command,
            cwd=ROOT,
            env=clean_environment() | dict(environment),
            stdout=output,
            stderr=subprocess.STDOUT,
        )
        while process.poll() is None and not ending.wait(POLL_SECONDS):
            pass
        is_over = process.poll() is not None
        process.kill()
        process.wait()
        output.seek(0)
        return Healing(process.returncode if is_over else None, output.read())
