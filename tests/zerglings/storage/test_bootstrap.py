"""The runner of bootstrap steps, over steps that need no server."""

from __future__ import annotations

import time

import pytest

from zerglings.storage.bootstrap import BootstrapError, NotYet, Step, TimedOut, run


class Scripted(Step):
    """A step that finds what a test lists: a drift, a reason to wait, None for all is well."""

    def __init__(self, name: str, *looks: str | Exception | None) -> None:
        self.name = name
        self._looks = list(looks)
        self.acts = 0

    def drift(self) -> str | None:
        look = self._looks.pop(0) if len(self._looks) > 1 else self._looks[0]
        if isinstance(look, Exception):
            raise look
        return look

    def act(self) -> str:
        self.acts += 1
        return "acted"


@pytest.fixture
def lines() -> list[str]:
    return []


def running(lines: list[str], *steps: Step, timeout: float = 5) -> None:
    run(steps, timeout=timeout, report=lambda step, line: lines.append(f"{step}: {line}"))


def test_a_step_that_holds_is_left_alone(lines: list[str]) -> None:
    step = Scripted("a", None)
    running(lines, step)
    assert (step.acts, lines) == (0, ["a: ok"])


def test_a_step_acts_until_it_holds_and_the_next_one_follows(lines: list[str]) -> None:
    running(lines, Scripted("a", "missing", None), Scripted("b", "wrong", "wrong", None))
    assert lines == ["a: acted", "a: ok", "b: acted", "b: acted", "b: ok"]


def test_waiting_is_said_once_for_each_reason(lines: list[str]) -> None:
    away, slow = NotYet("away"), NotYet("slow")
    running(lines, Scripted("a", away, away, slow, None))
    assert lines == ["a: waiting: away", "a: waiting: slow", "a: ok"]


def test_the_time_is_for_all_steps_together(lines: list[str]) -> None:
    began = time.monotonic()
    with pytest.raises(TimedOut, match="away"):
        running(lines, Scripted("a", None), Scripted("b", NotYet("away")), timeout=0.3)
    assert time.monotonic() - began < 1


def test_what_cannot_be_mended_ends_the_run_at_once(lines: list[str]) -> None:
    last = Scripted("b", "missing", None)
    with pytest.raises(BootstrapError, match="hopeless"):
        running(lines, Scripted("a", BootstrapError("hopeless")), last)
    assert last.acts == 0


def test_acting_without_effect_ends(lines: list[str]) -> None:
    step = Scripted("a", "missing")
    with pytest.raises(BootstrapError, match="still missing"):
        running(lines, step)
    assert step.acts == 20
