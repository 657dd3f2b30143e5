"""Tests that people with disabilities can use every page: axe-core, and the keyboard alone."""

from __future__ import annotations

import re

import pytest
from django.urls import URLPattern, reverse
from playwright.sync_api import Locator, Page, expect

from overmind_project.urls import urlpatterns
from tests.browser.axe import barriers
from tests.browser.conftest import Command, Spawn
from tests.browser.live_map import LiveMap
from tests.support.browser import Watch
from tests.support.service import Service

CONTROLS = "a[href], button, input, select, textarea, summary"
FOCUSED = """() => {
    const focused = document.activeElement;
    const { outlineStyle, outlineWidth } = getComputedStyle(focused);
    const { top, bottom } = focused.getBoundingClientRect();
    return {
        place: [...document.querySelectorAll("*")].indexOf(focused),
        isMarked: outlineStyle !== "none" && parseFloat(outlineWidth) >= 2,
        isShown: bottom > 0 && top < innerHeight,
    };
}"""


@pytest.fixture
def page(live_map: LiveMap, watch: Watch) -> Page:
    watch.expected = [r"status of 40\d"]  # a browser reports refused requests on the console
    return live_map.page


@pytest.fixture
def url(live_map: LiveMap) -> str:
    return live_map.url


def paths_of_pages(service: Service, zergling_id: str) -> list[str]:
    """The path of each route that has a page for browsers."""
    found = []
    for route in urlpatterns:
        assert isinstance(route, URLPattern)
        assert route.name
        has_id = "id" in route.pattern.regex.groupindex
        path = reverse(route.name, kwargs={"id": zergling_id} if has_id else None)
        reply = service.call("GET", path, headers={"Accept": "text/html"})
        if reply.headers.get_content_type() == "text/html":
            found.append(path.lstrip("/"))
    return found


def post(page: Page, **fields: str) -> None:
    """Send the form of a page."""
    form = page.locator("form[enctype='multipart/form-data']")
    for label, value in fields.items():
        form.get_by_label(label, exact=True).fill(value)
    form.get_by_role("button", name="POST").click()


def send_raw(page: Page, content: str) -> None:
    page.get_by_text("As raw data").click()
    page.get_by_label("Content").fill(content)
    page.get_by_role("button", name="POST").last.click()


def answer(page: Page, status: int) -> Locator:
    """The heading above an answer, which has the focus."""
    heading = page.get_by_role("heading", name=f"HTTP {status}")
    expect(heading).to_be_focused()
    return heading


def test_no_page_has_barriers(service: Service, page: Page, url: str, spawn: Spawn) -> None:
    spawn()
    paths = paths_of_pages(service, spawn(2, 3, "S"))
    assert len(paths) >= 9
    paths.remove("docs")  # see test_documentation.py
    for path in [*paths, "zerglings/nobody", "zerglings/?limit=x", "zerglings/?limit=1"]:
        page.goto(url + path)
        assert barriers(page) == []


def test_no_answer_to_a_form_has_barriers(page: Page, url: str, spawn: Spawn) -> None:
    zergling = f"{url}zerglings/{spawn()}"
    page.goto(f"{url}zerglings/")
    post(page)
    answer(page, 201)
    assert barriers(page) == []
    post(page, X="1.5")
    answer(page, 400)
    assert barriers(page) == []
    page.goto(zergling)
    send_raw(page, "[1]")
    answer(page, 400)
    assert barriers(page) == []
    page.get_by_role("button", name="OPTIONS").click()
    answer(page, 200)
    page.get_by_text("DELETE", exact=True).last.click()
    assert barriers(page) == []
    page.get_by_role("button", name="Delete this zergling").click()
    answer(page, 204)
    assert barriers(page) == []


def test_the_map_in_use_has_no_barriers(live_map: LiveMap, page: Page, spawn: Spawn) -> None:
    live_map.open()
    assert barriers(page) == []
    live_map.row(spawn(2, 3)).click()
    expect(live_map.panel).to_be_visible()
    assert barriers(page) == []
    live_map.page.get_by_role("searchbox").fill("nobody")
    page.keyboard.press("Enter")
    expect(live_map.notice).to_have_attribute("data-kind", "error")
    assert barriers(page) == []


def test_the_history_on_the_map_has_no_barriers(
    live_map: LiveMap, page: Page, spawn: Spawn, command: Command
) -> None:
    zergling_id = spawn(2, 3)
    command(zergling_id, "MRM" * 60)  # more than its box shows
    live_map.open()
    live_map.select(zergling_id, 180)
    assert barriers(page) == []
    live_map.slider.press("ArrowLeft")
    live_map.expect_moment(179, "2, 2, facing north")
    assert barriers(page) == []


