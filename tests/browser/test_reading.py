"""Tests for the reading of a history: its failures, its repetition, and changes meanwhile."""

from __future__ import annotations

import re
from collections.abc import Callable
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import Route, expect

from tests.browser.conftest import Command, Spawn
from tests.browser.live_map import LiveMap
from tests.support.browser import Watch
from tests.support.waiting import wait_until

HISTORY = re.compile("/zerglings/[^/]+/history")


@pytest.fixture
def walker(spawn: Spawn, command: Command) -> str:
    """A zergling whose document has all of its commands."""
    zergling_id = spawn()
    command(zergling_id, "MMRMMRMMRM")
    return zergling_id


@pytest.fixture
def veteran(spawn: Spawn, command: Command) -> str:
    """A zergling whose document has only the newest of its 450 commands."""
    zergling_id = spawn()
    for _ in range(3):
        command(zergling_id, "M" * 150)
    return zergling_id


def test_a_failed_reading_is_reported_and_repeated(
    live_map: LiveMap, watch: Watch, veteran: str
) -> None:
    watch.expected = ["status of 400"]
    refuse = refusal()
    live_map.page.route(HISTORY, refuse)
    live_map.open()
    live_map.row(veteran).click()
    expect(live_map.notice).to_have_text("Not this time.")
    expect(live_map.timeline).to_have_attribute("data-reading", "true")
    live_map.page.unroute(HISTORY, refuse)
    live_map.expect_steps(450)


def test_a_failed_reading_of_newer_commands_is_repeated(
    live_map: LiveMap, watch: Watch, walker: str, command: Command
) -> None:
    watch.expected = ["status of 400"]
    refuse = refusal()
    live_map.open()
    live_map.select(walker, 10)
    live_map.page.route(HISTORY, refuse)
    live_map.page.route(f"**/zerglings/{walker}", newest_commands)
    command(walker, "M" * 150)
    expect(live_map.notice).to_have_text("Not this time.")
    live_map.page.unroute(HISTORY, refuse)
    live_map.expect_steps(160)


def test_a_failed_reading_of_the_zergling_is_repeated(
    live_map: LiveMap, watch: Watch, walker: str
) -> None:
    watch.expected = ["status of 400"]
    refuse = refusal()
    live_map.page.route(f"**/zerglings/{walker}", refuse)
    live_map.open()
    live_map.row(walker).click()
    expect(live_map.panel.locator(".more")).to_have_text("Not this time.")
    live_map.page.unroute(f"**/zerglings/{walker}", refuse)
    live_map.expect_steps(10)
    expect(live_map.panel.locator(".more")).to_have_text("")


@pytest.mark.proof  # megabytes of commands
def test_a_failed_reading_of_the_oldest_commands_is_repeated(
    live_map: LiveMap, watch: Watch, spawn: Spawn
) -> None:
    watch.expected = ["status of 400"]
    refuse = refusal()
    zergling_id = spawn()
    count = 1_000_050  # the oldest are read only when they are needed
    answer_with_moves(live_map, zergling_id, count)
    live_map.open()
    live_map.select(zergling_id, count)
    live_map.page.route(HISTORY, refuse)
    live_map.slider.press("Home")
    expect(live_map.notice).to_have_text("Not this time.")
    live_map.page.unroute(HISTORY, refuse)
    live_map.expect_moment(0, "0, 0, facing north")


def test_a_history_that_changes_while_it_is_read_is_read_anew(
    live_map: LiveMap, veteran: str
) -> None:
    held: list[Route] = []

    def answer(route: Route) -> None:
        held.append(route)
        if len(held) > 1:
            route.continue_()

    live_map.page.route(HISTORY, answer)
    live_map.open()
    live_map.row(veteran).click()
    live_map.slider.focus()
    wait_until(lambda: live_map.page.evaluate("1") and held, "the history is being read")
    held[0].fulfill(json={"commandHistory": ["L"] * 450})
    live_map.expect_steps(450)
    expect(live_map.slider).to_be_focused()


def test_a_history_that_changes_again_and_again_is_read_in_the_end(
    live_map: LiveMap, veteran: str
) -> None:
    other = {"commandHistory": ["L"] * 450}
    live_map.page.route(HISTORY, lambda route: route.fulfill(json=other))
    live_map.open()
    live_map.row(veteran).click()
    expect(live_map.notice).to_have_text("The history changes while it is read.")
    live_map.page.unroute(HISTORY)
    live_map.expect_steps(450)


