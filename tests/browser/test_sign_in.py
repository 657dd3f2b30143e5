"""Tests for signing in with a browser, using the map afterwards, and signing out."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, Response, expect

from tests.browser.axe import barriers
from tests.browser.live_map import LiveMap
from tests.browser.test_copying import COPY_ONLY, copied, run_in_shell
from tests.support.backends import Backend
from tests.support.browser import Watch
from tests.support.service import Service
from tests.support.tokens import (
    READER,
    READER_LINE,
    STRANGER,
    WRITER,
    WRITER_LINE,
    bearer,
    file_of_tokens,
)
from tests.support.waiting import wait_until

REFUSED = "the server responded with a status of 40[13]"
"""The console message of a browser about a refused request."""

OTHER = "http://127.0.0.1:9999/"
"""A service on another port of the same host."""

SOON = 15_000
"""Milliseconds within which a page detects that its token was removed."""


@pytest.fixture
def tokens(tmp_path: Path) -> Path:
    return file_of_tokens(tmp_path)


@pytest.fixture
def backend(sqlite: Backend, tokens: Path) -> Backend:
    return Backend(sqlite.environment | {"OVERMIND_TOKENS_FILE": str(tokens)})


@pytest.fixture
def service(own_service: Service) -> Service:
    return own_service


@pytest.fixture
def live_map(watched: tuple[LiveMap, Watch]) -> LiveMap:
    """The map, which requires signing in."""
    live_map, watch = watched
    watch.expected = [REFUSED]
    return live_map


@pytest.fixture(params=["light", "dark"])
def scheme(request: pytest.FixtureRequest, look: dict[str, Any]) -> str:
    look["color_scheme"] = request.param
    return str(request.param)


@pytest.fixture
def clipboard(look: dict[str, Any]) -> None:
    look["permissions"] = COPY_ONLY


@pytest.fixture
def without_scripts(look: dict[str, Any]) -> None:
    look["java_script_enabled"] = False


def sign_in(page: Page, token: str) -> None:
    page.get_by_label(re.compile("token", re.IGNORECASE)).fill(token)
    page.get_by_role("button", name="Sign in").click()


def cookies(page: Page) -> list[str]:
    return [str(cookie.get("value")) for cookie in page.context.cookies()]


def spawn(service: Service) -> str:
    reply = service.call("POST", "/zerglings/", headers=bearer(WRITER))
    zergling_id: str = reply.json["zergling"]["id"]
    return zergling_id


def test_signing_in_commanding_and_signing_out_works(live_map: LiveMap) -> None:
    page = live_map.page
    response = page.goto(live_map.url)
    assert isinstance(response, Response)
    assert response.status == 401
    expect(page.get_by_role("heading", name="Overmind")).to_be_visible()
    expect(page.get_by_role("alert")).to_have_count(0)
    sign_in(page, WRITER)
    live_map.expect_complete()
    assert page.url == live_map.url
    page.keyboard.press("n")
    expect(live_map.notice).to_contain_text("has hatched")
    page.keyboard.press("m")
    expect(live_map.notice).to_contain_text("is at")
    expect(page.get_by_text("pilot")).to_be_visible()
    page.get_by_role("button", name="Sign out").click()
    expect(page).to_have_url(re.compile("/sign-in$"))
    assert cookies(page) == []
    page.goto(live_map.url)
    expect(page.get_by_role("button", name="Sign in")).to_be_visible()


def test_scripts_cannot_read_the_token(live_map: LiveMap) -> None:
    live_map.page.goto(live_map.url)
    sign_in(live_map.page, WRITER)
    live_map.expect_complete()
    assert live_map.page.evaluate("document.cookie") == ""
    assert cookies(live_map.page) == [WRITER]
    assert WRITER not in live_map.page.content()


def test_an_unknown_token_is_reported_on_the_page(live_map: LiveMap) -> None:
    page = live_map.page
    page.goto(live_map.url)
    sign_in(page, STRANGER)
    expect(page.get_by_role("alert")).to_contain_text("not known here")
    assert cookies(page) == []
    sign_in(page, READER)
    live_map.expect_complete()


def test_a_reader_sees_everything_and_why_commands_are_refused(
    service: Service, live_map: LiveMap
) -> None:
    spawned = spawn(service)
    page = live_map.page
    page.goto(live_map.url)
    sign_in(page, READER)
    live_map.expect_complete()
    live_map.expect_row(spawned, 0, 0, "north")
    expect(page.get_by_text("viewer, who may only read")).to_be_visible()
    page.keyboard.press("n")
    expect(live_map.notice).to_contain_text("This token may only read")
    live_map.row(spawned).click()
    page.get_by_role("button", name=re.compile("^Move")).click()
    expect(live_map.notice).to_contain_text("This token may only read")
    live_map.expect_row(spawned, 0, 0, "north")
    expect(live_map.state).to_have_text("Live")


def test_a_copied_command_takes_the_token_from_the_environment(
    clipboard: None, live_map: LiveMap
) -> None:
    page = live_map.page
    page.goto(live_map.url)
    sign_in(page, WRITER)
    live_map.expect_complete()
    page.get_by_role("button", name="Copy Spawn as curl").click()
    expect(live_map.notice).to_have_text("Copied as curl.")
    line = copied(live_map)
    assert WRITER not in line
    spawned = json.loads(run_in_shell(line, OVERMIND_TOKEN=WRITER))["zergling"]["id"]
    with pytest.raises(subprocess.CalledProcessError) as refused:
        run_in_shell(line, OVERMIND_TOKEN=STRANGER)
    assert "not known here" in refused.value.stdout
    live_map.row(spawned).click()
    page.keyboard.press("m")
    live_map.expect_steps(1)
    page.get_by_role("button", name="Copy the history as curl").click()
    expect(live_map.notice).to_have_text("Copied as curl.")
    history = json.loads(run_in_shell(copied(live_map), OVERMIND_TOKEN=READER))
    assert history == {"commandHistory": ["M"]}


def sign_in_and_lose_the_token(live_map: LiveMap, tokens: Path) -> None:
    live_map.page.goto(live_map.url)
    sign_in(live_map.page, WRITER)
    live_map.expect_complete()
    tokens.write_text(READER_LINE)
    expect(live_map.state).to_have_text("Signed out", timeout=SOON)


def test_removing_a_token_signs_out_an_open_map(live_map: LiveMap, tokens: Path) -> None:
    sign_in_and_lose_the_token(live_map, tokens)
    page = live_map.page
    expect(page.locator("#retry")).to_be_hidden()
    page.keyboard.press("n")
    expect(live_map.notice).to_contain_text("This token is not known here")
    page.get_by_role("link", name="Sign in").click()
    sign_in(page, READER)
    live_map.expect_complete()


def test_a_signed_out_map_resumes_when_its_token_is_valid_again(
    service: Service, live_map: LiveMap, tokens: Path
) -> None:
    sign_in_and_lose_the_token(live_map, tokens)
    tokens.write_text(f"{READER_LINE}\n{WRITER_LINE}\n")
    wait_until(
        lambda: service.call("GET", "/zerglings/", headers=bearer(WRITER)).status == 200,
        "the service knows the token again",
    )
    live_map.page.evaluate("dispatchEvent(new Event('online'))")  # as after a stay elsewhere
    expect(live_map.state).to_have_text("Live")


def test_a_link_survives_signing_in(service: Service, live_map: LiveMap) -> None:
    page = live_map.page
    zergling_id = spawn(service)
    for path in (f"#{zergling_id}", "docs/#/zerglings/spawnZergling", "zerglings/#post"):
        page.goto(live_map.url + path)
        sign_in(page, STRANGER)
        expect(page.get_by_role("alert")).to_contain_text("not known here")
        sign_in(page, WRITER)
        expect(page).to_have_url(live_map.url + path)
        page.context.clear_cookies()


def test_signing_in_again_returns_to_the_selected_zergling(
    service: Service, live_map: LiveMap, tokens: Path
) -> None:
    page = live_map.page
    zergling_id = spawn(service)
    page.goto(live_map.url)
    sign_in(page, WRITER)
    live_map.expect_complete()
    live_map.row(zergling_id).click()
    expect(page).to_have_url(f"{live_map.url}#{zergling_id}")
    tokens.write_text(READER_LINE)
    expect(live_map.state).to_have_text("Signed out", timeout=SOON)
    page.get_by_role("link", name="Sign in").click()
    sign_in(page, READER)
    live_map.expect_complete()
    expect(live_map.panel.locator("h2")).to_have_text(zergling_id)


def test_the_browsable_api_and_the_documentation_require_signing_in_too(
    live_map: LiveMap,
) -> None:
    page = live_map.page
    page.goto(f"{live_map.url}zerglings/?limit=5")
    sign_in(page, WRITER)
    expect(page).to_have_url(f"{live_map.url}zerglings/?limit=5")
    page.locator("form[enctype='multipart/form-data']").get_by_role("button", name="POST").click()
    expect(page.get_by_text("HTTP 201 Created")).to_be_visible()
    page.get_by_role("button", name="Sign out pilot").click()
    page.goto(f"{live_map.url}docs/")
    sign_in(page, READER)
    expect(page.get_by_text("Spawn a zergling").first).to_be_visible()


def test_signing_in_has_no_barriers(live_map: LiveMap) -> None:
    page = live_map.page
    page.goto(live_map.url)
    assert barriers(page) == []
    sign_in(page, STRANGER)
    expect(page.get_by_role("alert")).to_contain_text("not known here")
    assert barriers(page) == []
    sign_in(page, READER)
    live_map.expect_complete()
    assert barriers(page) == []
    page.goto(f"{live_map.url}sign-in")
    assert barriers(page) == []
    page.goto(f"{live_map.url}zerglings/")
    assert barriers(page) == []
    page.get_by_role("button", name="POST").first.click()
    expect(page.get_by_role("alert")).to_contain_text("may only read")
    assert barriers(page) == []


def test_signing_in_and_out_works_without_scripts(without_scripts: None, live_map: LiveMap) -> None:
    page = live_map.page
    page.goto(f"{live_map.url}zerglings/")
    sign_in(page, READER)
    expect(page).to_have_url(f"{live_map.url}zerglings/")
    page.goto(f"{live_map.url}sign-in")
    expect(page.get_by_text("Signed in as viewer, who may only read.")).to_be_visible()
    page.get_by_role("button", name="Sign out").click()
    assert cookies(page) == []


@pytest.mark.parametrize("path", ["zerglings/", "sign-out"])
def test_a_page_of_another_port_cannot_use_the_cookie(
    service: Service, live_map: LiveMap, watch: Watch, path: str
) -> None:
    page = live_map.page
    page.goto(live_map.url)
    sign_in(page, WRITER)
    live_map.expect_complete()
    form = f'<form method="post" action="{live_map.url}{path}"><button>Win</button></form>'
    page.route(f"{OTHER}**", lambda route: route.fulfill(body=form, content_type="text/html"))
    page.goto(OTHER)
    with page.expect_request(f"{live_map.url}{path}") as sent, page.expect_navigation():
        page.get_by_role("button", name="Win").click()
    # It is the same site to a browser, so only the service can refuse it.
    assert WRITER in sent.value.all_headers()["cookie"]
    expect(page.get_by_text("another site")).to_be_visible()
    assert service.call("GET", "/zerglings/", headers=bearer(READER)).json == {}
    assert cookies(page) == [WRITER]
    watch.foreign.clear()


def test_the_sign_in_page_fits_and_follows_the_theme(scheme: str, live_map: LiveMap) -> None:
    page = live_map.page
    for width in (320, 1280):
        page.set_viewport_size({"width": width, "height": 640})
        page.goto(live_map.url)
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        card = page.locator(".gate")
        box = card.bounding_box()
        assert box is not None
        assert abs(box["x"] + box["width"] / 2 - width / 2) < 1
        assert page.get_by_label("Token").evaluate("field => field === document.activeElement")
    ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert ground == {"light": "rgb(250, 248, 243)", "dark": "rgb(16, 22, 28)"}[scheme]
