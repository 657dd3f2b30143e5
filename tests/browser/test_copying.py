"""Tests for what the panel copies: links, and its own requests as command lines of curl."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
from typing import Any

import pytest
from playwright.sync_api import Locator, Request, expect

from tests.browser.conftest import Command, Spawn
from tests.browser.live_map import LiveMap
from tests.support.service import Service

COPY_ONLY = ["clipboard-read", "clipboard-write"]


@pytest.fixture
def clipboard(look: dict[str, Any]) -> None:
    """Lets the page use the clipboard without asking."""
    look["permissions"] = COPY_ONLY


@pytest.fixture
def selected_id(clipboard: None, live_map: LiveMap, spawn: Spawn, command: Command) -> str:
    """The id of a zergling with the history MLM, which is selected."""
    zergling_id = spawn()
    command(zergling_id, "MLM")
    live_map.open()
    live_map.select(zergling_id, 3)
    return zergling_id


def copied(live_map: LiveMap) -> str:
    text: str = live_map.page.evaluate("navigator.clipboard.readText()")
    return text


@pytest.mark.parametrize(
    ("name", "pose"),
    [
        ("Left", (3, -2, "N")),
        ("Move", (4, -2, "E")),
        ("Right", (3, -2, "S")),
    ],
)
def test_a_copied_command_does_what_its_button_does(
    clipboard: None,
    service: Service,
    live_map: LiveMap,
    spawn: Spawn,
    name: str,
    pose: tuple[int, int, str],
) -> None:
    zergling_id = spawn(3, -2, "E")
    live_map.open()
    live_map.row(zergling_id).click()
    live_map.panel.get_by_role("button", name=f"Copy {name} as curl").click()
    expect(live_map.notice).to_have_text("Copied as curl.")
    answer = json.loads(run_in_shell(copied(live_map)))["zergling"]
    x, y, facing = pose
    assert answer["location"] == {"x": x, "y": y}
    assert answer["facing"] == facing
    live_map.expect_row(zergling_id, x, y, {"N": "north", "E": "east", "S": "south"}[facing])


@pytest.mark.parametrize("shell", ["sh", "bash"])
def test_a_copied_command_acts_each_time_it_is_run(
    clipboard: None, live_map: LiveMap, spawn: Spawn, shell: str
) -> None:
    zergling_id = spawn(0, 0, "N")
    live_map.open()
    live_map.row(zergling_id).click()
    live_map.panel.get_by_role("button", name="Copy Move as curl").click()
    expect(live_map.notice).to_have_text("Copied as curl.")
    for _ in range(3):
        run_in_shell(copied(live_map), shell)
    live_map.expect_row(zergling_id, 0, 3, "north")


def test_a_copied_request_is_the_one_that_the_button_sends(
    clipboard: None, live_map: LiveMap, spawn: Spawn
) -> None:
    spawn(5, 5)
    live_map.open()
    live_map.page.keyboard.press("f")
    live_map.page.get_by_role("button", name="Copy Spawn as curl").click()
    expect(live_map.notice).to_have_text("Copied as curl.")
    words = shlex.split(copied(live_map))
    sent: list[Request] = []
    live_map.page.on("request", lambda request: sent.append(request))
    live_map.page.get_by_role("button", name="Spawn a zergling").click()
    expect(live_map.rows).to_have_count(2)
    [request] = [one for one in sent if one.method == "POST"]
    assert words[0] == "curl"
    assert request.url in words
    assert request.post_data in words
    headers = dict(word.split(": ", 1) for word in words if ": " in word)
    assert headers.keys() == {"Content-Type", "Idempotency-Key"}
    assert headers["Content-Type"] == request.headers["content-type"]


@pytest.mark.usefixtures("selected_id")
def test_the_history_is_copied_as_curl(live_map: LiveMap) -> None:
    live_map.panel.get_by_role("button", name="Copy the history as curl").click()
    expect(live_map.notice).to_have_text("Copied as curl.")
    assert json.loads(run_in_shell(copied(live_map))) == {"commandHistory": ["M", "L", "M"]}


def test_the_link_to_the_step_shown_is_copied(selected_id: str, live_map: LiveMap) -> None:
    button = live_map.panel.get_by_role("button", name="Copy link")
    button.click()
    expect(live_map.notice).to_have_text("Copied the link.")
    assert copied(live_map) == f"{live_map.url}#{selected_id}"
    live_map.slider.press("Home")
    button.click()
    expect(live_map.notice).to_have_text("Copied the link.")
    assert copied(live_map) == f"{live_map.url}#{selected_id}@0"


@pytest.mark.parametrize(
    "script",
    [
        "delete Navigator.prototype.clipboard",  # any origin without TLS, other than localhost
        "Clipboard.prototype.writeText = () => Promise.reject(new DOMException('No.'))",
    ],
    ids=["none", "refused"],
)
def test_without_a_clipboard_the_text_is_shown_selected(
    live_map: LiveMap, spawn: Spawn, script: str
) -> None:
    live_map.page.add_init_script(script)
    zergling_id = spawn()
    live_map.open()
    live_map.row(zergling_id).click()
    button = live_map.panel.get_by_role("button", name="Copy link")
    button.click()
    dialog = live_map.page.get_by_role("dialog", name="Copy this text")
    field = dialog.get_by_role("textbox")
    expect(field).to_be_focused()
    expect(field).to_have_value(f"{live_map.url}#{zergling_id}")
    assert selected(field) == f"{live_map.url}#{zergling_id}"
    dialog.get_by_role("button", name="Close").click()
    expect(dialog).to_be_hidden()
    expect(button).to_be_focused()


def selected(field: Locator) -> str:
    text: str = field.evaluate(
        "field => field.value.slice(field.selectionStart, field.selectionEnd)"
    )
    return text


def run_in_shell(line: str, shell: str = "sh", **variables: str) -> str:
    """Run a copied command line; returns what it prints."""
    script = line.replace("curl ", "curl --silent --show-error --fail-with-body ", 1)
    done = subprocess.run(
        [shell, "-c", script],
        check=True,
        capture_output=True,
        text=True,
        timeout=60,
        env=os.environ | variables,
    )
    return done.stdout
