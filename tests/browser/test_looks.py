"""Tests for the map on other screen sizes, colour themes and motion preferences."""

from __future__ import annotations

import re
from typing import Any

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import Command, Spawn
from tests.browser.live_map import LiveMap
from tests.support.service import Service

PHONE = {
    "viewport": {"width": 360, "height": 740},
    "device_scale_factor": 2,
    "has_touch": True,
    "is_mobile": True,
}
CONTRAST = """([front, back]) => {
    const probe = document.body.appendChild(document.createElement("i"));
    const light = (name) => {
        probe.style.color = `var(--${name})`;
        const [r, g, b] = getComputedStyle(probe).color.match(/[0-9.]+/g).map((part) => {
            const share = part / 255;
            return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
        });
        return 0.2126 * r + 0.7152 * g + 0.0722 * b;
    };
    const [one, other] = [light(front), light(back)].sort((a, b) => b - a);
    probe.remove();
    return (one + 0.05) / (other + 0.05);
}"""
"""Contrast of two colours of the theme as WCAG 2.2 defines it."""

TEXTS = [
    *[(text, ground) for text in ("ink", "muted") for ground in ("paper", "surface", "raised")],
    *[(state, "surface") for state in ("good", "wait", "bad", "accent")],
    ("on-accent", "accent"),
    ("on-accent", "accent-hover"),
]
SHAPES = [
    *[(facing, "paper") for facing in ("north", "east", "south", "west")],
    ("control", "surface"),
]


@pytest.fixture
def phone(look: dict[str, Any]) -> None:
    look.update(PHONE)


@pytest.fixture
def calm(look: dict[str, Any]) -> None:
    look["reduced_motion"] = "reduce"


@pytest.fixture(params=["light", "dark"])
def scheme(request: pytest.FixtureRequest, look: dict[str, Any]) -> str:
    look["color_scheme"] = request.param
    return str(request.param)


def test_texts_and_shapes_have_enough_contrast(scheme: str, live_map: LiveMap) -> None:
    live_map.open()
    for least, pairs in [(4.5, TEXTS), (3.0, SHAPES)]:
        for pair in pairs:
            assert live_map.page.evaluate(CONTRAST, list(pair)) >= least, pair


SEEN = """(canvas, [left, top]) => {
    const box = canvas.getBoundingClientRect();
    const [x, y] = [left - box.x, top - box.y].map(Math.floor);
    const root = document.documentElement;
    const context = new OffscreenCanvas(1, 1).getContext("2d");
    context.fillStyle = getComputedStyle(root).getPropertyValue("--paper");
    context.fillRect(0, 0, 1, 1);
    context.drawImage(canvas, x, y, 1, 1, 0, 0, 1, 1);
    const [r, g, b] = context.getImageData(0, 0, 1, 1).data;
    root.style.setProperty("--seen", `rgb(${r}, ${g}, ${b})`);
    const { data } = canvas.getContext("2d").getImageData(x, y - 5, 1, 11);
    return data.filter((part, n) => n % 4 === 3 && part).length;
}"""
"""Returns the pixels across an eastward line, and sets the colour `seen` to its colour on paper."""


def test_the_later_part_of_the_path_is_visible_and_weaker_than_the_walked_part(
    scheme: str, live_map: LiveMap, spawn: Spawn, command: Command
) -> None:
    zergling_id = spawn(0, 5, "E")
    spawn(-2, 0)
    command(zergling_id, "M" * 40)
    live_map.open()
    live_map.select(zergling_id, 40)
    live_map.step.fill("20")
    live_map.step.press("Enter")
    live_map.expect_moment(20, "20, 5, facing east")

    def look(x: float) -> tuple[float, int]:
        live_map.wait_for_path(x, 5)
        width: int = live_map.page.locator("#path").evaluate(SEEN, list(live_map.point(x, 5)))
        return live_map.page.evaluate(CONTRAST, ["seen", "paper"]), width

    (oldest, width), (later, later_width) = look(4), look(30)
    assert later >= 3.0
    assert oldest >= 1.5 * later
    assert width > later_width


