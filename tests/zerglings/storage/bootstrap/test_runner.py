"""Tests for the runner of bootstrap steps, with steps that need no server."""

from __future__ import annotations

import time

import pytest

from tests.support.site import Lines
from zerglings.storage.bootstrap.runner import (
    BootstrapError,
    Misconfigured,
    NotYet,
    Refused,
    Run,
    Step,
    TimedOut,
    bring_about,
    find_drift,
)

Look = str | Exception | None


class Scripted(Step):
    """A step whose checks return the listed results: a drift, an exception, or None if it holds."""

    def __init__(
        self,
        name: str,
        *looks: Look,
        done: str | None = "acted",
        requires_previous: bool = False,
        is_prerequisite: bool = False,
    ) -> None:
        super().__init__()
        self.name = name  # type: ignore[misc]  # a ClassVar, but here one for each step
        self.requires_previous = requires_previous  # type: ignore[misc]  # likewise
        self.is_prerequisite = is_prerequisite  # type: ignore[misc]  # likewise
        self._done = done
        self._looks = list(looks)
        self.looks = self.acts = 0

    def drift(self) -> str | None:
        self.looks += 1
        look = self._looks.pop(0) if len(self._looks) > 1 else self._looks[0]
        if isinstance(look, Exception):
            raise look
        return look

    def act(self) -> str | None:
        self.acts += 1
        return self._done


@pytest.fixture
def lines() -> Lines:
    return Lines()


def test_a_step_without_drift_does_not_act(lines: Lines) -> None:
    step, run = Scripted("a", None), Run()
    bring_about([step], run, lines)
    assert (step.acts, lines, run.changed) == (0, ["a ok ok"], False)


def test_a_step_acts_until_its_drift_is_gone_before_the_next_step(lines: Lines) -> None:
    run = Run()
    bring_about([Scripted("a", "missing", None), Scripted("b", "x", "y", None)], run, lines)
    assert lines == ["a changed acted", "a ok ok", "b changed acted", "b ok ok"]
    assert run.changed


def test_waiting_is_reported_once_per_reason(lines: Lines) -> None:
    away, slow = NotYet("away"), NotYet("slow")
    bring_about([Scripted("a", away, away, slow, None)], Run(), lines)
    assert lines == ["a waiting away", "a waiting slow", "a ok ok"]


def test_the_timeout_covers_all_steps_together(lines: Lines) -> None:
    began = time.monotonic()
    with pytest.raises(TimedOut, match="away"):
        bring_about([Scripted("a", None), Scripted("b", NotYet("away"))], Run(timeout=0.3), lines)
    assert time.monotonic() - began < 1


def test_a_permanent_error_ends_the_run_immediately(lines: Lines) -> None:
    last = Scripted("b", "missing", None)
    with pytest.raises(BootstrapError, match="hopeless"):
        bring_about([Scripted("a", BootstrapError("hopeless")), last], Run(), lines)
    assert last.looks == 0


def test_actions_without_effect_end_the_run(lines: Lines, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("zerglings.storage.bootstrap.runner.LONGEST_PAUSE", 0.001)
    monkeypatch.setattr("zerglings.storage.bootstrap.runner.FIRST_PAUSE", 0.001)
    step = Scripted("a", "missing")
    with pytest.raises(BootstrapError, match="still not ready after 20 actions: missing"):
        bring_about([step], Run(), lines)
    assert step.acts == 20


def test_repeated_actions_are_reported_once_and_paced(lines: Lines) -> None:
    step = Scripted("a", "missing")
    with pytest.raises(TimedOut, match="acted"):
        bring_about([step], Run(timeout=0.5), lines)
    assert lines == ["a changed acted"]
    assert 2 <= step.acts < 10


def test_an_action_that_found_nothing_to_do_is_not_a_change(lines: Lines) -> None:
    step, run = Scripted("a", "missing", None, done=None), Run()
    bring_about([step], run, lines)
    assert lines == ["a waiting another run has done this already", "a ok ok"]
    assert not run.changed


def test_a_check_stops_after_a_prerequisite_with_drift(lines: Lines) -> None:
    last = Scripted("b", None)
    assert find_drift([Scripted("a", "open", is_prerequisite=True), last], lines)
    assert last.looks == 0


def test_warnings_are_reported_once(lines: Lines) -> None:
    step = Scripted("a", "missing", None)
    step.warnings += ["odd", "odd"]
    bring_about([step], Run(), lines)
    assert lines == ["a changed acted", "a warning odd", "a ok ok"]


def test_a_check_examines_every_step_and_changes_nothing(lines: Lines) -> None:
    steps = [Scripted("a", None), Scripted("b", "missing"), Scripted("c", None)]
    assert find_drift(steps, lines)
    assert lines == ["a ok ok", "b drift missing", "c ok ok"]
    assert [step.acts for step in steps] == [0, 0, 0]


def test_a_check_without_drift_reports_none(lines: Lines) -> None:
    assert not find_drift([Scripted("a", None), Scripted("b", None, requires_previous=True)], lines)


def test_a_check_skips_a_step_that_requires_an_earlier_one(lines: Lines) -> None:
    last = Scripted("b", None, requires_previous=True)
    assert find_drift([Scripted("a", "missing"), last], lines)
    assert last.looks == 0
    assert lines[1].startswith("b skipped ")


def test_a_check_of_an_unreachable_store_ends_immediately(lines: Lines) -> None:
    last = Scripted("b", None)
    assert find_drift([Scripted("a", NotYet("away")), last], lines)
    assert (last.looks, lines) == (0, ["a drift away"])


@pytest.mark.parametrize("error", [Refused("no"), Misconfigured("no")])
def test_a_check_ends_at_a_refusal(lines: Lines, error: BootstrapError) -> None:
    last = Scripted("b", None)
    with pytest.raises(type(error)):
        find_drift([Scripted("a", error), last], lines)
    assert last.looks == 0
