"""Tests the rate limiter against a plain model."""

from __future__ import annotations

from fractions import Fraction
from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from overmind_project.http.gcra import CALLERS_PER_ROW, SECOND, Limiter, Rate

RATES = st.builds(
    Rate,
    count=st.integers(1, 1000),
    period=st.sampled_from([SECOND, 60 * SECOND, 3600 * SECOND]),
    burst=st.integers(1, 20),
)
STEPS = st.lists(st.floats(0, 3), min_size=1, max_size=60)
"""Pauses before each attempt, in intervals."""


class Clock:
    """A clock that is set by hand."""

    def __init__(self, now: int = 10**15) -> None:
        self.now = now

    def __call__(self) -> int:
        return self.now


class Bucket:
    """The same rule as a token bucket that gains one token per interval."""

    def __init__(self, rate: Rate, now: int) -> None:
        self.rate, self.level, self.filled = rate, Fraction(rate.burst), now

    def take(self, now: int) -> bool:
        drops = Fraction(now - self.filled, self.rate.interval)
        self.level = min(Fraction(self.rate.burst), self.level + drops)
        self.filled = now
        if self.level < 1:
            return False
        self.level -= 1
        return True


@given(RATES, STEPS)
def test_the_limiter_admits_what_a_token_bucket_would(rate: Rate, pauses: list[float]) -> None:
    clock = Clock()
    bucket = Bucket(rate, clock.now)
    limiter = Limiter(rate, clock, rows=1)
    key = "somebody"
    for pause in pauses:
        clock.now += int(pause * rate.interval)
        may = limiter.wait(key) == 0
        assert may == (limiter.take(key) == 0) == bucket.take(clock.now)


@given(RATES, STEPS)
def test_no_window_admits_more_than_its_burst_and_its_share(
    rate: Rate, pauses: list[float]
) -> None:
    clock = Clock()
    taken = []
    limiter = Limiter(rate, clock, rows=1)
    key = "somebody"
    for pause in pauses:
        clock.now += int(pause * rate.interval)
        if limiter.take(key) == 0:
            taken.append(clock.now)
    for (first, start), (last, end) in combinations(enumerate(taken), 2):
        share = Fraction((end - start) * rate.count, rate.period)
        assert last - first + 1 <= rate.burst + share


@given(RATES, STEPS)
def test_the_reported_wait_is_exact(rate: Rate, pauses: list[float]) -> None:
    clock = Clock()
    limiter = Limiter(rate, clock, rows=1)
    key = "somebody"
    for pause in pauses:
        clock.now += int(pause * rate.interval)
        if wait := limiter.take(key):
            assert limiter.wait(key) == wait
            clock.now += wait - 1
            assert limiter.take(key) == 1, "not a moment earlier"
            clock.now += 1
            assert limiter.take(key) == 0


@given(RATES, STEPS)
def test_a_key_is_known_until_its_whole_burst_is_available_again(
    rate: Rate, pauses: list[float]
) -> None:
    clock = Clock()
    limiter = Limiter(rate, clock, rows=1)
    key = "somebody"
    for pause in pauses:
        limiter.take(key)
        assert limiter.is_known(key)
        clock.now += int(pause * rate.interval)
    clock.now += rate.burst * rate.interval
    assert not limiter.is_known(key)


def test_an_overdraft_delays_the_next_request() -> None:
    clock, rate = Clock(), Rate(1, SECOND, burst=1)
    limiter = Limiter(rate, clock)
    key = "somebody"
    assert limiter.take(key) == 0
    assert limiter.take(key, allow_overdraft=True) == 0
    assert limiter.wait(key) == limiter.take(key) == 2 * SECOND


