"""Tests how the map reports a lost, refused or slow connection and recovers from it."""

from __future__ import annotations

import re
import signal
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from playwright.sync_api import APIResponse, Request, Route, expect

from tests.browser.conftest import Spawn
from tests.browser.live_map import LiveMap
from tests.support.backends import Backend, sqlite_backend
from tests.support.browser import Watch
from tests.support.listening import Ear
from tests.support.service import Service

NO_ANSWER = r"net::ERR_|503|the server responded with a status of"
"""The console message of a browser about a failed request."""

OFFLINE = "Offline"
AT_ONCE = signal.SIGQUIT
"""An immediate stop: a graceful one would wait for the browser's idle connections."""

BACK = 15_000
"""Milliseconds until a page has reconnected, before its pauses get long."""


@pytest.fixture
def backend(sqlite: Backend, request: pytest.FixtureRequest) -> Backend:
    """The embedded store, with a limit of streams that a test chooses."""
    if "is_crowded" in request.fixturenames:
        return Backend(sqlite.environment | {"OVERMIND_STREAMS": "1"})
    return sqlite


@pytest.fixture
def service(own_service: Service) -> Service:
    return own_service


@pytest.fixture
def is_crowded() -> bool:
    return True


def test_the_page_survives_a_restart_of_the_service(
    service: Service, live_map: LiveMap, watch: Watch, spawn: Spawn
) -> None:
    watch.expected = [NO_ANSWER]
    zergling_id = spawn(1, 1, "E")
    live_map.open()
    service.stop(AT_ONCE)
    expect(live_map.state).to_have_text(OFFLINE)
    expect(live_map.page.locator("#countdown")).to_have_text(re.compile(r"next try in \d+ s"))
    overflow = "side => side.scrollWidth - side.clientWidth"
    assert live_map.page.get_by_role("complementary").evaluate(overflow) == 0
    service.start()
    expect(live_map.state).to_have_text("Live", timeout=BACK)
    assert service.call("POST", f"/zerglings/{zergling_id}", '"M"').status == 200
    live_map.expect_row(zergling_id, 2, 1, "east")


def test_changes_made_while_the_page_was_offline_appear(
    backend: Backend,
    service: Service,
    live_map: LiveMap,
    watch: Watch,
    spawn: Spawn,
    tmp_path: Path,
) -> None:
    watch.expected = [NO_ANSWER]
    zergling_id = spawn(1, 1, "E")
    live_map.open()
    service.stop(AT_ONCE)
    expect(live_map.state).to_have_text(OFFLINE)
    (tmp_path / "other").mkdir()
    with Service(backend.environment, tmp_path / "other") as other:
        assert other.call("POST", f"/zerglings/{zergling_id}", '"MM"').status == 200
    service.start()
    live_map.expect_row(zergling_id, 3, 1, "east", timeout=BACK)


def test_a_retry_can_be_requested_by_hand(
    service: Service, live_map: LiveMap, watch: Watch
) -> None:
    watch.expected = [NO_ANSWER]
    live_map.open()
    service.stop(AT_ONCE)
    expect(live_map.state).to_have_text(OFFLINE)
    service.start()
    # The try may come by itself before the button is pressed, and then there is no button.
    live_map.page.evaluate("document.querySelector('#retry').click()")
    expect(live_map.state).to_have_text("Live", timeout=2000)


def test_a_command_given_during_an_outage_is_executed_once_afterwards(
    service: Service, live_map: LiveMap, watch: Watch, spawn: Spawn
) -> None:
    watch.expected = [NO_ANSWER]
    zergling_id = spawn(0, 0, "N")
    live_map.open()
    live_map.row(zergling_id).click()
    service.stop(AT_ONCE)
    live_map.page.keyboard.press("m")
    expect(live_map.state).to_have_text(OFFLINE)
    service.start()
    live_map.expect_row(zergling_id, 0, 1, "north", timeout=BACK)
    shown = service.call("GET", f"/zerglings/{zergling_id}").json["zergling"]
    assert shown["commandHistory"] == ["M"]


def test_a_command_with_a_lost_response_is_repeated_with_its_key(
    service: Service, live_map: LiveMap, watch: Watch, spawn: Spawn
) -> None:
    watch.expected = [NO_ANSWER]
    zergling_id = spawn(0, 0, "N")
    keys: list[str] = []

    def lose_the_first_answer(route: Route) -> None:
        if route.request.method != "POST":
            return route.continue_()
        keys.append(route.request.headers["idempotency-key"])
        if len(keys) > 1:
            return route.continue_()
        route.fetch()
        return route.abort()

    live_map.page.route(f"**/zerglings/{zergling_id}", lose_the_first_answer)
    live_map.open()
    live_map.row(zergling_id).click()
    live_map.page.keyboard.press("m")
    expect(live_map.notice).to_contain_text("is at 0, 1")
    assert len(keys) == 2
    assert keys[0] == keys[1]
    shown = service.call("GET", f"/zerglings/{zergling_id}").json["zergling"]
    assert shown["commandHistory"] == ["M"]


def test_a_rejected_stream_is_retried_until_there_is_room(
    is_crowded: bool, service: Service, live_map: LiveMap, watch: Watch, spawn: Spawn
) -> None:
    watch.expected = [NO_ANSWER]
    with Ear(service) as other:
        assert other.next().kind == "ready"
        live_map.page.goto(live_map.url)
        expect(live_map.state).to_have_text(OFFLINE)
    # The service detects a closed stream when it sends the next event.

    def tell_something(request: Request) -> None:
        if "/events" in request.url:
            spawn()

    live_map.page.on("request", tell_something)
    expect(live_map.state).to_have_text("Live", timeout=BACK)
    live_map.expect_row(spawn(1, 2), 1, 2, "north")


