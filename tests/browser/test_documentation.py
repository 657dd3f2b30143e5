"""Tests that the documentation at ``/docs/`` is accessible, and that calls can be tried on it."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser.axe import PHONE, barriers
from tests.browser.live_map import LiveMap
from tests.browser.test_accessibility import CONTROLS, FOCUSED
from tests.support.service import Service

LONG = 60_000
"""Milliseconds that Swagger UI, a long script, may take on a busy machine."""

DARK = "rgb(28, 32, 34)"
"""Swagger UI's background in its dark scheme."""


BEHIND = """() => {
    const focused = document.activeElement;  // the body while the browser itself has the focus
    return focused !== document.body && !focused.closest("dialog");
}"""
"""Whether the focus is on the page behind the dialog."""


@pytest.fixture
def page(live_map: LiveMap) -> Page:
    """The documentation, with all operations listed and closed."""
    page = live_map.page
    page.goto(f"{live_map.url}docs/")
    expect(operation(page, "Spawn a zergling")).to_be_visible(timeout=LONG)
    return page


def operation(page: Page, summary: str) -> Locator:
    """The button that opens an operation."""
    return page.get_by_role("button", name=re.compile(f"{summary}$"))


def click_all(buttons: Locator) -> None:
    buttons.evaluate_all("buttons => buttons.forEach((button) => button.click())")


def open_all(page: Page) -> None:
    """Open all operations."""
    click_all(page.locator(".opblock-summary-control"))
    expect(page.locator(".responses-table")).to_have_count(page.locator(".opblock").count())


def test_the_list_of_operations_has_no_barriers(page: Page) -> None:
    assert barriers(page) == []


@pytest.mark.proof
def test_opened_operations_have_no_barriers(page: Page) -> None:
    open_all(page)
    assert barriers(page) == []


@pytest.mark.proof
def test_expanded_schemas_have_no_barriers(page: Page) -> None:
    click_all(page.get_by_role("button", name="Expand all"))
    expect(page.get_by_role("button", name="Collapse all").first).to_be_visible()
    assert barriers(page) == []


@pytest.mark.proof
def test_the_dialog_with_credentials_has_no_barriers(page: Page) -> None:
    page.get_by_role("button", name="Authorize").click()
    dialog = page.get_by_role("dialog", name="Available authorizations")
    assert barriers(page) == []
    dialog.get_by_label("Value:").first.fill("a token")
    dialog.get_by_role("button", name="Authorize").first.click()
    expect(dialog.get_by_role("button", name="Logout")).to_be_visible()
    assert barriers(page) == []


def test_the_dialog_keeps_the_focus_and_returns_it(page: Page) -> None:
    authorize = page.get_by_role("button", name="Authorize")
    authorize.press("Enter")
    dialog = page.get_by_role("dialog")
    expect(dialog).to_be_visible()
    for _ in range(2 * dialog.get_by_role("button").count()):  # more often than it has controls
        page.keyboard.press("Tab")
        assert page.evaluate(BEHIND) is False
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    expect(authorize).to_be_focused()


@pytest.mark.proof
def test_the_tab_key_reaches_every_control_and_shows_it(page: Page) -> None:
    page.emulate_media(reduced_motion="reduce")
    operation(page, "Spawn a zergling").press("Enter")
    page.get_by_role("button", name="Try it out", exact=True).press("Enter")
    expect(page.get_by_role("button", name="Execute")).to_be_visible()
    # Others are the arrows of the operations, which do the same as the buttons beside them.
    controls = page.locator(f":is({CONTROLS}):not([tabindex='-1'])").filter(visible=True)
    wanted = controls.evaluate_all(
        "found => found.map((each) => [...document.querySelectorAll('*')].indexOf(each))"
    )
    controls.first.focus()
    reached = []
    while page.evaluate("document.activeElement !== document.body"):  # up to the page's end
        focused = page.evaluate(FOCUSED)
        assert focused["isMarked"], focused
        assert focused["isShown"], focused
        reached.append(focused["place"])
        page.keyboard.press("Tab")
    assert set(wanted) <= set(reached)


def test_the_page_follows_the_colour_scheme(page: Page) -> None:
    document = page.locator("html")
    page.emulate_media(color_scheme="dark")
    expect(document).to_have_css("background-color", DARK)
    page.emulate_media(color_scheme="light")
    expect(document).not_to_have_css("background-color", DARK)
    page.emulate_media(color_scheme="dark")
    page.reload()
    expect(document).to_have_css("background-color", DARK)


def test_opened_operations_fit_a_phone(page: Page) -> None:
    page.set_viewport_size(PHONE)  # type: ignore[arg-type]  # a typed dictionary there
    open_all(page)
    assert page.evaluate("document.scrollingElement.scrollWidth - innerWidth") <= 0


@pytest.mark.proof
def test_a_call_can_be_tried(page: Page, service: Service) -> None:
    operation(page, "Spawn a zergling").click()
    page.get_by_role("button", name="Try it out", exact=True).click()
    page.get_by_role("button", name="Execute").click()
    expect(page.locator(".live-responses-table tbody .response-col_status")).to_contain_text("201")
    (zergling,) = service.call("GET", "/zerglings/").json["zerglings"]
    assert zergling["location"] == {"x": 3, "y": -4}  # as in the example
    assert barriers(page) == []
