"""Tests for links to a zergling, and to a step of its history: the address of the map."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import APIResponse, Request, Route, expect

from tests.browser.conftest import Command, Spawn
from tests.browser.live_map import LiveMap
from tests.support.browser import Watch
from tests.support.waiting import wait_until

UNKNOWN = "00000000-0000-4000-8000-000000000000"


@pytest.fixture
def walker(spawn: Spawn, command: Command) -> str:
    """A zergling that has walked from 500, 0 to 502, 1."""
    spawn(-500, 0)
    zergling_id = spawn(500, 0, "E")
    command(zergling_id, "MMLM")
    return zergling_id


def test_a_link_opens_the_map_at_a_zergling(live_map: LiveMap, walker: str) -> None:
    live_map.page.goto(f"{live_map.url}#{walker}")
    live_map.expect_complete()
    expect(live_map.panel.locator("h2")).to_have_text(walker)
    live_map.expect_steps(4)
    live_map.expect_moment(4, "502, 1, facing north")
    expect(live_map.page.locator("#stage")).to_have_attribute("data-x", "502")
    assert live_map.scale() >= 40
    live_map.wait_for_path(500.5, 0)


@pytest.mark.parametrize("at", ["@1", "%401"])
def test_a_link_opens_the_map_at_a_step(live_map: LiveMap, walker: str, at: str) -> None:
    live_map.page.goto(f"{live_map.url}#{walker.upper()}{at}")
    live_map.expect_complete()
    live_map.expect_moment(1, "501, 0, facing east")
    expect(live_map.notice).to_have_text("Step 1 of 4: 501, 0, facing east.")
    expect_address(live_map, f"#{walker}@1")


def test_selecting_and_stepping_update_the_address(live_map: LiveMap, walker: str) -> None:
    live_map.page.goto(f"{live_map.url}?from=mail")
    live_map.expect_complete()
    live_map.select(walker, 4)
    expect_address(live_map, f"?from=mail#{walker}")
    live_map.page.keyboard.press(",")
    expect_address(live_map, f"?from=mail#{walker}@3")
    live_map.page.keyboard.press("Escape")
    expect_address(live_map, f"?from=mail#{walker}")
    live_map.page.keyboard.press("Escape")
    expect_address(live_map, "?from=mail")
    assert live_map.page.evaluate("history.length") == 2  # with the blank page


def test_the_address_can_be_changed_by_hand(
    live_map: LiveMap, walker: str, spawn: Spawn, command: Command
) -> None:
    other = spawn(7, 7, "S")
    live_map.open()
    live_map.select(walker, 4)
    live_map.page.goto(f"{live_map.url}#{walker}@2")
    live_map.expect_moment(2, "502, 0, facing east")
    live_map.page.goto(f"{live_map.url}#{other}")
    expect(live_map.panel.locator("h2")).to_have_text(other)
    live_map.page.go_back()
    live_map.expect_moment(2, "502, 0, facing east")
    live_map.page.goto(f"{live_map.url}#{walker}")
    live_map.expect_moment(4, "502, 1, facing north")


def test_a_link_works_before_the_list_is_complete(live_map: LiveMap, walker: str) -> None:
    live_map.page.route("**/zerglings/", lambda route: None)  # it never comes
    live_map.page.goto(f"{live_map.url}#{walker}@0")
    live_map.expect_moment(0, "500, 0, facing east")
    expect(live_map.page.locator("#stage")).to_have_attribute("aria-busy", "true")


def test_the_latest_link_wins(live_map: LiveMap, walker: str, spawn: Spawn) -> None:
    other = spawn(500, 7, "S")
    release = hold_answer(live_map, walker)
    live_map.open()
    with live_map.page.expect_request(f"**/zerglings/{walker}"):
        live_map.page.goto(f"{live_map.url}#{walker}@1")
    live_map.page.goto(f"{live_map.url}#{other}")
    expect(live_map.panel.locator("h2")).to_have_text(other)
    release()
    expect(live_map.panel.locator("h2")).to_have_text(other)
    expect_address(live_map, f"#{other}")


def test_a_selection_is_not_undone_by_an_earlier_link(
    live_map: LiveMap, walker: str, spawn: Spawn
) -> None:
    other = spawn(500, 7, "S")
    release = hold_answer(live_map, walker)
    live_map.open()
    with live_map.page.expect_request(f"**/zerglings/{walker}"):
        live_map.page.goto(f"{live_map.url}#{walker}@1")
    live_map.row(other).click()
    release()
    expect(live_map.panel.locator("h2")).to_have_text(other)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (UNKNOWN, re.compile(f"No living zergling has the id {UNKNOWN}")),
        (f"{UNKNOWN}@3", re.compile(f"No living zergling has the id {UNKNOWN}")),
        ("nobody", re.compile("should end with # and a zergling’s id")),
        (f"{UNKNOWN}@soon", re.compile("should end with # and a zergling’s id")),
        (f"{UNKNOWN}@-1", re.compile("should end with # and a zergling’s id")),
        ("%E0%A4%A@1", re.compile("should end with # and a zergling’s id")),
    ],
)
def test_a_wrong_link_is_explained(
    live_map: LiveMap, watch: Watch, spawn: Spawn, text: str, message: re.Pattern[str]
) -> None:
    watch.expected = ["status of 404"]
    zergling_id = spawn(1, 1)
    live_map.page.goto(f"{live_map.url}#{text}")
    live_map.expect_complete()
    expect(live_map.notice).to_have_text(message)
    expect(live_map.notice).to_have_attribute("data-kind", "error")
    expect(live_map.panel).to_be_hidden()
    live_map.expect_row(zergling_id, 1, 1, "north")  # the map is usable


@pytest.mark.parametrize("text", [UNKNOWN, "nobody"])
def test_the_address_returns_to_the_selected_zergling_after_a_wrong_link(
    live_map: LiveMap, watch: Watch, walker: str, text: str
) -> None:
    watch.expected = ["status of 404"]
    live_map.page.goto(f"{live_map.url}#{walker}@2")
    live_map.expect_moment(2, "502, 0, facing east")
    live_map.page.goto(f"{live_map.url}#{text}")
    expect(live_map.notice).to_have_attribute("data-kind", "error")
    expect_address(live_map, f"#{walker}@2")
    live_map.page.reload()
    live_map.expect_moment(2, "502, 0, facing east")


def test_a_link_stays_in_the_address_while_the_service_refuses_to_look(
    live_map: LiveMap, watch: Watch, walker: str, spawn: Spawn, command: Command
) -> None:
    watch.expected = ["status of 429"]
    other = spawn(500, 7, "S")
    live_map.page.clock.install()
    live_map.page.goto(f"{live_map.url}#{walker}")
    live_map.expect_moment(4, "502, 1, facing north")
    refusal = {"error": "Too many requests."}
    live_map.page.route(
        f"**/zerglings/{other}", lambda route: route.fulfill(status=429, json=refusal)
    )
    live_map.page.goto(f"{live_map.url}#{other}")
    expect(live_map.notice).to_have_text("Too many requests.")
    command(walker, "M")  # it is still selected
    live_map.expect_moment(5, "502, 2, facing north")
    live_map.page.clock.run_for(1000)  # whatever is due is done
    expect_address(live_map, f"#{other}")


def test_a_step_that_has_not_happened_is_explained(live_map: LiveMap, walker: str) -> None:
    live_map.page.goto(f"{live_map.url}#{walker}@5")
    live_map.expect_complete()
    expect(live_map.notice).to_have_text("There is no step 5: it has had 4 commands.")
    live_map.expect_moment(4, "502, 1, facing north")
    expect_address(live_map, f"#{walker}")


def test_the_skip_link_is_no_wrong_link(live_map: LiveMap, walker: str) -> None:
    live_map.open()
    live_map.page.keyboard.press("Tab")
    live_map.page.keyboard.press("Enter")
    expect(live_map.page).to_have_url(re.compile("#roster$"))
    expect(live_map.notice).to_have_text("")
    live_map.select(walker, 4)
    expect_address(live_map, f"#{walker}")


@pytest.mark.parametrize("start", ["", "#", "http://127.0.0.1/#", " https://map.example/a?b=c#"])
def test_a_link_can_be_searched_for(live_map: LiveMap, walker: str, start: str) -> None:
    live_map.open()
    field = live_map.page.get_by_role("searchbox")
    field.fill(f"{start}{walker}@2 ")
    field.press("Enter")
    live_map.expect_moment(2, "502, 0, facing east")
    expect(field).not_to_be_focused()
    expect_address(live_map, f"#{walker}@2")
    field.fill(f"{start}{walker}")
    field.press("Enter")
    expect(live_map.panel.locator("h2")).to_have_text(walker)
    expect(field).not_to_be_focused()


def test_a_wrong_link_that_is_searched_for_is_explained(
    live_map: LiveMap, watch: Watch, walker: str
) -> None:
    watch.expected = ["status of 404"]
    live_map.page.goto(f"{live_map.url}#{walker}")
    live_map.expect_complete()
    field = live_map.page.get_by_role("searchbox")
    for text, message in [
        (f"#{UNKNOWN}@3", f"No living zergling has the id {UNKNOWN}."),
        ("#nobody", "Type the beginning of an id, or a place like 3, -4."),
    ]:
        field.fill(text)
        field.press("Enter")
        expect(live_map.notice).to_have_text(message)
        expect(field).to_be_focused()
        expect(live_map.panel.locator("h2")).to_have_text(walker)


def test_a_link_asks_for_one_zergling_only(live_map: LiveMap, walker: str) -> None:
    asked: list[Request] = []
    live_map.page.on("request", lambda request: asked.append(request))
    live_map.page.goto(f"{live_map.url}#{walker}")
    live_map.expect_complete()
    live_map.expect_steps(4)
    paths = [request.url.removeprefix(live_map.url) for request in asked]
    assert {path for path in paths if path.startswith("zerglings/")} == {
        "zerglings/",
        f"zerglings/{walker}",
    }


def hold_answer(live_map: LiveMap, zergling_id: str) -> Callable[[], None]:
    """Hold the next answer with a zergling; returns a function that has the page process it."""
    held: list[Route] = []
    answers: list[APIResponse] = []

    def hold(route: Route) -> None:
        answers.append(route.fetch())
        held.append(route)

    live_map.page.route(f"**/zerglings/{zergling_id}", hold, times=1)

    def release() -> None:
        wait_until(lambda: live_map.page.evaluate("1") and held, "an answer")
        body = answers[0].json()
        body["zergling"]["location"] = {"x": 500, "y": 1}  # as after a move
        body["zergling"]["commandCount"] = 5
        held[0].fulfill(json=body)
        live_map.expect_row(zergling_id, 500, 1, "north")

    return release


def expect_address(live_map: LiveMap, rest: str) -> None:
    expect(live_map.page).to_have_url(f"{live_map.url}{rest}")
