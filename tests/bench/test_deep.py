"""Tests of the verdict on the answers during a deep divergence."""

from __future__ import annotations

from collections import Counter
from unittest.mock import Mock

import pytest

from bench.regions.deep import MOVES, READS, report
from bench.regions.steady import NO_ANSWER, Caller


def callers(*statuses: int) -> list[Caller]:
    """Return callers of which each got some answers of 200, the last one also these."""
    answers = (Counter({200: 7}), Counter({200: 7}) + Counter(statuses))
    return [Mock(spec=Caller, statuses=each, longest=0.1) for each in answers]


def test_a_read_must_be_answered() -> None:
    assert report("reads", callers(), READS)
    for status in (NO_ANSWER, 404, 500, 503):
        assert not report("reads", callers(status), READS), status


def test_a_move_may_have_to_wait_for_a_part_of_the_history() -> None:
    assert report("moves", callers(503, 503), MOVES)
    for status in (NO_ANSWER, 409, 500):
        assert not report("moves", callers(status), MOVES), status


def test_the_refused_status_and_its_count_are_printed(capsys: pytest.CaptureFixture[str]) -> None:
    report("reads", callers(503, 503), READS)
    assert "503: 2" in capsys.readouterr().out
