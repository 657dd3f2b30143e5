"""Tests for keyboard and screen-reader use of the map: keys, focus, names and roles."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import Command, Spawn
from tests.browser.live_map import LiveMap
from tests.support.browser import Watch
from tests.support.service import Service


def test_the_map_can_be_used_with_the_keyboard_alone(live_map: LiveMap) -> None:
    live_map.open()
    press = live_map.page.keyboard.press
    press("n")
    expect(live_map.notice).to_have_text(re.compile("has hatched at 0, 0"))
    expect(live_map.rows).to_have_count(1)
    zergling_id = live_map.panel.locator("h2").inner_text()
    for key, x, y, facing in [
        ("m", 0, 1, "north"),
        ("l", 0, 1, "west"),
        ("m", -1, 1, "west"),
        ("r", -1, 1, "north"),
    ]:
        press(key)
        live_map.expect_row(zergling_id, x, y, facing)
    expect(live_map.panel.locator("dd").nth(2)).to_have_text("4")
    press("Escape")
    expect(live_map.panel).to_be_hidden()


def test_a_held_key_spawns_once_at_the_current_pointer_position(
    live_map: LiveMap, spawn: Spawn
) -> None:
    spawn()
    live_map.open()
    page = live_map.page
    page.mouse.move(*live_map.point(3, 2))
    whereabouts = page.locator("#whereabouts")
    expect(whereabouts).to_have_text("3, 2")
    page.keyboard.press("ArrowRight")
    expect(whereabouts).not_to_have_text("3, 2")
    place = whereabouts.inner_text()
    page.keyboard.down("n")
    page.keyboard.down("n")  # is a repeat
    page.keyboard.up("n")
    expect(live_map.notice).to_have_text(re.compile(f"has hatched at {place}"))
    page.keyboard.press("n")
    expect(page.locator("#count")).to_have_text("3 zerglings")


def test_the_focus_moves_to_the_list_when_its_element_disappears(
    service: Service, live_map: LiveMap, watch: Watch
) -> None:
    watch.expected = ["status of 404"]  # where the panel looks just when it dies
    live_map.open()
    page = live_map.page
    page.get_by_role("button", name="Spawn the first zergling").press("Enter")
    expect(live_map.panel).to_be_visible()
    expect(live_map.roster).to_be_focused()
    expect(live_map.rows).to_have_count(1)
    live_map.panel.get_by_role("button", name="Deselect").press("Enter")
    expect(live_map.panel).to_be_hidden()
    expect(live_map.roster).to_be_focused()
    page.keyboard.press("ArrowDown")
    zergling_id = live_map.panel.locator("h2").inner_text()
    live_map.panel.get_by_role("button", name=re.compile("^Move")).focus()
    assert service.call("DELETE", f"/zerglings/{zergling_id}").status == 204
    expect(live_map.panel).to_be_hidden()
    expect(live_map.roster).to_be_focused()


def test_the_result_of_a_search_is_announced(live_map: LiveMap) -> None:
    live_map.open()
    live_map.page.get_by_role("searchbox").fill("3, -4")
    live_map.page.keyboard.press("Enter")
    expect(live_map.notice).to_have_text("Here is 3, −4.")


def test_keys_act_on_what_a_search_has_found(
    live_map: LiveMap, spawn: Spawn, command: Command
) -> None:
    zergling_id = spawn()
    command(zergling_id, "MMM")
    live_map.open()
    field = live_map.page.get_by_role("searchbox")
    live_map.page.keyboard.press("/")
    live_map.page.keyboard.type(zergling_id[:8])
    live_map.page.keyboard.press("Enter")
    expect(field).not_to_be_focused()
    live_map.expect_steps(3)
    live_map.page.keyboard.press(",")
    live_map.expect_moment(2, "0, 2, facing north")
    expect(field).to_have_value(zergling_id[:8])
    live_map.page.keyboard.press("/")
    live_map.page.keyboard.type("nobody")
    live_map.page.keyboard.press("Enter")
    expect(live_map.notice).to_have_attribute("data-kind", "error")
    expect(field).to_be_focused()  # to type it anew


def test_fast_key_presses_are_executed_in_order(live_map: LiveMap) -> None:
    live_map.open()
    live_map.page.keyboard.press("n")
    expect(live_map.panel).to_be_visible()
    zergling_id = live_map.panel.locator("h2").inner_text()
    live_map.page.keyboard.type("mmrmmmrml")  # 0,2 then 3,2 then 3,1 facing east
    live_map.expect_row(zergling_id, 3, 1, "east")


def test_upper_case_letters_are_commands_too(live_map: LiveMap) -> None:
    live_map.open()
    live_map.page.keyboard.press("N")
    expect(live_map.panel).to_be_visible()
    zergling_id = live_map.panel.locator("h2").inner_text()
    live_map.page.keyboard.press("M")
    live_map.expect_row(zergling_id, 0, 1, "north")


@pytest.mark.parametrize(
    ("key", "right", "up"),
    [("ArrowLeft", -1, 0), ("ArrowRight", 1, 0), ("ArrowUp", 0, 1), ("ArrowDown", 0, -1)],
)
def test_arrows_move_the_view(
    live_map: LiveMap, spawn: Spawn, key: str, right: int, up: int
) -> None:
    spawn()
    live_map.open()
    left, top = live_map.point(0, 0)
    live_map.page.keyboard.press(key)
    live_map.page.wait_for_function(
        """() => {
            const { x, y, offset } = document.querySelector("#stage").dataset;
            return [x, y, offset].join() !== "0,0,0 0";
        }"""
    )
    new_left, new_top = live_map.point(0, 0)
    assert ((new_left < left) - (new_left > left), (new_top > top) - (new_top < top)) == (right, up)


def test_plus_minus_and_fit_change_the_scale(live_map: LiveMap, spawn: Spawn) -> None:
    spawn()
    live_map.open()
    whole = live_map.scale()
    for key, holds in [("+", ">"), ("0", "==="), ("-", "<"), ("f", "===")]:
        live_map.page.keyboard.press(key)
        live_map.page.wait_for_function(
            f"whole => Number(document.querySelector('#stage').dataset.scale) {holds} whole",
            arg=whole,
        )


def test_shortcuts_are_ignored_in_text_fields_and_with_modifiers(
    live_map: LiveMap,
) -> None:
    live_map.open()
    live_map.page.keyboard.press("/")
    field = live_map.page.get_by_role("searchbox")
    expect(field).to_be_focused()
    live_map.page.keyboard.type("nnn")
    expect(field).to_have_value("nnn")
    live_map.page.keyboard.press("Escape")
    expect(field).not_to_be_focused()
    live_map.page.keyboard.press("Alt+n")
    live_map.page.keyboard.press("Meta+n")
    live_map.page.keyboard.press("n")  # the only one that is meant
    expect(live_map.rows).to_have_count(1)
    expect(live_map.page.locator("#count")).to_have_text("1 zergling")


def test_enter_closes_the_help(live_map: LiveMap) -> None:
    live_map.open()
    live_map.page.keyboard.press("?")
    dialog = live_map.page.get_by_role("dialog")
    expect(dialog).to_be_visible()
    live_map.page.keyboard.press("Enter")
    expect(dialog).to_be_hidden()


def test_help_opens_lists_the_keys_and_closes(live_map: LiveMap) -> None:
    live_map.open()
    live_map.page.keyboard.press("?")
    dialog = live_map.page.get_by_role("dialog", name="Around the grid")
    expect(dialog).to_be_visible()
    expect(dialog).to_contain_text("spawn a zergling")
    live_map.page.keyboard.press("n")  # is no command in here
    dialog.get_by_role("button", name="Back to the grid").click()
    expect(dialog).to_be_hidden()
    expect(live_map.rows).to_have_count(0)


def test_arrow_keys_select_in_the_list(live_map: LiveMap, spawn: Spawn) -> None:
    for x in range(3):
        spawn(x, 0)
    live_map.open()
    expect(live_map.rows).to_have_count(3)
    ids = [row.split()[0] for row in live_map.rows.all_inner_texts()]
    live_map.roster.focus()
    for key, chosen in [
        ("ArrowDown", 0),
        ("ArrowDown", 1),
        ("End", 2),
        ("ArrowUp", 1),
        ("Home", 0),
    ]:
        live_map.page.keyboard.press(key)
        row = live_map.row(ids[chosen])
        expect(row).to_have_attribute("aria-selected", "true")
        expect(live_map.roster).to_have_attribute(
            "aria-activedescendant", row.get_attribute("id") or ""
        )
        expect(live_map.panel.locator("h2")).to_contain_text(ids[chosen])


def test_all_elements_have_roles_and_names(
    live_map: LiveMap, spawn: Spawn, command: Command
) -> None:
    zergling_id = spawn(3, -4, "S")
    command(zergling_id, "R")
    live_map.open()
    live_map.select(zergling_id, 1)
    expect(live_map.page.locator("body")).to_match_aria_snapshot(
        f"""
        - main:
          - link "Skip to the list of zerglings"
          - application "The grid"
          - group "View":
            - button "Zoom in"
            - button "Zoom out"
            - button "Show everyone"
            - button "Help"
          - img "North is up. Colours show where zerglings face."
        - complementary "Zerglings":
          - heading "Overmind" [level=1]
          - paragraph: 1 zergling
          - paragraph:
            - status: Live
          - search:
            - searchbox
            - button "Find"
          - button "Spawn a zergling n"
          - button "Copy Spawn as curl"
          - region "The selected zergling":
            - heading "{zergling_id}" [level=2]
            - button "Deselect"
            - term: Position
            - definition: 3, −4
            - term: Facing
            - definition: west
            - term: Commands
            - definition: "1"
            - group "Commands":
              - button "Left l"
              - button "Copy Left as curl"
              - button "Move m"
              - button "Copy Move as curl"
              - button "Right r"
              - button "Copy Right as curl"
            - group "History":
              - heading "History" [level=3]
              - button "Copy the history as curl"
              - paragraph:
                - text: Step
                - spinbutton "Step": "1"
                - text: of 1 3, −4, facing west
              - button "One step back"
              - slider "Step of the history": "1"
              - button "One step forward"
              - button "Now"
              - heading "Commands, newest first" [level=4]
              - group "Commands, newest first":
                - list:
                  - listitem: R
            - button "Show on the map"
            - button "Show path"
            - button "Copy link"
          - region "In view":
            - paragraph: 1 zergling in view.
            - listbox "In view":
              - option "{zergling_id[:8]} 3, −4 west" [selected]
        """
    )


def test_every_control_can_be_reached_with_tab(
    live_map: LiveMap, spawn: Spawn, command: Command
) -> None:
    zergling_id = spawn()
    command(zergling_id, "M")
    live_map.open()
    live_map.select(zergling_id, 1)
    controls = live_map.page.locator("button:visible, input:visible, a:visible, [tabindex]:visible")
    wanted = controls.count()
    live_map.page.evaluate("document.activeElement.blur()")
    reached = set()
    for _ in range(wanted + 2):
        live_map.page.keyboard.press("Tab")
        reached.add(
            live_map.page.evaluate(
                "[...document.querySelectorAll('button, input, a, [tabindex]')]"
                ".indexOf(document.activeElement)"
            )
        )
    assert len(reached - {-1}) == wanted