def test_the_path_begins_where_the_known_part_does_until_the_rest_has_arrived(
    live_map: LiveMap, veteran: str, command: Command
) -> None:
    def without_the_oldest(route: Route) -> None:
        whole = route.fetch().json()["commandHistory"]
        route.fulfill(json={"missingCount": 150, "commandHistory": whole[150:]})

    live_map.page.route(HISTORY, without_the_oldest)
    live_map.open()
    live_map.row(veteran).click()
    expect(live_map.notice).to_have_text(
        "The beginning of the path has not arrived from another region yet."
    )
    live_map.step.fill("150")
    live_map.step.press("Enter")
    live_map.expect_moment(150, "0, 150, facing north")
    live_map.slider.press("ArrowLeft")
    live_map.expect_moment(149, "Reading…")
    command(veteran, "R")
    live_map.page.unroute(HISTORY)
    live_map.expect_steps(451)


def test_a_zergling_that_moves_while_its_beginning_is_missing_is_shown_at_once(
    live_map: LiveMap, veteran: str, command: Command
) -> None:
    part = {"missingCount": 150, "commandHistory": ["M"] * 300}
    held: list[Route] = []

    def hold_the_first(route: Route) -> None:
        if held:
            route.fulfill(json=part)
        held.append(route)

    live_map.page.route(HISTORY, hold_the_first)
    live_map.open()
    live_map.row(veteran).click()
    wait_until(lambda: live_map.page.evaluate("1") and held, "the history is being read")
    command(veteran, "R")
    live_map.expect_row(veteran, 0, 450, "east")
    live_map.page.evaluate(
        """() => {
            const start = window.setTimeout;  // from now on nothing is read again
            window.setTimeout = (call, delay) => (delay < 200 ? start(call, delay) : 0);
        }"""
    )
    held[0].fulfill(json=part)
    expect(live_map.slider).to_have_attribute("max", "451")
    expect(live_map.timeline).to_have_attribute("data-reading", "true")


def test_newer_commands_that_have_not_all_arrived_are_not_joined_to_older_ones(
    live_map: LiveMap, walker: str, command: Command
) -> None:
    live_map.open()
    live_map.select(walker, 10)
    live_map.page.route(f"**/zerglings/{walker}", newest_commands)

    def without_the_oldest(route: Route) -> None:
        whole = route.fetch().json()["commandHistory"]
        route.fulfill(json={"missingCount": 40, "commandHistory": whole[40:]})

    live_map.page.route(HISTORY, without_the_oldest)
    command(walker, "M" * 150)
    expect(live_map.notice).to_have_text(
        "The beginning of the path has not arrived from another region yet."
    )
    live_map.page.unroute(HISTORY)
    live_map.expect_steps(160)


def test_another_selection_ends_the_reading(
    live_map: LiveMap, veteran: str, spawn: Spawn, command: Command
) -> None:
    slow, other = veteran, spawn(3, 0)
    command(other, "RM")
    held: list[Route] = []
    ended: list[str] = []
    live_map.page.route(HISTORY, lambda route: held.append(route))
    live_map.page.on("requestfailed", lambda request: ended.append(request.url))
    live_map.open()
    live_map.row(slow).click()
    wait_until(lambda: live_map.page.evaluate("1") and held, "the history is being read")
    live_map.select(other, 2)
    live_map.wait_for_path(3.5, 0)
    assert [url for url in ended if slow in url]


def refusal() -> Callable[[Route], None]:
    """Return a handler that refuses each request."""
    return lambda route: route.fulfill(status=400, json={"error": "Not this time."})


def newest_commands(route: Route) -> None:
    """Answer with a zergling and its newest 100 commands, as if it had very many."""
    body = route.fetch().json()
    history = body["zergling"]["commandHistory"]
    body["zergling"] |= {"commandHistory": history[-100:], "commandCount": len(history)}
    route.fulfill(json=body)


def answer_with_moves(live_map: LiveMap, zergling_id: str, count: int) -> None:
    """Answer requests for a zergling as if it had been moved north that often."""
    zergling = {
        "id": zergling_id,
        "location": {"x": 0, "y": count},
        "facing": "N",
        "commandHistory": ["M"] * 100,
        "commandCount": count,
        "_rev": "9-a",
    }

    def answer(route: Route) -> None:
        query = parse_qs(urlsplit(route.request.url).query)
        (offset,) = query.get("offset", ["0"])
        route.fulfill(json={"commandHistory": ["M"] * (count - int(offset))})

    shown = {"zergling": zergling}
    live_map.page.route(f"**/zerglings/{zergling_id}", lambda route: route.fulfill(json=shown))
    live_map.page.route(HISTORY, answer)
