"""Tests that the list can be downloaded as CSV from the map and from its own page."""

from __future__ import annotations

import pytest

from tests.browser.conftest import Spawn
from tests.browser.live_map import LiveMap


@pytest.mark.parametrize("path", ["", "zerglings/"])
def test_a_link_downloads_all_zerglings_with_the_keyboard(
    live_map: LiveMap, spawn: Spawn, path: str
) -> None:
    page = live_map.page
    ids = [spawn(3, -4, "S"), spawn(7, 0, "W")]
    page.goto(live_map.url + path)
    page.get_by_role("link", name="as CSV").focus()
    with page.expect_download() as started:
        page.keyboard.press("Enter")
    assert started.value.suggested_filename == "zerglings.csv"
    header, *lines = started.value.path().read_text(encoding="utf-8").splitlines()
    assert header == "id,x,y,facing"
    assert lines == sorted([f"{ids[0]},3,-4,S", f"{ids[1]},7,0,W"])


def test_a_page_of_the_list_links_to_the_same_page_as_csv(live_map: LiveMap, spawn: Spawn) -> None:
    ids = sorted(spawn() for _ in range(3))
    live_map.page.goto(f"{live_map.url}zerglings/?limit=1&after={ids[0]}")
    with live_map.page.expect_download() as started:
        live_map.page.get_by_role("link", name="GET as CSV").click()
    _, line = started.value.path().read_text(encoding="utf-8").splitlines()
    assert line.startswith(ids[1])


def test_what_has_no_csv_has_no_link_to_it(live_map: LiveMap, spawn: Spawn) -> None:
    live_map.page.goto(f"{live_map.url}zerglings/{spawn()}")
    assert live_map.page.get_by_role("link", name="as JSON").count() == 1
    assert live_map.page.get_by_role("link", name="as CSV").count() == 0
