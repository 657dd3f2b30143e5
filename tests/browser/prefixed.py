"""Visits every page of a service that runs below a path prefix."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from playwright.sync_api import Request, expect

from tests.browser.live_map import LiveMap
from tests.support.tokens import WRITER

LONG = 60_000
"""Milliseconds that the documents, a long script, may take to show on a busy machine."""


def walk(live_map: LiveMap, prefix: str) -> None:
    """Sign in, use the map, the pages of the API and its documents, and sign out.

    Fails if the browser requested a URL outside ``prefix``.
    """
    page = live_map.page
    outside: list[str] = []

    def look(request: Request) -> None:
        url = urlsplit(request.url)
        if url.scheme != "data" and not f"{url.path}/".startswith(f"{prefix}/"):
            outside.append(request.url)

    page.context.on("request", look)
    page.goto(live_map.url)
    _sign_in(live_map)
    _use_the_map(live_map)
    _use_the_pages(live_map, prefix)
    page.goto(live_map.url)
    page.get_by_role("button", name="Sign out").click()
    expect(page).to_have_url(re.compile(f"{prefix}/sign-in$"))
    assert page.context.cookies() == []
    assert outside == []


def _sign_in(live_map: LiveMap) -> None:
    page = live_map.page
    page.get_by_label("Token").fill(WRITER)
    page.get_by_role("button", name="Sign in").click()
    live_map.expect_complete()
    assert page.url == live_map.url
    (cookie,) = page.context.cookies()
    assert cookie.get("path") == urlsplit(live_map.url).path.rstrip("/")


def _use_the_map(live_map: LiveMap) -> None:
    page = live_map.page
    page.keyboard.press("n")
    expect(live_map.notice).to_contain_text("has hatched")
    page.keyboard.press("m")
    expect(live_map.notice).to_contain_text("is at")
    headers = {"Authorization": f"Bearer {WRITER}"}
    call = page.context.request
    (zergling,) = call.get(f"{live_map.url}zerglings/", headers=headers).json()["zerglings"]
    x, y = zergling["location"]["x"], zergling["location"]["y"]
    live_map.expect_row(zergling["id"], x, y, "north")
    told = call.post(
        f"{live_map.url}zerglings/{zergling['id']}", headers=headers, form={"command": "MM"}
    )
    assert told.ok
    live_map.expect_row(zergling["id"], x, y + 2, "north")  # as only the event stream says


def _use_the_pages(live_map: LiveMap, prefix: str) -> None:
    page = live_map.page
    page.goto(f"{live_map.url}zerglings/?limit=1")
    page.locator("form[enctype='multipart/form-data']").get_by_role("button", name="POST").click()
    expect(page.get_by_text("HTTP 201 Created")).to_be_visible()
    page.get_by_role("link", name="Zerglings", exact=True).click()
    expect(page).to_have_url(f"{live_map.url}zerglings/")
    page.get_by_role("button", name="OPTIONS").click()
    expect(page.get_by_text(f"OPTIONS {prefix}/zerglings/")).to_be_visible()
    expect(page.get_by_text("HTTP 200 OK")).to_be_visible()
    page.get_by_role("link", name="Live map").click()
    live_map.expect_complete()
    page.get_by_role("link", name="The API").click()
    expect(page.get_by_text("Spawn a zergling").first).to_be_visible(timeout=LONG)
    expect(page.locator(".servers")).to_contain_text(prefix)  # before each path there
