"""Tests that lags follow the markers, even if the clocks of regions differ or change."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from zerglings.storage.regions.heartbeats import Arrived
from zerglings.storage.regions.lag import KEPT_FOR, Lag, LagMeter

NOW = 1_000_000_000.0

Times = Sequence[float | None]


def lag_after(meter: LagMeter, now: float, zerglings: Times, history: Times = (NOW,)) -> Lag:
    """Have these times arrive from the east, and return the lag."""
    meter.update([Arrived("east", zerglings, history)], now)
    (lag,) = (meter.lags(now) or {}).values()
    return lag


def test_the_oldest_marker_counts() -> None:
    assert lag_after(LagMeter(), NOW, [NOW - 5, NOW - 70, NOW - 6]) == Lag(70, 0)
    assert lag_after(LagMeter(), NOW, [NOW], [NOW - 70, NOW - 5]) == Lag(0, 70)


def test_a_marker_that_has_not_arrived_counts_from_the_first_look() -> None:
    meter = LagMeter()
    assert lag_after(meter, NOW, [NOW, None]) == Lag(0, 0)
    assert lag_after(meter, NOW + 50, [NOW + 50, None], [NOW + 50]) == Lag(50, 0)
    assert lag_after(meter, NOW + 60, [NOW + 50, NOW + 50], [NOW + 50]) == Lag(10, 10)


@pytest.mark.parametrize("ahead", [5.0, 3600.0, 1e18])
def test_a_clock_that_is_ahead_gives_no_negative_lag_and_hides_no_silence(ahead: float) -> None:
    meter = LagMeter()
    assert lag_after(meter, NOW, [NOW + ahead]) == Lag(0, 0)
    assert lag_after(meter, NOW + 50, [NOW + ahead]).zerglings == 50


def test_a_clock_that_is_set_back_is_followed() -> None:
    meter = LagMeter()
    lag_after(meter, NOW, [NOW + 3600])
    assert lag_after(meter, NOW + 10, [NOW + 5]).zerglings == 5


def test_a_clock_that_is_behind_is_seen_as_a_lag() -> None:
    assert lag_after(LagMeter(), NOW, [NOW - 90], [NOW - 90]) == Lag(90, 90)


@pytest.mark.parametrize("times", [[NOW], [NOW, NOW, NOW]])
def test_the_number_of_shards_may_change(times: Times) -> None:
    meter = LagMeter()
    lag_after(meter, NOW, [NOW - 90, NOW - 80])
    assert lag_after(meter, NOW, times) == Lag(0, 0)


def test_regions_are_measured_separately() -> None:
    meter = LagMeter()
    arrived = [Arrived("north", [NOW], [NOW - 1]), Arrived("east", [NOW - 7], [NOW])]
    meter.update(arrived, NOW)
    assert meter.lags(NOW) == {"east": Lag(7, 0), "north": Lag(0, 1)}
    meter.update(arrived[:1], NOW)
    assert meter.lags(NOW) == {"north": Lag(0, 1)}


def test_lags_are_unknown_until_the_first_look_and_long_after_the_latest() -> None:
    meter = LagMeter()
    assert meter.lags(NOW) is None
    meter.update([], NOW)
    assert meter.lags(NOW + KEPT_FOR) == {}
    assert meter.lags(NOW + KEPT_FOR + 1) is None
