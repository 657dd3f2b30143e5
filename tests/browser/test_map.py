"""Tests for what the map draws and lists, and how it follows changes."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Route, expect

from tests.browser.conftest import Spawn
from tests.browser.live_map import LiveMap
from tests.support.browser import Watch
from tests.support.service import Service

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
EDGE = 2**53 - 1
THREE = {(0, 0): "north", (3, -2): "east", (-4, 1): "west"}


@pytest.fixture
def three(spawn: Spawn) -> list[str]:
    return [spawn(x, y, facing[0].upper()) for (x, y), facing in THREE.items()]


def test_zerglings_are_drawn_at_their_places(live_map: LiveMap, three: list[str]) -> None:
    live_map.open()
    expect(live_map.rows).to_have_count(3)
    assert sorted(live_map.mirror().values()) == sorted((*at, way) for at, way in THREE.items())
    for x in range(-5, 6):
        for y in range(-3, 4):
            way = THREE.get((x, y))
            expected = live_map.colour_of(way) if way else ""
            assert live_map.pixel(x, y) == expected, (x, y)


def test_the_count_is_shown(live_map: LiveMap, three: list[str]) -> None:
    live_map.open()
    expect(live_map.page.locator("#count")).to_have_text("3 zerglings")
    expect(live_map.page.locator("#summary")).to_have_text("3 zerglings in view.")


def test_spawns_and_deaths_made_elsewhere_appear(
    service: Service, live_map: LiveMap, spawn: Spawn
) -> None:
    live_map.open()
    zergling_id = spawn(1, 1, "S")
    live_map.expect_row(zergling_id, 1, 1, "south")
    assert service.call("DELETE", f"/zerglings/{zergling_id}").status == 204
    expect(live_map.rows).to_have_count(0)


def test_an_empty_grid_offers_to_spawn_the_first_zergling(live_map: LiveMap) -> None:
    live_map.open()
    invitation = live_map.page.get_by_role("button", name="Spawn the first zergling")
    invitation.click()
    expect(live_map.rows).to_have_count(1)
    expect(invitation).to_be_hidden()
    expect(live_map.notice).to_have_text(re.compile("has hatched at 0, 0"))


def test_a_click_selects_and_the_buttons_command(live_map: LiveMap, three: list[str]) -> None:
    live_map.open()
    live_map.page.mouse.click(*live_map.point(3, -2))
    panel = live_map.panel
    expect(panel).to_be_visible()
    expect(panel.locator("h2")).to_have_text(three[1])
    expect(panel.locator("dd").nth(0)).to_have_text("3, −2")
    expect(panel.locator("dd").nth(1)).to_have_text(re.compile("east"))
    panel.get_by_role("button", name=re.compile("^Move")).click()
    expect(panel.locator("dd").nth(0)).to_have_text("4, −2")
    panel.get_by_role("button", name=re.compile("^Left")).click()
    expect(panel.locator("dd").nth(1)).to_have_text(re.compile("north"))
    panel.get_by_role("button", name=re.compile("^Right")).click()
    expect(panel.locator("dd").nth(2)).to_have_text("3")
    expect(panel.locator("ol li")).to_have_text(["R", "L", "M"])


def test_the_panel_follows_commands_of_others(
    service: Service, live_map: LiveMap, spawn: Spawn
) -> None:
    zergling_id = spawn()
    live_map.open()
    live_map.row(zergling_id).click()
    expect(live_map.panel.locator("dd").nth(2)).to_have_text("0")
    for _ in range(2):  # more than a zergling itself shows
        assert (
            service.call("POST", f"/zerglings/{zergling_id}", '"' + "M" * 150 + '"').status == 200
        )
    expect(live_map.panel.locator("dd").nth(2)).to_have_text("300")
    expect(live_map.panel.locator("dd").nth(0)).to_have_text("0, 300")


def test_the_panel_makes_one_request_at_a_time(
    service: Service, live_map: LiveMap, spawn: Spawn
) -> None:
    slow, other = spawn(0, 0, "N"), spawn(5, 5, "N")
    looks: list[Route] = []

    def hold_the_first(route: Route) -> None:
        looks.append(route)
        if len(looks) > 1:
            route.continue_()

    live_map.page.route(f"**/zerglings/{slow}", hold_the_first)
    live_map.page.clock.install()
    live_map.open()
    live_map.row(slow).click()
    for y in range(1, 4):
        assert service.call("POST", f"/zerglings/{slow}", '"M"').status == 200
        live_map.expect_row(slow, 0, y, "north")
        live_map.page.clock.fast_forward(1000)  # whatever is due is done
    assert len(looks) == 1
    live_map.row(other).click()
    expect(live_map.panel.locator("dd").nth(2)).to_have_text("0")
    live_map.row(slow).click()
    looks[0].continue_()
    expect(live_map.panel.locator("dd").nth(2)).to_have_text("3")


def test_a_selected_zergling_that_stands_still_is_not_requested_again(
    service: Service, live_map: LiveMap, spawn: Spawn
) -> None:
    zergling_id = spawn()
    looks: list[str] = []
    live_map.page.on("request", lambda request: looks.append(request.url))
    live_map.page.clock.install()
    live_map.open()
    live_map.row(zergling_id).click()
    expect(live_map.panel.locator("dd").nth(2)).to_have_text("0")
    assert service.call("POST", f"/zerglings/{zergling_id}", '"M"').status == 200
    live_map.page.clock.fast_forward(1000)
    expect(live_map.panel.locator("dd").nth(2)).to_have_text("1")
    for _ in range(3):
        live_map.page.clock.fast_forward(1000)  # whatever is due is done
    assert len([url for url in looks if url.endswith(zergling_id)]) == 2


def test_the_selected_zergling_is_listed_when_it_is_in_view(
    live_map: LiveMap, spawn: Spawn
) -> None:
    ids = [spawn(n % 10, n // 10) for n in range(60)]
    live_map.open()
    expect(live_map.rows).to_have_count(50)
    listed = live_map.mirror()
    unlisted = next(zergling_id for zergling_id in ids if zergling_id[:8] not in listed)
    live_map.page.get_by_role("searchbox").fill(unlisted)
    live_map.page.keyboard.press("Enter")
    expect(live_map.notice).to_have_text(re.compile(f"Found {unlisted[:8]} at"))
    expect(live_map.row(unlisted)).to_have_attribute("aria-selected", "true")
    live_map.page.get_by_role("button", name="Show everyone").click()
    expect(live_map.rows).to_have_count(50)
    expect(live_map.row(unlisted)).to_have_attribute("aria-selected", "true")


def test_no_zergling_is_hidden_by_controls_on_the_map(live_map: LiveMap, spawn: Spawn) -> None:
    spawn(-50, 0)
    last = spawn(50, 0)
    live_map.open()
    live_map.expect_row(last, 50, 0, "north")
    for selector in (".rose", ".tools"):
        box = live_map.page.locator(selector).bounding_box()
        assert box is not None
        assert live_map.point(50, 0)[0] < box["x"]


def test_zerglings_at_one_place_are_selected_in_turn(live_map: LiveMap, spawn: Spawn) -> None:
    together = {spawn(0, 0), spawn(0, 0)}
    live_map.open()
    seen = set()
    for _ in together:
        live_map.page.mouse.click(*live_map.point(0, 0))
        seen.add(live_map.panel.locator("h2").inner_text())
    assert seen == together


def test_search_finds_id_prefixes_and_coordinates(live_map: LiveMap, three: list[str]) -> None:
    live_map.open()
    field = live_map.page.get_by_role("searchbox")
    field.fill(three[2][:13].upper())
    field.press("Enter")
    expect(live_map.panel.locator("h2")).to_have_text(three[2])
    field.fill(f"{EDGE}, -{EDGE}")
    field.press("Enter")
    expect(live_map.page.locator("#stage")).to_have_attribute("data-x", str(EDGE))
    expect(live_map.page.locator("#stage")).to_have_attribute("data-y", str(-EDGE))
    field.fill("no such thing")
    field.press("Enter")
    expect(live_map.notice).to_contain_text("beginning of an id")


def test_all_zerglings_are_shown_however_far_apart(live_map: LiveMap, spawn: Spawn) -> None:
    far = [spawn(-EDGE, EDGE, "E"), spawn(EDGE, -EDGE, "W"), spawn(0, 0)]
    live_map.open()
    expect(live_map.rows).to_have_count(len(far))
    assert live_map.pixel(-EDGE, EDGE) == live_map.colour_of("east")
    assert live_map.pixel(EDGE, -EDGE) == live_map.colour_of("west")
    assert live_map.pixel(EDGE, EDGE) == ""


def test_the_edge_of_the_grid_is_drawn_exactly_and_cannot_be_crossed(
    live_map: LiveMap, watch: Watch, spawn: Spawn
) -> None:
    watch.expected = ["status of 400"]
    spawn(EDGE, 5, "E")
    spawn(EDGE - 1, 5, "N")
    live_map.open()
    assert live_map.pixel(EDGE, 5) == live_map.colour_of("east")
    assert live_map.pixel(EDGE - 1, 5) == live_map.colour_of("north")
    live_map.page.mouse.click(*live_map.point(EDGE, 5))
    live_map.panel.get_by_role("button", name=re.compile("^Move")).click()
    expect(live_map.notice).to_have_attribute("data-kind", "error")
    expect(live_map.panel.locator("dd").nth(0)).to_have_text(f"{EDGE}, 5")


def test_a_view_set_by_hand_is_kept(live_map: LiveMap, spawn: Spawn) -> None:
    spawn()
    live_map.open()
    before = live_map.scale()
    live_map.page.get_by_role("button", name="Zoom out").click()
    live_map.page.wait_for_function(
        "before => document.querySelector('#stage').dataset.scale < before / 1.49", arg=before
    )
    live_map.page.keyboard.press("ArrowLeft")  # which ends the gliding of the view
    mine = live_map.scale()
    zergling_id = spawn(100, 100)
    expect(live_map.page.locator("#summary")).to_contain_text("1 elsewhere")
    assert live_map.scale() == mine
    live_map.page.get_by_role("button", name="Show everyone").click()
    live_map.expect_row(zergling_id, 100, 100, "north")


def test_the_content_security_policy_is_strict_and_enforced(
    service: Service, live_map: LiveMap, watch: Watch
) -> None:
    reply = service.call("GET", "/", headers={"Accept": "text/html"})
    assert reply.headers["Content-Security-Policy"] == POLICY
    live_map.open()
    watch.expected = ["Content Security Policy"]
    live_map.page.evaluate(
        """() => {
            const script = document.createElement("script");
            script.textContent = "window.wasRun = true";
            document.body.append(script);
        }"""
    )
    assert live_map.page.evaluate("window.wasRun") is None
    assert watch.errors, "a violation is a console error, which fails the test"