def test_the_dialogs_of_the_map_have_no_barriers(
    live_map: LiveMap, page: Page, spawn: Spawn
) -> None:
    page.add_init_script("delete Navigator.prototype.clipboard")
    zergling_id = spawn()
    live_map.open()
    live_map.row(zergling_id).click()
    for opener in (live_map.keys, page.get_by_role("button", name="Copy link")):
        opener.click()
        expect(page.get_by_role("dialog")).to_be_visible()
        assert barriers(page) == []
        page.keyboard.press("Escape")
    live_map.keys.click()
    live_map.character_keys.uncheck()
    assert barriers(page) == []
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_be_hidden()
    assert barriers(page) == []


def test_the_map_without_a_connection_has_no_barriers(
    live_map: LiveMap, page: Page, watch: Watch
) -> None:
    watch.expected = ["net::ERR_FAILED"]
    page.route("**/events", lambda route: route.abort())
    page.goto(live_map.url)
    expect(live_map.state).to_have_text("Offline")
    assert barriers(page) == []


@pytest.mark.parametrize("path", ["zerglings/", "zerglings/{id}", "swarm/commands", "sign-in"])
def test_the_tab_key_reaches_every_control_and_shows_it(
    page: Page, url: str, spawn: Spawn, path: str
) -> None:
    page.goto(url + path.format(id=spawn()))
    page.locator("details").evaluate_all("found => found.forEach((each) => (each.open = true))")
    visible = page.locator(CONTROLS).filter(visible=True)
    wanted = visible.evaluate_all(
        "found => found.map((each) => [...document.querySelectorAll('*')].indexOf(each))"
    )
    for place in wanted:
        page.keyboard.press("Tab")
        focused = page.evaluate(FOCUSED)
        assert focused == {"place": place, "isMarked": True, "isShown": True}, place


def test_the_skip_link_leads_past_the_navigation(page: Page, url: str) -> None:
    page.goto(f"{url}zerglings/")
    skip = page.get_by_role("link", name="Skip to the content")
    page.keyboard.press("Tab")
    expect(skip).to_be_focused()
    expect(skip).to_be_in_viewport()
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    expect(page.get_by_label("Breadcrumbs").get_by_role("link").first).to_be_focused()


def test_a_zergling_lives_and_dies_by_the_keyboard(page: Page, url: str, service: Service) -> None:
    press, write = page.keyboard.press, page.keyboard.type
    page.goto(f"{url}zerglings/")
    page.get_by_label("X", exact=True).focus()
    press("ControlOrMeta+a")
    write("7")
    press("Enter")
    answer(page, 201)
    (zergling,) = service.call("GET", "/zerglings/").json["zerglings"]
    assert zergling["location"] == {"x": 7, "y": -4}
    page.goto(f"{url}zerglings/{zergling['id']}")
    page.get_by_text("As raw data").focus()
    for key in ("Enter", "Tab", "Tab", "ControlOrMeta+a"):
        press(key)
    write('"MM"')
    press("Tab")
    press("Enter")
    answer(page, 200)
    expect(page.locator("pre")).to_contain_text('"x": 9')
    page.locator("summary", has_text="DELETE").focus()
    for key in ("Space", "Tab", "Enter"):
        press(key)
    answer(page, 204)
    assert service.call("GET", "/zerglings/").json == {}


def test_pages_lead_to_the_next_and_to_the_map_by_the_keyboard(
    live_map: LiveMap, url: str, spawn: Spawn
) -> None:
    page, ids = live_map.page, sorted([spawn(), spawn()])
    page.goto(f"{url}zerglings/?limit=1")
    page.get_by_role("link", name="Next page").press("Enter")
    expect(page.locator("pre")).to_contain_text(ids[1])
    page.goto(f"{url}zerglings/{ids[1]}")
    page.get_by_role("link", name="Show on the map").press("Enter")
    expect(live_map.panel.locator("h2")).to_have_text(ids[1])


def test_a_refused_form_keeps_the_input_and_says_what_is_wrong(page: Page, url: str) -> None:
    page.goto(f"{url}zerglings/")
    post(page, X="1.5")
    expect(page).to_have_title(re.compile("^400 Bad Request – "))
    field = page.get_by_label("X", exact=True)
    expect(field).to_have_value("1.5")
    expect(field).to_have_attribute("aria-invalid", "true")
    expect(field).to_have_accessible_description(re.compile("must be an integer .* to the east"))


def test_pages_fit_a_phone(page: Page, url: str, spawn: Spawn) -> None:
    page.set_viewport_size({"width": 320, "height": 640})
    for path in ("zerglings/", f"zerglings/{spawn()}", "swarm/spawn", "regions"):
        page.goto(url + path)
        assert page.evaluate("document.documentElement.scrollWidth") <= 320
