"""Tests for long histories and their pages, over both stores."""

from __future__ import annotations

import re

import pytest
from django.test import Client
from pytest_django import Settings

from tests.support.client import configured_anew
from tests.support.documents import SOON
from tests.zerglings.api.calls import UNKNOWN_ID, command, spawn
from zerglings.storage import configured_store


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


def test_a_history_says_how_many_commands_are_on_their_way_from_another_region(
    api: Client, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    zergling_id = spawn(api)
    for _ in range(5):
        command(api, zergling_id, "MR" * 50)
    path = f"/zerglings/{zergling_id}/history"
    take_away_the_oldest_chunk()
    refused = api.get(path)
    assert (refused.status_code, refused.headers["Retry-After"]) == (503, "1")
    monkeypatch.setattr("zerglings.repository.histories.ARRIVAL_LIMIT", 0.1)
    settings.OVERMIND_REGION = "west"
    with configured_anew():
        whole = api.get(path)
        missing = whole.json()["missingCount"]
        assert whole.content.startswith(f'{{"missingCount":{missing},"commandHistory":["'.encode())
        assert missing + len(whole.json()["commandHistory"]) == 500
        first = api.get(f"{path}?limit=50")
        assert first.json() == {"missingCount": 50, "commandHistory": []}
        assert first.headers["Link"].endswith('history?offset=50&limit=50>; rel="next"')
        page = api.get(f"{path}?offset={missing - 1}&limit=3").json()
        assert page == {"missingCount": 1, "commandHistory": whole.json()["commandHistory"][:2]}
        assert "missingCount" not in api.get(f"{path}?offset={missing}").json()


def take_away_the_oldest_chunk() -> None:
    history = configured_store().history
    oldest = history.page(None, 1, timeout=SOON).documents[0]
    gone = {"_id": oldest["_id"], "_rev": oldest["_rev"], "_deleted": True}
    history.put_many([gone], timeout=SOON)
