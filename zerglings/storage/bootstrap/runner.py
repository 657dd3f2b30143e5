"""Steps in order, each looked at and, where it does not hold, brought about.

The runner knows no store. A step looks at the store every time anew, so a run that was killed, or
that others raced, is simply followed by another one.
"""

from __future__ import annotations

import random
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import ClassVar

FIRST_PAUSE = 0.1
LONGEST_PAUSE = 2.0
"""Seconds between two looks at a store that is not there yet; each pause is partly random."""

ACTS = 20
"""How often a step may act before it is clear that acting does not help."""


ANOTHER_WAS_FASTER = "another run was faster"


class NotYet(Exception):
    """The store cannot be asked or changed at the moment; waiting may help. The text says why."""


class BootstrapError(Exception):
    """The store cannot be made ready; the text is one sentence for the operator."""


class TimedOut(BootstrapError):
    """The store did not become ready in time."""


class Refused(BootstrapError):
    """The store does not accept an account."""


class Misconfigured(BootstrapError):
    """The configuration contradicts itself or the store."""


class Status(StrEnum):
    """What a report is about."""

    OK = "ok"
    CHANGED = "changed"
    WAITING = "waiting"
    WARNING = "warning"
    DRIFT = "drift"
    SKIPPED = "skipped"


Report = Callable[[str, Status, str], None]
"""Takes the name of a step, a status and a line for people."""


@dataclass
class Run:
    """What one run of the command knows of itself.

    Attributes:
        timeout: seconds for all steps together; 0 waits for ever.
        changed: whether a step of this run has changed something.
    """

    timeout: float = 0
    changed: bool = False
    _began: float = field(default_factory=time.monotonic)

    @property
    def seconds_left(self) -> float:
        """Seconds until the run has to end."""
        return self._began + self.timeout - time.monotonic() if self.timeout else float("inf")


class Step(ABC):
    """One thing that must be so before the service can work.

    ``warnings`` collects what an operator should know and no action can mend. ``unseen`` is what
    the last look could not see: a warning, but for ``--check``, which cannot say that it holds.
    ``needs_all`` says that looking makes no sense while any step before it does not hold,
    ``carries_all`` that looking at any step after it makes no sense while it does not hold.
    """

    name: ClassVar[str]
    wants: ClassVar[str]
    needs_all: ClassVar[bool] = False
    carries_all: ClassVar[bool] = False

    def __init__(self) -> None:
        self.warnings: list[str] = []
        self.unseen: list[str] = []

    @abstractmethod
    def drift(self) -> str | None:
        """Look, and say what is not as it should be; None when all is well. Changes nothing.

        Raises:
            NotYet: it cannot be seen now.
            BootstrapError: it cannot be mended.
        """

    @abstractmethod
    def act(self) -> str | None:
        """Mend the drift and say what was done; None if another run was faster.

        Raises as ``drift`` does.
        """


def bring_about(steps: Sequence[Step], run: Run, report: Report) -> None:
    """Bring each step in turn to where it holds.

    Raises:
        BootstrapError: the store could not be made ready.
    """
    for step in steps:
        _bring_about(step, run, report)


def find_drift(steps: Sequence[Step], report: Report) -> bool:
    """Look at each step, change nothing, wait for nothing; return whether something is not so.

    A store that cannot be asked ends the look: what comes after it is not to be seen either.

    Raises:
        Refused: the store does not accept an account, which must not be tried again.
        Misconfigured: the configuration contradicts itself or the store.
    """
    has_drifted = is_blind = False
    for step in steps:
        if is_blind or (has_drifted and step.needs_all):
            report(step.name, Status.SKIPPED, "not looked at, as a step before it does not hold")
            continue
        try:
            drift = step.drift()
        except NotYet as error:
            report(step.name, Status.DRIFT, str(error))
            return True
        drift = "; ".join(filter(None, [drift, *step.unseen])) or None
        _report_all(step.warnings, step, report)
        report(step.name, Status.DRIFT if drift else Status.OK, drift or "ok")
        has_drifted = has_drifted or drift is not None
        is_blind = is_blind or (drift is not None and step.carries_all)
    return has_drifted


def _bring_about(step: Step, run: Run, report: Report) -> None:
    pause, last_line, acts = FIRST_PAUSE, "", 0
    while True:
        try:
            drift = step.drift()
            if drift is None:
                _report_all([*step.warnings, *step.unseen], step, report)
                report(step.name, Status.OK, "ok")
                return
            if acts == ACTS:
                raise BootstrapError(f"{step.name}: acted {ACTS} times, and still: {drift}")
            acts += 1
            done = step.act()
            run.changed = run.changed or done is not None
            status, line = (
                (Status.WAITING, ANOTHER_WAS_FASTER) if done is None else (Status.CHANGED, done)
            )
        except NotYet as error:
            status, line = Status.WAITING, str(error)
        if line != last_line:
            report(step.name, status, line)
            last_line = line
        if status is Status.CHANGED and acts == 1:
            continue  # most often that was all
        _pause(run, pause, f"{step.name}: the time is up while waiting: {line}")
        pause = min(2 * pause, LONGEST_PAUSE)


def _pause(run: Run, longest: float, complaint: str) -> None:
    delay = random.uniform(longest / 2, longest)
    if delay > run.seconds_left:
        raise TimedOut(complaint)
    time.sleep(delay)


def _report_all(warnings: Sequence[str], step: Step, report: Report) -> None:
    for warning in dict.fromkeys(warnings):
        report(step.name, Status.WARNING, warning)