def test_the_canvas_follows_the_theme_while_the_page_is_open(
    live_map: LiveMap, spawn: Spawn
) -> None:
    spawn(0, 0, "N")
    live_map.open()
    colours = []
    for scheme in ("light", "dark"):
        live_map.page.emulate_media(color_scheme=scheme)
        colours.append(live_map.colour_of("north"))
        expect_colour(live_map, colours[-1])
    assert colours[0] != colours[1]


def expect_colour(live_map: LiveMap, colour: str) -> None:
    live_map.page.wait_for_function(
        """colour => {
            const canvas = document.querySelector("#swarm");
            const middle = [canvas.width / 2, canvas.height / 2].map(Math.floor);
            const [r, g, b] = canvas.getContext("2d").getImageData(...middle, 1, 1).data;
            return `rgb(${r}, ${g}, ${b})` === colour;
        }""",
        arg=colour,
    )


def test_a_phone_shows_everything_without_horizontal_scrolling(
    phone: None, live_map: LiveMap, spawn: Spawn
) -> None:
    zergling_id = spawn(2, 3, "S")
    live_map.open()
    assert live_map.scale() > 30  # it is seen as large on the first look
    live_map.page.touchscreen.tap(*live_map.point(2, 3))
    expect(live_map.panel).to_be_visible()
    live_map.panel.get_by_role("button", name=re.compile("^Move")).tap()
    live_map.expect_row(zergling_id, 2, 2, "south")
    live_map.expect_steps(1)
    width, inner = live_map.page.evaluate(
        "[document.documentElement.scrollWidth, document.documentElement.clientWidth]"
    )
    assert width <= inner == PHONE["viewport"]["width"]  # type: ignore[index]  # a mixed mapping
    assert live_map.page.locator("#stage").evaluate("stage => stage.clientHeight") >= 300
    for button in live_map.page.get_by_role("button").filter(visible=True).all():
        box = button.bounding_box()
        assert box is not None
        assert min(box["width"], box["height"]) >= 24, button  # WCAG 2.2, target size


@pytest.mark.parametrize(
    "look",
    [
        {"viewport": {"width": width, "height": height}}
        for width, height in [(844, 390), (1280, 560), (1366, 650), (320, 256)]
    ],
    ids=lambda look: "{width}x{height}".format(**look["viewport"]),
)
def test_everything_is_reachable_in_a_short_window(
    live_map: LiveMap, spawn: Spawn, command: Command
) -> None:
    zergling_id = spawn()
    command(zergling_id, "LLLL")
    live_map.open()
    live_map.select(zergling_id, 4)
    for button in live_map.page.get_by_role("button").filter(visible=True).all():
        button.click(trial=True)  # it can be scrolled to and nothing covers it
    live_map.row(zergling_id).click(trial=True)
    live_map.page.get_by_role("link", name="The API").click(trial=True)
    assert live_map.page.evaluate("document.scrollingElement.scrollWidth - innerWidth") <= 0


