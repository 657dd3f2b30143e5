"""Tests that the map names its region, and unobtrusively says which others it is behind."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import expect

from tests.browser.live_map import LiveMap
from tests.browser.test_looks import PHONE
from tests.support.backends import Backend
from tests.support.browser import Watch
from tests.support.service import Service

HOUR, DAY = 3600, 24 * 3600
LONGEST = "a" * 63


@pytest.fixture
def backend(request: pytest.FixtureRequest) -> Backend:
    name = getattr(request, "param", "west")
    couch: Backend = request.getfixturevalue("couch")
    return Backend(couch.environment | {"OVERMIND_REGION": name})


@pytest.fixture
def service(own_service: Service) -> Service:
    return own_service


def answer_with(live_map: LiveMap, **behind: float) -> None:
    """Answer requests for the regions with these seconds behind others."""
    others = [
        {"region": name, "secondsBehind": {"zerglings": seconds, "history": 3.1}}
        for name, seconds in behind.items()
    ]
    body = {"region": "west", "others": others}
    live_map.page.route("**/regions", lambda route: route.fulfill(json=body))


def region(live_map: LiveMap) -> Any:
    return live_map.page.locator("#region")


def test_the_region_is_named(live_map: LiveMap) -> None:
    with live_map.page.expect_response("**/regions") as answered:
        live_map.open()
    answer = answered.value.json()
    assert answer["region"] == "west"
    assert not answer["others"]
    expect(region(live_map)).to_have_text("Region west", use_inner_text=True)


@pytest.mark.parametrize(
    ("behind", "text"),
    [
        ({"east": 59.9}, "Region west"),
        ({"east": 60}, "Region west is behind east by 1 min"),
        ({"east": 119 * 60 + 59}, "Region west is behind east by 119 min"),
        ({"east": 2 * HOUR}, "Region west is behind east by 2 h"),
        ({"east": 2 * DAY}, "Region west is behind east by 2 days"),
        (
            {"east": 70, "north": 8, "south": 300},
            "Region west is behind east, south by up to 5 min",
        ),
    ],
)
def test_regions_that_it_is_behind_by_a_minute_are_named(
    live_map: LiveMap, behind: dict[str, float], text: str
) -> None:
    answer_with(live_map, **behind)
    with live_map.page.expect_response("**/regions"):
        live_map.open()
    expect(region(live_map)).to_have_text(text, use_inner_text=True)


def test_the_lag_is_asked_for_again_and_disappears(live_map: LiveMap) -> None:
    live_map.page.clock.install()
    answer_with(live_map, east=300)
    live_map.open()
    expect(live_map.page.locator("#behind")).to_have_text("is behind east")
    live_map.page.unroute("**/regions")
    answer_with(live_map, east=7)
    live_map.page.clock.fast_forward(30_000)
    expect(live_map.page.locator("#behind")).to_have_text("")
    expect(live_map.page.locator("#behind-by")).to_have_text("")


def test_only_names_are_announced_and_not_each_minute(live_map: LiveMap) -> None:
    answer_with(live_map, east=300)
    live_map.open()
    expect(live_map.page.get_by_role("status").filter(has_text="is behind east")).to_have_count(1)
    expect(live_map.page.get_by_role("status").filter(has_text="5 min")).to_have_count(0)


UNKNOWN = {
    "by the service": {"json": {"region": "west", "others": None}},
    "by the map": {"status": 502, "body": "<p>no</p>"},
}


@pytest.mark.parametrize("answer", UNKNOWN.values(), ids=UNKNOWN.keys())
def test_nothing_is_said_of_the_lag_while_it_is_unknown(
    live_map: LiveMap, watch: Watch, answer: dict[str, Any]
) -> None:
    watch.expected = ["status of 502"] if "status" in answer else []
    live_map.page.clock.install()
    answer_with(live_map, east=300)
    live_map.open()
    expect(live_map.page.locator("#behind")).to_have_text("is behind east")
    live_map.page.unroute("**/regions")
    live_map.page.route("**/regions", lambda route: route.fulfill(**answer))
    live_map.page.clock.fast_forward(30_000)
    expect(live_map.page.locator("#behind")).to_have_text("")
    expect(region(live_map)).to_contain_text("Region west")


@pytest.mark.parametrize("backend", [LONGEST], indirect=True)
@pytest.mark.parametrize("look", [PHONE, {"viewport": {"width": 320, "height": 256}}])
def test_the_longest_names_fit_on_a_phone(live_map: LiveMap) -> None:
    answer_with(live_map, **{"b" * 63: 300})
    live_map.open()
    expect(live_map.page.locator("#behind")).to_have_text(f"is behind {'b' * 63}")
    assert live_map.page.evaluate("document.scrollingElement.scrollWidth - innerWidth") <= 0
    overflow = "side => side.scrollWidth - side.clientWidth"
    assert live_map.page.get_by_role("complementary").evaluate(overflow) <= 0


@pytest.mark.parametrize("backend", [""], indirect=True)
def test_without_a_region_nothing_is_shown_and_nothing_asked(live_map: LiveMap) -> None:
    asked: list[str] = []
    live_map.page.on("request", lambda request: asked.append(request.url))
    live_map.open()
    expect(region(live_map)).to_have_count(0)
    assert f"{live_map.url}events" in asked
    assert f"{live_map.url}regions" not in asked
