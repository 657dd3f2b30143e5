"""Tests for the soak run: its calculations, and a short run that cleans up after itself."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.errors import BenchError
from bench.soak_report import Sample, Slope, grown, minutes_of, percentile, within
from tests.support.service import ROOT, clean_environment


@given(st.integers(-1000, 1000), st.integers(-1000, 1000))
def test_the_slope_of_a_straight_line_has_no_error(by_minute: int, start: int) -> None:
    slope = Slope.through([(10.0 * n, start + by_minute * n / 6) for n in range(30)])
    assert slope.by_minute == pytest.approx(by_minute, abs=1e-6)
    assert slope.error == pytest.approx(0, abs=1e-6)


def test_the_error_of_a_slope_is_the_standard_error() -> None:
    slope = Slope.through([(0, 1), (60, 2), (120, 2), (180, 3)])
    assert slope.by_minute == pytest.approx(0.6)
    assert slope.error == pytest.approx(0.141421356)


def test_two_points_are_too_few_for_a_slope() -> None:
    with pytest.raises(BenchError, match="longer"):
        Slope.through([(0, 1), (1, 2)])


def test_growth_in_the_second_half_is_reported_and_warm_up_is_not() -> None:
    def rising(rss: float, descriptors: float) -> list[str]:
        minutes = range(31)
        return grown(
            [
                Sample(
                    at=60.0 * minute,
                    rss=60 + 2 * min(minute, 14) + rss * minute + 0.01 * (minute % 2),
                    pss=None,
                    descriptors=round(40 + descriptors * minute),
                    sockets=9,
                    threads=4,
                )
                for minute in minutes
            ]
        )

    assert rising(0.0, 0) == []
    assert rising(0.05, 0) == []
    assert rising(0.2, 0) == ["rss"]
    assert rising(0.0, 1) == ["descriptors"]


@given(st.lists(st.integers(), min_size=1), st.floats(0.01, 1))
def test_a_percentile_is_the_least_value_that_enough_do_not_exceed(
    values: list[int], share: float
) -> None:
    found = percentile(values, share)
    assert sum(value <= found for value in values) >= share * len(values) - 1e-9
    assert sum(value < found for value in values) < share * len(values)


def test_requests_count_in_the_minute_in_which_they_ended() -> None:
    timed = [(0.0, 1.0), (59.9, 2.0), (60.0, 3.0), (179.0, 4.0), (180.0, 5.0), (-1.0, 6.0)]
    assert minutes_of(timed, 180) == [[1.0, 2.0], [3.0], [4.0]]


def test_requests_that_ended_outside_a_span_are_not_in_it() -> None:
    timed = [(99.0, 1.0), (100.0, 2.0), (159.0, 3.0), (160.0, 4.0)]
    assert within(timed, 100.0, 60.0) == [(0.0, 2.0), (59.0, 3.0)]


def test_a_minute_without_responses_is_an_error() -> None:
    with pytest.raises(BenchError, match="without any answer"):
        minutes_of([(0.0, 1.0)], 180)


def run(tmp_path: Path, module: str, *arguments: str, **settings: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", module, *arguments],
        cwd=ROOT,
        env=clean_environment() | {"TMPDIR": str(tmp_path)} | settings,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert list(tmp_path.iterdir()) == []
    return done.stdout


@pytest.mark.proof
def test_a_short_soak_ends_without_lost_commands(tmp_path: Path) -> None:
    told = run(tmp_path, "bench.soak", SOAK_MINUTES="0.08", SOAK_CLIENTS="4")
    assert "errors: 0; acknowledged and lost: 0" in told
    assert "last over first" in told
    assert re.search(r"the store alone, one document \(ms\): \d+, \d+\n", told)


def test_a_soak_needs_a_length(tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="SOAK_MINUTES: not a number above 0"):
        run(tmp_path, "bench.soak", SOAK_MINUTES="none")


@pytest.mark.proof
def test_a_drill_restores_everything_in_both_ways(tmp_path: Path) -> None:
    told = run(tmp_path, "bench.drill", "120")
    assert told.count(" 0 of them or of the others lost anything") == 2