def test_a_phone_scrolls_to_the_panel_of_the_selected_zergling(
    phone: None, live_map: LiveMap, spawn: Spawn
) -> None:
    for n in range(30):
        spawn(n % 6, n // 6)
    live_map.open()
    expect(live_map.rows).to_have_count(30)
    live_map.rows.nth(25).tap()
    expect(live_map.panel.locator("h2")).to_be_in_viewport()
    expect(live_map.panel.get_by_role("button", name=re.compile("^Move"))).to_be_in_viewport()


@pytest.mark.parametrize("is_opened_by_link", [False, True], ids=["tap", "link"])
def test_a_phone_shows_the_slider_of_the_selected_zergling(
    phone: None, live_map: LiveMap, spawn: Spawn, command: Command, is_opened_by_link: bool
) -> None:
    zergling_id = spawn()
    command(zergling_id, "MMRM")
    if is_opened_by_link:
        live_map.url += f"#{zergling_id}"
    live_map.open()
    if not is_opened_by_link:
        live_map.page.touchscreen.tap(*live_map.point(1, 2))
    live_map.expect_steps(4)
    expect(live_map.panel.locator("h2")).to_be_in_viewport(ratio=1)
    expect(live_map.slider).to_be_in_viewport(ratio=1)


@pytest.mark.parametrize("size", [(360, 640), (390, 728), (844, 390)], ids="{0[0]}x{0[1]}".format)
def test_help_opens_at_its_beginning(phone: None, live_map: LiveMap, size: tuple[int, int]) -> None:
    width, height = size
    live_map.page.set_viewport_size({"width": width, "height": height})
    live_map.open()
    live_map.page.get_by_role("button", name="Help").tap()
    dialog = live_map.page.get_by_role("dialog", name="Around the grid")
    expect(dialog.get_by_role("heading")).to_be_in_viewport(ratio=1)
    close = dialog.get_by_role("button", name="Back to the grid")
    expect(close).to_be_focused()
    expect(close).to_be_in_viewport(ratio=1)
    live_map.page.keyboard.press("Shift+Tab")
    expect(live_map.character_keys).to_be_focused()
    switch, button = live_map.character_keys.bounding_box(), close.bounding_box()
    assert switch is not None
    assert button is not None
    assert switch["y"] + switch["height"] <= button["y"]  # it is not covered


def test_a_cancelled_pointer_ends_a_drag(live_map: LiveMap, spawn: Spawn) -> None:
    spawn()
    live_map.open()
    left, top = live_map.point(0, 0)
    live_map.page.mouse.move(left, top)
    live_map.page.mouse.down()
    live_map.page.mouse.move(left + 50, top)
    overlay = live_map.page.locator("#overlay")
    expect(overlay).to_have_class("is-dragged")
    overlay.dispatch_event("pointercancel", {"pointerId": 1})
    expect(overlay).to_have_class("")


def test_the_longest_coordinates_are_listed_in_full(live_map: LiveMap, spawn: Spawn) -> None:
    edge = 2**53 - 1
    zergling_id = spawn(-edge, -edge)
    live_map.open()
    place = live_map.row(zergling_id).locator(".place")
    expect(place).to_have_text(f"−{edge}, −{edge}")
    assert place.evaluate("cell => cell.scrollWidth - cell.clientWidth") <= 0


def test_two_fingers_zoom_and_one_moves_the_view(
    phone: None, live_map: LiveMap, spawn: Spawn
) -> None:
    spawn()
    live_map.open()
    touch = live_map.page.context.new_cdp_session(live_map.page)

    def touched(kind: str, *points: tuple[float, float]) -> None:
        fingers = [{"x": x, "y": y, "id": n} for n, (x, y) in enumerate(points)]
        touch.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": fingers})

    before = live_map.scale()
    touched("touchStart", (150, 200), (250, 200))
    touched("touchMove", (175, 200), (225, 200))
    touched("touchEnd")
    live_map.page.wait_for_function(
        "before => document.querySelector('#stage').dataset.scale < before * 0.6", arg=before
    )
    left, top = live_map.point(0, 0)
    touched("touchStart", (200, 200))
    touched("touchMove", (200, 230))
    touched("touchMove", (230, 230))
    touched("touchEnd")
    live_map.page.wait_for_function(
        "() => document.querySelector('#stage').dataset.offset !== '0 0'"
    )
    assert live_map.point(0, 0)[0] > left
    assert live_map.point(0, 0)[1] > top
    expect(live_map.panel).to_be_hidden()


def test_reduced_motion_shows_steps_without_animation(
    calm: None, service: Service, live_map: LiveMap, spawn: Spawn
) -> None:
    zergling_id = spawn(0, 0, "E")
    spawn(4, 0, "N")
    live_map.open()
    # From here on no frame may show anybody between two places.
    live_map.page.evaluate(
        """async () => {
            const { Animations } = await import("/static/overmind/animations.js");
            const add = Animations.prototype.add;
            window.moving = [];
            Animations.prototype.add = function (slot, ...rest) {
                add.call(this, slot, ...rest);
                window.moving.push(this.isMoving(slot));
            };
        }"""
    )
    assert service.call("POST", f"/zerglings/{zergling_id}", '"M"').status == 200
    live_map.expect_row(zergling_id, 1, 0, "east")
    assert live_map.page.evaluate("window.moving") == [False]


FOLLOW = """() => {
    const stage = document.querySelector("#stage");
    window.seen = { views: [], animations: 0 };
    const look = () => {
        const view = `${stage.dataset.x} ${stage.dataset.offset} ${stage.dataset.scale}`;
        if (seen.views.at(-1) !== view) seen.views.push(view);
        seen.animations += document.getAnimations().length;
        requestAnimationFrame(look);
    };
    look();
}"""
"""Notes each view in which the map is drawn from now on, and animations of styles."""


def step_back(live_map: LiveMap, zergling_id: str) -> Any:
    """Show the first of 60 steps, which is out of view, and return what `FOLLOW` notes."""
    live_map.open()
    live_map.select(zergling_id, 60)
    live_map.page.get_by_role("button", name="Show on the map").click()
    stage = live_map.page.locator("#stage")
    expect(stage).to_have_attribute("data-x", "60")
    live_map.page.evaluate(FOLLOW)
    live_map.slider.press("Home")
    live_map.expect_moment(0, "0, 0, facing east")
    expect(stage).to_have_attribute("data-x", "0")
    expect(stage).to_have_attribute("data-offset", "0 0")
    for key in (".", ".", ","):
        live_map.page.keyboard.press(key)
    live_map.expect_moment(1, "1, 0, facing east")
    return live_map.page.evaluate("seen")


def test_reduced_motion_steps_through_the_history_without_animation(
    calm: None, live_map: LiveMap, spawn: Spawn, command: Command
) -> None:
    zergling_id = spawn(0, 0, "E")
    command(zergling_id, "M" * 60)
    seen = step_back(live_map, zergling_id)
    assert len(seen["views"]) == 2
    assert seen["animations"] == 0


def test_the_view_flies_to_a_step_that_is_out_of_it(
    live_map: LiveMap, spawn: Spawn, command: Command
) -> None:
    zergling_id = spawn(0, 0, "E")
    command(zergling_id, "M" * 60)
    assert len(step_back(live_map, zergling_id)["views"]) > 3


def test_a_step_is_animated_and_the_animation_ends(
    service: Service, live_map: LiveMap, spawn: Spawn
) -> None:
    zergling_id = spawn(0, 0, "E")
    spawn(4, 0, "N")
    live_map.open()
    assert live_map.pixel(0, 0) == live_map.colour_of("east")
    assert service.call("POST", f"/zerglings/{zergling_id}", '"M"').status == 200
    live_map.page.wait_for_function(IS_OVERLAY_BLANK, arg=False)
    live_map.page.wait_for_function(IS_OVERLAY_BLANK, arg=True)
    assert live_map.pixel(0, 0) == ""
    assert live_map.pixel(1, 0) == live_map.colour_of("east")


IS_OVERLAY_BLANK = """wanted => {
    const canvas = document.querySelector("#overlay");
    const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
    return new Uint32Array(data.buffer).every((pixel) => pixel === 0) === wanted;
}"""


def test_several_zerglings_at_one_place_show_their_number(live_map: LiveMap, spawn: Spawn) -> None:
    for _ in range(3):
        spawn(0, 0)
    live_map.open()
    expect(live_map.page.locator("#summary")).to_have_text(re.compile("3 zerglings in view"))
    ink = live_map.colour_of("ink")
    assert live_map.page.locator("#swarm").evaluate(
        """(canvas, ink) => {
            const { width, height } = canvas;
            const { data } = canvas.getContext("2d").getImageData(0, 0, width, height);
            for (let at = 0; at < data.length; at += 4)
                if (`rgb(${data[at]}, ${data[at + 1]}, ${data[at + 2]})` === ink) return true;
            return false;
        }""",
        ink,
    )
