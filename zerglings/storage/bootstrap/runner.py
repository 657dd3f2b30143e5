"""Runs steps in order: checks each, and acts until its required state holds.

The runner is independent of the store. Steps keep no progress outside the store, so a run that was
killed, or that ran in parallel with others, is completed by the next one.
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
"""Limits of the pause between two checks of a store that is not ready, in seconds. The pause
doubles each time and is partly random."""

MAX_ACTS = 20
"""Maximum number of actions of a step; a step that needs more does not converge."""


DONE_BY_ANOTHER_RUN = "another run has done this already"


class NotYet(Exception):
    """The store cannot be read or changed now, but waiting may help. The message says why."""


class BootstrapError(Exception):
    """The store cannot be prepared. The message is one sentence for the operator."""


class TimedOut(BootstrapError):
    """The store was not ready within the timeout."""


class Refused(BootstrapError):
    """The store rejects an account."""


class Misconfigured(BootstrapError):
    """The configuration is inconsistent, or does not match the store."""


class Status(StrEnum):
    """Kinds of reported lines."""

    OK = "ok"
    CHANGED = "changed"
    WAITING = "waiting"
    WARNING = "warning"
    DRIFT = "drift"
    SKIPPED = "skipped"


Report = Callable[[str, Status, str], None]
"""Called with the name of a step, a status and a message."""


@dataclass
class Run:
    """The state of one run of the command.

    Attributes:
        timeout: seconds for all steps together; 0 means no limit.
        changed: whether a step of this run has changed something.
    """

    timeout: float = 0
    changed: bool = False
    _began: float = field(default_factory=time.monotonic)

    @property
    def seconds_left(self) -> float:
        """Seconds until the timeout of the run, infinite without one."""
        return self._began + self.timeout - time.monotonic() if self.timeout else float("inf")


class Step(ABC):
    """One condition of a working store: a check and an action that establishes it.

    Attributes:
        name: the step's name in options and reports.
        required_state: the required state, for help texts.
        requires_previous: ``find_drift`` skips the step while an earlier one has drift.
        is_prerequisite: ``find_drift`` skips all later steps while this one has drift.
        warnings: findings for the operator that no action can fix.
        unseen: what the last check could not read, or what only an operator can repair. These are
            warnings; ``find_drift`` counts them as drift.
    """

    name: ClassVar[str]
    required_state: ClassVar[str]
    requires_previous: ClassVar[bool] = False
    is_prerequisite: ClassVar[bool] = False

    def __init__(self) -> None:
        self.warnings: list[str] = []
        self.unseen: list[str] = []

    @abstractmethod
    def drift(self) -> str | None:
        """Check the required state without changing anything.

        Returns:
            A description of what differs, None if nothing does.

        Raises:
            NotYet: the state cannot be read now.
            BootstrapError: the drift cannot be fixed.
        """

    @abstractmethod
    def act(self) -> str | None:
        """Fix the drift.

        Returns:
            A description of what was done, None if another run had done it already.

        Raises:
            NotYet: the state cannot be changed now.
            BootstrapError: the drift cannot be fixed.
        """


def bring_about(steps: Sequence[Step], run: Run, report: Report) -> None:
    """Run each step in order until its required state holds.

    Raises:
        BootstrapError: the store cannot be prepared.
    """
    for step in steps:
        _run_step(step, run, report)


def find_drift(steps: Sequence[Step], report: Report) -> bool:
    """Check each step once, without changes or waiting; return whether there is any drift.

    Checking stops at a step whose state cannot be read.

    Raises:
        Refused: the store rejects an account; a retry could lock it.
        Misconfigured: the configuration is inconsistent, or does not match the store.
        BootstrapError: the drift cannot be fixed.
    """
    has_drifted = is_blocked = False
    for step in steps:
        if is_blocked or (has_drifted and step.requires_previous):
            report(step.name, Status.SKIPPED, "not checked, because an earlier step has drift")
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
        is_blocked = is_blocked or (drift is not None and step.is_prerequisite)
    return has_drifted


def _run_step(step: Step, run: Run, report: Report) -> None:
    pause, last_line, acts = FIRST_PAUSE, "", 0
    while True:
        try:
            drift = step.drift()
            if drift is None:
                _report_all([*step.warnings, *step.unseen], step, report)
                report(step.name, Status.OK, "ok")
                return
            if acts == MAX_ACTS:
                raise BootstrapError(
                    f"{step.name}: still not ready after {MAX_ACTS} actions: {drift}"
                )
            acts += 1
            done = step.act()
            run.changed = run.changed or done is not None
            status, line = (
                (Status.WAITING, DONE_BY_ANOTHER_RUN) if done is None else (Status.CHANGED, done)
            )
        except NotYet as error:
            status, line = Status.WAITING, str(error)
        if line != last_line:
            report(step.name, status, line)
            last_line = line
        if status is Status.CHANGED and acts == 1:
            continue  # check again at once: usually one action suffices
        _pause(run, pause, f"{step.name}: timed out while waiting: {line}")
        pause = min(2 * pause, LONGEST_PAUSE)


def _pause(run: Run, longest: float, message: str) -> None:
    delay = random.uniform(longest / 2, longest)
    if delay > run.seconds_left:
        raise TimedOut(message)
    time.sleep(delay)


def _report_all(warnings: Sequence[str], step: Step, report: Report) -> None:
    for warning in dict.fromkeys(warnings):
        report(step.name, Status.WARNING, warning)
