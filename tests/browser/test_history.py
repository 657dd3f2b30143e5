"""Tests for the history of the selected zergling: its path, the steps back, and the commands."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import Command, Spawn
from tests.browser.live_map import LiveMap
from tests.support.browser import Watch
from tests.support.service import Service
from tests.support.waiting import wait_until

EDGE = 2**53 - 1
LOOP = "MMRMMRMMRM"
"""Two steps north, east and south, one west: from 0, 0 to 1, 0, facing west."""


@pytest.fixture
def walker(spawn: Spawn, command: Command) -> str:
    """A zergling that has walked `LOOP`; others make room around it."""
    zergling_id = spawn(0, 0, "N")
    spawn(-4, -3)
    spawn(6, 5)
    command(zergling_id, LOOP)
    return zergling_id


def test_selecting_draws_the_whole_path_and_nothing_else(live_map: LiveMap, walker: str) -> None:
    live_map.open()
    assert not live_map.has_path(0, 0.5)
    live_map.select(walker, 10)
    for x, y in [(0, 0.5), (0, 1.5), (0.5, 2), (1.5, 2), (2, 1.5), (2, 0.5), (1.5, 0)]:
        live_map.wait_for_path(x, y)
    for x, y in [(0.5, 0), (1, 1), (0, 2.5), (-0.5, 0), (2.5, 2)]:
        assert not live_map.has_path(x, y), (x, y)
    live_map.panel.get_by_role("button", name="Deselect").click()
    wait_until(lambda: not live_map.has_path(0, 0.5), "no path")


def test_a_history_that_is_longer_than_an_answer_is_drawn_from_its_beginning(
    live_map: LiveMap, spawn: Spawn, command: Command
) -> None:
    zergling_id = spawn(0, 0, "E")
    command(zergling_id, "M" * 2500 + "LL" + "M" * 2490)
    live_map.open()
    live_map.select(zergling_id, 4992)
    live_map.page.get_by_role("button", name="Show path").click()
    live_map.wait_for_path(2499, 0)
    live_map.wait_for_path(1, 0)
    assert not live_map.has_path(-300, 0)
    assert live_map.page.evaluate("performance.getEntriesByName('overmind:path').length") == 1


@pytest.mark.parametrize("words", ["M", "M" * 1500])
def test_the_path_follows_commands_of_others(
    live_map: LiveMap, walker: str, command: Command, words: str
) -> None:
    live_map.open()
    live_map.select(walker, 10)
    command(walker, words)
    live_map.expect_steps(10 + len(words))
    live_map.wait_for_path(0.5, 0)
    live_map.expect_moment(10 + len(words), f"{_written(1 - len(words))}, 0, facing west")


def test_a_history_that_was_rewritten_is_read_again(
    live_map: LiveMap, walker: str, command: Command
) -> None:
    rewritten = {"id": walker, "location": {"x": 0, "y": -3}, "facing": "S", "_rev": "12-a"}
    live_map.open()
    live_map.select(walker, 10)
    words = ["R", "R", "L", "R", "L", "R", "L", "R", "M", "M", "M"]
    live_map.page.route(
        f"**/zerglings/{walker}",
        lambda route: route.fulfill(json={"zergling": {**rewritten, "commandHistory": words}}),
    )
    command(walker, "M")  # is an event, after which the panel looks
    live_map.expect_steps(11)
    live_map.wait_for_path(0, -1.5)
    assert not live_map.has_path(0, 1.5)


def test_the_path_is_exact_at_the_edge_of_the_grid(
    live_map: LiveMap, spawn: Spawn, command: Command
) -> None:
    zergling_id = spawn(EDGE - 2, -EDGE, "E")
    command(zergling_id, "MLM")
    live_map.open()
    live_map.select(zergling_id, 3)
    live_map.wait_for_path(EDGE - 1, -EDGE)
    assert live_map.has_path(EDGE - 1, -EDGE + 1)
    assert not live_map.has_path(EDGE - 2, -EDGE + 1)


def test_keys_step_back_and_forward_and_escape_returns_to_now(
    live_map: LiveMap, walker: str
) -> None:
    live_map.open()
    live_map.select(walker, 10)
    live_map.expect_moment(10, "1, 0, facing west")
    press = live_map.page.keyboard.press
    for key, step, pose in [
        (",", 9, "2, 0, facing west"),
        (",", 8, "2, 0, facing south"),
        (".", 9, "2, 0, facing west"),
    ]:
        press(key)
        live_map.expect_moment(step, pose)
        expect(live_map.notice).to_have_text(f"Step {step} of 10: {pose}.")
    press("Escape")
    live_map.expect_moment(10, "1, 0, facing west")
    expect(live_map.notice).to_have_text("Now, after 10 commands: 1, 0, facing west.")
    press(".")
    live_map.expect_moment(10, "1, 0, facing west")
    expect(live_map.panel).to_be_visible()
    press("Escape")
    expect(live_map.panel).to_be_hidden()


def test_ten_steps_are_one_key_press(live_map: LiveMap, spawn: Spawn, command: Command) -> None:
    zergling_id = spawn()
    command(zergling_id, "M" * 25)
    live_map.open()
    live_map.select(zergling_id, 25)
    for key, step in [("Comma", 15), ("Comma", 5), ("Comma", 0), ("Period", 10)]:
        live_map.page.keyboard.press(f"Shift+{key}")
        live_map.expect_moment(step, f"0, {step}, facing north")


def test_the_slider_shows_each_step_and_says_it(live_map: LiveMap, walker: str) -> None:
    live_map.open()
    live_map.select(walker, 10)
    live_map.slider.focus()
    for key, step, pose in [
        ("Home", 0, "0, 0, facing north"),
        ("ArrowRight", 1, "0, 1, facing north"),
        (".", 2, "0, 2, facing north"),
    ]:
        live_map.page.keyboard.press(key)
        live_map.expect_moment(step, pose)
        said = f"Step {step} of 10: {pose}."
        expect(live_map.slider).to_have_attribute("aria-valuetext", said)
    expect(live_map.notice).to_have_text("")
    live_map.page.keyboard.press("End")
    live_map.expect_moment(10, "1, 0, facing west")
    assert live_map.page.locator("#stage").get_attribute("data-offset") == "0 0"  # arrows are its


def test_a_step_can_be_typed(live_map: LiveMap, walker: str, command: Command) -> None:
    live_map.open()
    live_map.select(walker, 10)
    live_map.step.fill("4")
    live_map.step.press("Enter")
    live_map.expect_moment(4, "1, 2, facing east")
    expect(live_map.notice).to_have_text("Step 4 of 10: 1, 2, facing east.")
    live_map.step.press("4")  # it is 44, until Enter
    command(walker, "M")
    live_map.expect_steps(11)
    expect(live_map.step).to_have_value("44")
    live_map.step.press("Enter")
    assert live_map.step.evaluate("field => field.validity.rangeOverflow")
    expect(live_map.slider).to_have_value("4")


@pytest.mark.parametrize("typed", ["900", ""])
def test_the_step_shown_replaces_a_wrong_one_when_its_field_is_left(
    live_map: LiveMap, walker: str, command: Command, typed: str
) -> None:
    live_map.open()
    live_map.select(walker, 10)
    live_map.step.fill(typed)
    live_map.step.press("Tab")
    expect(live_map.step).not_to_be_focused()
    live_map.expect_moment(10, "1, 0, facing west")
    live_map.step.fill(typed)
    command(walker, "M")
    live_map.expect_steps(11)
    expect(live_map.step).to_have_value(typed)
    live_map.panel.get_by_role("button", name=re.compile("^Move")).click()
    live_map.expect_moment(12, "−1, 0, facing west")
    expect(live_map.step).not_to_be_focused()
    live_map.page.keyboard.press(",")
    live_map.expect_moment(11, "0, 0, facing west")


def test_keys_step_on_from_a_typed_step(live_map: LiveMap, spawn: Spawn, command: Command) -> None:
    zergling_id = spawn()
    command(zergling_id, "M" * 45)
    live_map.open()
    live_map.select(zergling_id, 45)
    live_map.step.fill("30")
    live_map.step.press("Enter")
    for key, step in [("Comma", 29), ("Shift+Comma", 19), ("Period", 20), ("Shift+Period", 30)]:
        live_map.step.press(key)
        live_map.expect_moment(step, f"0, {step}, facing north")
    live_map.step.press("4")
    expect(live_map.step).not_to_have_value("30")
    live_map.step.press("Escape")  # ends the typing only
    live_map.expect_moment(30, "0, 30, facing north")
    live_map.step.press("Escape")
    live_map.expect_moment(45, "0, 45, facing north")
    expect(live_map.step).to_be_focused()
    live_map.step.press("Escape")
    expect(live_map.panel).to_be_hidden()


def test_an_earlier_step_is_marked_and_brought_into_view(
    live_map: LiveMap, spawn: Spawn, command: Command
) -> None:
    zergling_id = spawn(0, 0, "E")
    command(zergling_id, "M" * 300)
    live_map.open()
    live_map.row(zergling_id).click()
    live_map.expect_steps(300)
    live_map.slider.press("Home")
    stage = live_map.page.locator("#stage")
    expect(stage).to_have_attribute("data-x", "0")
    expect(stage).to_have_attribute("data-offset", "0 0")
    wait_until(
        lambda: live_map.pixel(0, 0, "overlay") == live_map.colour_of("east"), "a zergling there"
    )
    assert live_map.pixel(0, 0) == ""  # it is not there now
    live_map.timeline.get_by_role("button", name="Now").click()
    expect(stage).to_have_attribute("data-x", "300")


def test_an_earlier_step_stays_while_others_command(
    live_map: LiveMap, walker: str, command: Command
) -> None:
    live_map.open()
    live_map.select(walker, 10)
    live_map.page.keyboard.press(",")
    command(walker, "MM")
    live_map.expect_steps(12)
    live_map.expect_moment(9, "2, 0, facing west")
    expect(live_map.panel.locator("dd").nth(0)).to_have_text("−1, 0")


def test_a_command_returns_to_now(live_map: LiveMap, walker: str) -> None:
    live_map.open()
    live_map.select(walker, 10)
    live_map.slider.press("Home")
    live_map.page.keyboard.press("m")
    live_map.expect_moment(11, "0, 0, facing west")


def test_the_commands_scroll_to_the_first(
    live_map: LiveMap, spawn: Spawn, command: Command
) -> None:
    zergling_id = spawn()
    command(zergling_id, "L" + "M" * 4000 + "R")
    live_map.open()
    live_map.select(zergling_id, 4002)
    items = live_map.strip.get_by_role("listitem")
    expect(items.first).to_have_text("R")
    live_map.strip.evaluate("box => (box.scrollTop = box.scrollHeight)")
    expect(items.last).to_have_attribute("aria-posinset", "4002")
    expect(items.last).to_have_text("L")
    expect(items.last).to_be_in_viewport()
    assert items.count() < 400  # the others exist only when they come into view
    items.last.click()
    live_map.expect_moment(1, "0, 0, facing west")
    expect(items.last).to_have_attribute("aria-current", "step")


def test_stepping_scrolls_the_commands(live_map: LiveMap, spawn: Spawn, command: Command) -> None:
    zergling_id = spawn()
    command(zergling_id, "LR" * 600)
    live_map.open()
    live_map.select(zergling_id, 1200)
    live_map.slider.press("Home")
    live_map.slider.press("ArrowRight")
    current = live_map.strip.locator("[aria-current]")
    expect(current).to_have_attribute("aria-posinset", "1200")
    expect(current).to_be_in_viewport()
    live_map.strip.focus()
    live_map.page.keyboard.press("Home")  # scrolls it, and moves neither the map nor the step
    wait_until(lambda: live_map.strip.evaluate("box => box.scrollTop") == 0, "at the top")
    expect(live_map.slider).to_have_value("1")


def test_a_new_zergling_has_no_history(live_map: LiveMap, spawn: Spawn) -> None:
    zergling_id = spawn()
    live_map.open()
    live_map.row(zergling_id).click()
    expect(live_map.panel.locator(".more")).to_have_text(re.compile("No commands yet"))
    expect(live_map.timeline).to_be_hidden()
    live_map.page.keyboard.press(",")
    live_map.page.keyboard.press("m")
    live_map.expect_steps(1)
    live_map.expect_moment(1, "0, 1, facing north")


def test_the_history_of_the_selected_zergling_is_dropped_with_it(
    service: Service, live_map: LiveMap, watch: Watch, walker: str
) -> None:
    watch.expected = ["status of 404"]  # where the panel looks just when it dies
    live_map.open()
    live_map.select(walker, 10)
    live_map.slider.press("Home")
    live_map.wait_for_path(0, 0.5)
    assert service.call("DELETE", f"/zerglings/{walker}").status == 204
    expect(live_map.panel).to_be_hidden()
    wait_until(lambda: not live_map.has_path(0, 0.5), "no path")
    expect(live_map.roster).to_be_focused()


def _written(value: int) -> str:
    return f"−{-value}" if value < 0 else str(value)
