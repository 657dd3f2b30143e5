"""Tests that shortcuts of characters, which speech input would press, can be turned off."""

from __future__ import annotations

from playwright.sync_api import expect

from tests.browser.conftest import Spawn
from tests.browser.live_map import LiveMap
from tests.support.waiting import wait_until


def turn_character_keys(live_map: LiveMap, *, on: bool) -> None:
    live_map.keys.click()
    live_map.character_keys.set_checked(on)
    live_map.page.keyboard.press("Escape")
    expect(live_map.page.get_by_role("dialog")).to_be_hidden()


def test_keys_of_characters_can_be_turned_off_for_good(live_map: LiveMap, spawn: Spawn) -> None:
    page = live_map.page
    zergling_id = spawn(0, 0, "N")
    page.emulate_media(reduced_motion="reduce")  # the view moves at once
    live_map.open()
    live_map.row(zergling_id).click()
    expect(page).to_have_url(f"{live_map.url}#{zergling_id}")
    turn_character_keys(live_map, on=False)
    for _ in ("now", "after a reload"):
        place = live_map.point(0, 0)
        page.keyboard.type("nlmrNLMR+=-0f/?,.<>p")
        expect(page.get_by_role("dialog")).to_be_hidden()
        expect(page.get_by_role("searchbox")).not_to_be_focused()
        assert live_map.point(0, 0) == place
        page.keyboard.press("ArrowRight")  # is no character
        wait_until(lambda: live_map.point(0, 0) != place, "another view")  # noqa: B023 - called here
        page.reload()
        live_map.expect_complete()
        expect(live_map.panel.locator("dd").nth(2)).to_have_text("0")
    turn_character_keys(live_map, on=True)
    page.keyboard.press("m")
    live_map.expect_row(zergling_id, 0, 1, "north")
    expect(page.locator("#count")).to_have_text("1 zergling")
    page.keyboard.press("Escape")
    expect(live_map.panel).to_be_hidden()


def test_keys_that_are_turned_off_are_not_announced(live_map: LiveMap) -> None:
    live_map.open()
    button = live_map.page.locator("#spawn")
    for is_on, name in [(True, "Spawn a zergling n"), (False, "Spawn a zergling")]:
        turn_character_keys(live_map, on=is_on)
        expect(button).to_have_accessible_name(name)
        announced = live_map.page.locator("[aria-keyshortcuts]").count()
        assert (announced > 0) == is_on


def test_keys_of_characters_can_be_turned_off_where_the_browser_stores_nothing(
    live_map: LiveMap,
) -> None:
    live_map.page.add_init_script(
        """Object.defineProperty(window, "localStorage", {
            get() { throw new DOMException("It is off.", "SecurityError"); },
        });"""
    )
    live_map.open()
    turn_character_keys(live_map, on=False)
    live_map.page.keyboard.press("n")
    turn_character_keys(live_map, on=True)
    live_map.page.keyboard.press("n")
    expect(live_map.panel).to_be_visible()
    expect(live_map.page.locator("#count")).to_have_text("1 zergling")