def test_an_event_received_during_the_list_overrides_it(
    service: Service, live_map: LiveMap, spawn: Spawn
) -> None:
    moved, killed, still = spawn(0, 0, "E"), spawn(1, 0, "E"), spawn(2, 0, "E")
    held: list[Route] = []
    old_lists: list[APIResponse] = []

    def hold(route: Route) -> None:
        held.append(route)
        old_lists.append(route.fetch())
        live_map.page.evaluate("window.isHeld = true")

    live_map.page.route("**/zerglings/", hold)
    live_map.page.goto(live_map.url)
    live_map.page.wait_for_function("() => window.isHeld")
    assert service.call("POST", f"/zerglings/{moved}", '"M"').status == 200
    live_map.expect_row(moved, 1, 0, "east")
    newborn = spawn(5, 5, "S")
    assert service.call("DELETE", f"/zerglings/{killed}").status == 204
    live_map.expect_row(newborn, 5, 5, "south")
    # Events received before the list is complete arrive in this order.
    last = spawn(6, 6, "S")
    live_map.expect_row(last, 6, 6, "south")
    held[0].fulfill(response=old_lists[0])
    live_map.expect_complete()
    live_map.expect_row(still, 2, 0, "east")
    live_map.expect_row(moved, 1, 0, "east")
    live_map.expect_row(newborn, 5, 5, "south")
    expect(live_map.row(killed)).to_have_count(0)


def test_a_truncated_list_is_read_again(live_map: LiveMap, watch: Watch, spawn: Spawn) -> None:
    watch.expected = [NO_ANSWER]
    zergling_id = spawn(4, 4)
    answers = ['{"zerglings":[{"id":"']

    def break_the_first(route: Route) -> None:
        if answers:
            route.fulfill(body=answers.pop(), content_type="application/json")
        else:
            route.continue_()

    live_map.page.route("**/zerglings/", break_the_first)
    live_map.open()
    live_map.expect_row(zergling_id, 4, 4, "north")


def test_another_database_is_detected_and_read_from_the_start(
    service: Service, backend: Backend, live_map: LiveMap, watch: Watch, spawn: Spawn
) -> None:
    watch.expected = [NO_ANSWER]
    before = spawn(4, 4)
    live_map.open()
    live_map.expect_row(before, 4, 4, "north")
    service.stop(AT_ONCE)
    path = Path(backend.environment["OVERMIND_SQLITE_PATH"])
    for file in path.parent.glob(f"{path.name}*"):
        file.rename(file.with_name(f"old-{file.name}"))
    sqlite_backend(path.parent)
    service.start()
    expect(live_map.row(before)).to_have_count(0, timeout=BACK)
    live_map.expect_row(spawn(7, 7), 7, 7, "north")


def test_lower_counts_of_a_restored_store_are_accepted(
    service: Service, backend: Backend, live_map: LiveMap, watch: Watch, spawn: Spawn
) -> None:
    watch.expected = [NO_ANSWER]
    zergling_id = spawn(0, 0, "N")
    path = Path(backend.environment["OVERMIND_SQLITE_PATH"])
    backup = path.with_name("backup")
    with closing(sqlite3.connect(path)) as store, closing(sqlite3.connect(backup)) as copy:
        store.backup(copy)
    live_map.open()
    live_map.row(zergling_id).click()
    assert service.call("POST", f"/zerglings/{zergling_id}", '"MMM"').status == 200
    commands = live_map.panel.locator("dd").nth(2)
    expect(commands).to_have_text("3")
    service.stop(AT_ONCE)
    for file in path.parent.glob(f"{path.name}*"):
        file.unlink()
    backup.rename(path)
    service.start()
    live_map.expect_row(zergling_id, 0, 0, "north", timeout=BACK)
    expect(commands).to_have_text("0")
    assert service.call("POST", f"/zerglings/{zergling_id}", '"M"').status == 200
    live_map.expect_row(zergling_id, 0, 1, "north")
    expect(commands).to_have_text("1")


def test_a_silent_connection_is_reopened(live_map: LiveMap, spawn: Spawn) -> None:
    streams: list[str] = []

    def note(request: Request) -> None:
        if "/events" in request.url:
            streams.append(request.url)

    live_map.page.on("request", note)
    live_map.page.clock.install()
    live_map.open()
    live_map.page.clock.fast_forward(39_000)
    live_map.expect_row(spawn(1, 2), 1, 2, "north")  # an event arrives
    live_map.page.clock.fast_forward(39_000)
    assert len(streams) == 1
    live_map.page.clock.fast_forward(1_000)
    expect(live_map.state).to_have_text(OFFLINE)
    expect(live_map.state).to_have_text("Live")
    assert len(streams) == 2


def test_a_panel_that_could_not_load_reloads_after_reconnecting(
    service: Service, live_map: LiveMap, watch: Watch, spawn: Spawn
) -> None:
    watch.expected = [NO_ANSWER]
    zergling_id = spawn()
    live_map.open()
    service.stop(AT_ONCE)
    expect(live_map.state).to_have_text(OFFLINE)
    live_map.row(zergling_id).click()
    more = live_map.panel.locator('[data-part="more"]')
    expect(more).to_have_text("The service cannot be reached.", timeout=2 * BACK)
    service.start()
    live_map.page.evaluate("document.querySelector('#retry').click()")
    expect(live_map.state).to_have_text("Live", timeout=BACK)
    expect(more).to_have_text("No commands yet. Try M.")
