"""Tests for long histories and their pages, over both stores."""

from __future__ import annotations

import re

from django.test import Client

from tests.zerglings.api.calls import UNKNOWN_ID, command, spawn


def test_a_long_history_shows_its_newest_commands_and_the_count(api: Client) -> None:
    zergling_id = spawn(api)
    path = f"/zerglings/{zergling_id}"
    letters = "".join("MLRM"[number % 4] for number in range(250))
    for letter in letters:
        reply = command(api, zergling_id, letter).json()["zergling"]
        assert reply["commandHistory"][-1] == letter
    zergling = api.get(path).json()["zergling"]
    assert reply == zergling
    newest = "".join(zergling["commandHistory"])
    assert len(newest) >= 100
    assert letters.endswith(newest)
    assert zergling["commandCount"] == 250
    whole = api.get(f"{path}/history")
    assert whole.headers["Content-Type"] == "application/json"
    assert "".join(whole.json()["commandHistory"]) == letters
    assert whole.content.startswith(b'{"commandHistory":["M","L",')


def test_a_short_history_is_shown_completely_without_a_count(api: Client) -> None:
    zergling_id = spawn(api)
    path = f"/zerglings/{zergling_id}"
    assert api.get(f"{path}/history").content == b'{"commandHistory":[]}'
    command(api, zergling_id, "MML")
    assert "commandCount" not in api.get(path).json()["zergling"]
    assert api.get(f"{path}/history/").json() == {"commandHistory": ["M", "M", "L"]}


def test_pages_of_a_history_are_linked(api: Client) -> None:
    zergling_id = spawn(api)
    letters = "MLRMMLRRMLM" * 30
    command(api, zergling_id, letters)
    command(api, zergling_id, "M" * 100)
    path: str | None = f"/zerglings/{zergling_id}/history?limit=90"
    pages = []
    while path:
        reply = api.get(path)
        pages.append("".join(reply.json()["commandHistory"]))
        link = re.fullmatch(r'<(.+)>; rel="next"', reply.headers.get("Link", ""))
        path = link[1] if link else None
    assert [len(page) for page in pages] == [90, 90, 90, 90, 70]
    assert "".join(pages) == letters + "M" * 100
    beyond = api.get(f"/zerglings/{zergling_id}/history?offset=999999")
    assert beyond.json() == {"commandHistory": []}


def test_the_history_of_an_unknown_zergling_is_a_404(api: Client) -> None:
    zergling_id = spawn(api)
    api.delete(f"/zerglings/{zergling_id}")
    for unknown in (zergling_id, UNKNOWN_ID, "x"):
        assert api.get(f"/zerglings/{unknown}/history").status_code == 404


def test_the_history_is_read_only(api: Client) -> None:
    reply = api.post(f"/zerglings/{spawn(api)}/history")
    assert reply.status_code == 405
    assert "GET" in reply.headers["Allow"]
