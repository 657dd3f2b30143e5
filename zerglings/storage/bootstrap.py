"""Brings a store from any state to ready: steps in order, each with a name, a check and an action.

The runner knows no store. A step looks at the store every time anew, so a run that was killed or
raced by others is simply followed by another.
"""

from __future__ import annotations

import random
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence

FIRST_PAUSE = 0.1
LONGEST_PAUSE = 2.0
"""Seconds between two looks at a store that is not there yet; each pause is partly random."""

ROUNDS = 20
"""How often a step may act before it is clear that acting does not help."""


class NotYet(Exception):
    """The store cannot be asked or changed at the moment; waiting may help. The text says why."""


class BootstrapError(Exception):
    """The store cannot be made ready; the text is one sentence for the operator."""


class TimedOut(BootstrapError):
    """The store did not become ready in time."""


class Refused(BootstrapError):
    """The store does not accept the configured account."""


class Step(ABC):
    """One thing that must be so before the service can work."""

    name: str

    @abstractmethod
    def drift(self) -> str | None:
        """Look, and say what is not as it should be; None when all is well.

        Raises:
            NotYet: it cannot be seen now.
            BootstrapError: it cannot be mended.
        """

    @abstractmethod
    def act(self) -> str:
        """Mend the drift and say what was done. Raises as ``drift`` does."""


Report = Callable[[str, str], None]
"""Takes the name of a step and a line about it."""


def run(steps: Sequence[Step], *, timeout: float, report: Report) -> None:
    """Bring each step in turn to where it holds.

    Args:
        steps: what must hold, in the order in which it can be brought about.
        timeout: seconds for all steps together; 0 waits for ever.
        report: is told what was found, done and waited for.

    Raises:
        BootstrapError: the store could not be made ready.
    """
    deadline = time.monotonic() + timeout if timeout else float("inf")
    for step in steps:
        _bring_about(step, deadline, report)


def _bring_about(step: Step, deadline: float, report: Report) -> None:
    pause, last_reason, acts = FIRST_PAUSE, "", 0
    while True:
        try:
            if step.drift() is None:
                report(step.name, "ok")
                return
            if acts == ROUNDS:
                raise BootstrapError(f"{step.name}: acted {ROUNDS} times, and still {step.drift()}")
            acts += 1
            report(step.name, step.act())
            continue
        except NotYet as error:
            reason = str(error)
        if reason != last_reason:
            report(step.name, f"waiting: {reason}")
            last_reason = reason
        delay = random.uniform(pause / 2, pause)
        if time.monotonic() + delay > deadline:
            raise TimedOut(f"{step.name}: time is up while waiting: {reason}")
        time.sleep(delay)
        pause = min(2 * pause, LONGEST_PAUSE)
