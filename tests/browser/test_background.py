"""Tests that the map stops drawing in a background tab and resumes in the foreground."""

from __future__ import annotations

import signal

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import Spawn
from tests.browser.live_map import LiveMap
from tests.support.browser import Watch
from tests.support.service import Service

HIDE = """isHidden => {
    Object.defineProperty(document, "hidden", { value: isHidden, configurable: true });
    document.dispatchEvent(new Event("visibilitychange"));
}"""


@pytest.fixture
def service(own_service: Service) -> Service:
    return own_service


def test_a_page_in_the_background_disconnects_until_it_is_shown(
    service: Service, live_map: LiveMap, watch: Watch, spawn: Spawn
) -> None:
    watch.expected = [r"net::ERR_"]
    live_map.open()
    live_map.page.evaluate(HIDE, True)
    service.stop(signal.SIGQUIT)
    expect(live_map.state).to_have_text("Resting in the background")
    service.start()
    zergling_id = spawn(2, 3, "S")
    live_map.page.evaluate(HIDE, False)
    live_map.expect_row(zergling_id, 2, 3, "south")
    expect(live_map.state).to_have_text("Live")


def test_a_page_opened_in_the_background_stays_disconnected(live_map: LiveMap) -> None:
    live_map.page.clock.install()
    live_map.page.add_init_script(f"({HIDE})(true)")
    live_map.page.goto(live_map.url)
    expect(live_map.state).to_have_text("Live")
    live_map.page.clock.fast_forward(31_000)
    expect(live_map.state).to_have_text("Resting in the background")
    live_map.page.evaluate(HIDE, False)
    live_map.expect_complete()


def test_frame_requests_do_not_pile_up_without_frames(live_map: LiveMap, spawn: Spawn) -> None:
    live_map.page.add_init_script(
        "window.asked = 0; window.requestAnimationFrame = () => (window.asked += 1);"
    )
    live_map.open()
    live_map.expect_row(spawn(0, 0), 0, 0, "north")
    asked = live_map.page.evaluate("window.asked")
    for x in range(1, 6):
        live_map.expect_row(spawn(x, 0), x, 0, "north")
    assert live_map.page.evaluate("window.asked") == asked > 0
