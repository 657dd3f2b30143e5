"""Tests that the browsable API shows answers that are no page without sending another request."""

from __future__ import annotations

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser.live_map import LiveMap
from tests.support.backends import Backend
from tests.support.browser import Watch
from tests.support.service import Service


@pytest.fixture
def backend(sqlite: Backend) -> Backend:
    return Backend(sqlite.environment | {"OVERMIND_RATE_LIMIT": "1/h:2"})


@pytest.fixture
def service(own_service: Service) -> Service:
    return own_service


@pytest.fixture
def page(live_map: LiveMap, watch: Watch) -> Page:
    """The list, whose form for raw data is open; one more request may be sent."""
    watch.expected = ["status of 429", "net::ERR_CONNECTION_REFUSED"]
    live_map.page.goto(f"{live_map.url}zerglings/")
    live_map.page.get_by_text("As raw data").click()
    return live_map.page


def content(page: Page) -> Locator:
    return page.get_by_label("Content")


def send(page: Page, text: str) -> None:
    content(page).fill(text)
    page.get_by_role("button", name="POST").last.click()


def test_a_form_beyond_the_rate_limit_shows_the_429_and_keeps_its_input(page: Page) -> None:
    send(page, '{"facing": "W"}')
    expect(page.get_by_role("heading", name="HTTP 201 Created")).to_be_focused()
    sent: list[str] = []
    page.on("request", lambda request: sent.append(request.method))
    page.get_by_text("As raw data").click()
    send(page, '{"facing": "S"}')
    expect(page.get_by_role("heading", name="HTTP 429 Too Many Requests")).to_be_focused()
    shown = page.locator("pre")
    expect(shown).to_contain_text("retry-after: ")
    expect(shown).to_contain_text("Too many requests")
    expect(content(page)).to_have_value('{"facing": "S"}')
    assert sent == ["POST"]


def test_a_form_without_an_answer_is_reported_and_keeps_its_input(
    page: Page, service: Service
) -> None:
    service.stop()
    sent: list[str] = []
    page.on("request", lambda request: sent.append(request.method))
    send(page, '{"facing": "S"}')
    expect(page.get_by_role("heading", name="No answer")).to_be_focused()
    expect(page.locator("pre")).to_contain_text("It is unknown whether this was carried out")
    expect(content(page)).to_have_value('{"facing": "S"}')
    assert sent == ["POST"]