@given(RATES, STEPS)
def test_an_overdraft_is_limited_to_one_request_beyond_the_burst(
    rate: Rate, pauses: list[float]
) -> None:
    clock = Clock()
    limiter = Limiter(rate, clock, rows=1)
    key = "somebody"
    for pause in pauses:
        clock.now += int(pause * rate.interval)
        assert limiter.take(key, allow_overdraft=True) == 0
        assert limiter.wait(key) <= 2 * rate.interval
    clock.now += (rate.burst + 1) * rate.interval
    assert not any(limiter.take(key) for _ in range(rate.burst))


def test_a_reset_key_has_its_whole_burst_again() -> None:
    clock, rate = Clock(), Rate(1, SECOND, burst=2)
    limiter = Limiter(rate, clock, rows=1)
    one, other = "one", "other"
    limiter.reset(one)  # an unknown key
    for key in (one, one, other, other):
        assert limiter.take(key) == 0
    limiter.reset(one)
    assert not limiter.is_known(one)
    assert [limiter.take(one) for _ in range(3)] == [0, 0, SECOND]
    assert limiter.take(other) == SECOND


@given(st.lists(st.text(max_size=8), min_size=2, max_size=8, unique=True))
def test_keys_are_limited_independently(names: list[str]) -> None:
    limiter = Limiter(Rate(1, 3600 * SECOND, burst=2), Clock(), rows=1)
    for name in names:
        assert [limiter.take(name) for _ in range(2)] == [0, 0]
    assert all(limiter.take(name) for name in names)


def test_a_full_table_evicts_the_key_that_took_least() -> None:
    clock, rate = Clock(), Rate(1, SECOND, burst=100)
    limiter = Limiter(rate, clock, rows=1)
    for number in range(CALLERS_PER_ROW):
        key = f"resident {number}"
        assert not any(limiter.take(key) for _ in range(number + 2))
    for number in range(1000):
        assert limiter.take(f"newcomer {number}") == 0
    most = f"resident {CALLERS_PER_ROW - 1}"
    assert not any(limiter.take(most) for _ in range(100 - CALLERS_PER_ROW - 1))
    assert limiter.take(most) == SECOND, "it was not forgotten"


def test_keys_with_their_whole_burst_available_are_evicted() -> None:
    clock, rate = Clock(), Rate(1, SECOND, burst=1)
    limiter = Limiter(rate, clock, rows=1)
    for number in range(CALLERS_PER_ROW):
        assert limiter.take(f"early {number}") == 0
    clock.now += SECOND
    late = [f"late {number}" for number in range(CALLERS_PER_ROW)]
    assert not any(limiter.take(key) for key in late)
    assert all(limiter.take(key) for key in late), "none of them was evicted"


def test_memory_does_not_grow_with_the_number_of_addresses() -> None:
    limiter = Limiter(Rate(1, SECOND, burst=1), rows=2)
    assert not any(limiter.take(f"{number}") for number in range(10_000))
    assert [len(row) for row in limiter._rows] == [CALLERS_PER_ROW] * 2


@pytest.mark.parametrize(
    ("text", "rate"),
    [
        ("1/s", Rate(1, SECOND, 1)),
        ("100/s", Rate(100, SECOND, 100)),
        ("600/min", Rate(600, 60 * SECOND, 600)),
        ("999999/h:999999", Rate(999_999, 3600 * SECOND, 999_999)),
        ("100/s:200", Rate(100, SECOND, 200)),
    ],
)
def test_a_rate_is_parsed(text: str, rate: Rate) -> None:
    assert Rate.parse(text) == rate


@pytest.mark.parametrize(
    "text",
    ["", "0/s", "10", "10/d", "1.5/s", "-1/s", "10/s:0", "10/s:", "1000000/s", "١/s", "1/s\n"],
)
def test_an_invalid_rate_is_rejected(text: str) -> None:
    with pytest.raises(ValueError, match="is not a rate"):
        Rate.parse(text)


def test_the_longest_burst_at_the_slowest_pace_is_allowed() -> None:
    limiter = Limiter(Rate.parse("1/h:999999"))
    key = "somebody"
    for _ in range(1000):
        limiter.take(key, allow_overdraft=True)
    assert limiter.wait(key) == 0
