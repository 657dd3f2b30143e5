"""Tests for listing, spawning, reading, commanding and deleting, over both stores."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from django.test import Client

from tests.zerglings.api.calls import BYTES, FORM, JSON, command, spawn
from zerglings.domain.zergling import COORDINATE_LIMIT

UUID4 = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")


# --- listing


def test_an_empty_list_is_an_empty_object(api: Client) -> None:
    reply = api.get("/zerglings/")
    assert (reply.status_code, reply.content) == (200, b"{}")


def test_a_list_shows_each_zergling_in_id_order(api: Client) -> None:
    ids = [spawn(api, {"location": {"x": n, "y": -n}, "facing": "S"}) for n in range(3)]
    zerglings = api.get("/zerglings/").json()["zerglings"]
    assert [z["id"] for z in zerglings] == sorted(ids)
    assert zerglings[sorted(ids).index(ids[2])] == {
        "id": ids[2],
        "location": {"x": 2, "y": -2},
        "facing": "S",
    }


def test_pages_of_the_list_are_linked(api: Client) -> None:
    ids = sorted(spawn(api) for _ in range(5))
    seen: list[str] = []
    url: str | None = "/zerglings/?limit=2"
    sizes = []
    while url:
        reply = api.get(url)
        page = [z["id"] for z in reply.json()["zerglings"]]
        sizes.append(len(page))
        seen += page
        link = reply.headers.get("Link")
        match = re.fullmatch(r'<(/zerglings/\?[^>]+)>; rel="next"', link) if link else None
        assert (link is None) == (match is None)
        url = match[1] if match else None
    assert seen == ids
    assert sizes == [2, 2, 1]


def test_the_last_page_has_no_link_even_when_full(api: Client) -> None:
    for _ in range(4):
        spawn(api)
    assert "Link" not in api.get("/zerglings/?limit=4").headers
    assert (
        api.get(f"/zerglings/?limit=4&after={'f' * 8}-ffff-ffff-ffff-{'f' * 12}").content == b"{}"
    )


# --- spawning


@pytest.mark.parametrize(
    "body", [b"M", b"", b'"M"', b"'M'", b"[1]", b"facing=E", b"}", b"\xff", b"null"]
)
def test_curls_form_bodies_that_are_not_objects_are_ignored(api: Client, body: bytes) -> None:
    reply = api.post("/zerglings/", data=body, content_type=FORM)
    assert reply.status_code == 201
    zergling = reply.json()["zergling"]
    assert list(zergling) == ["id", "location", "facing"]
    assert UUID4.fullmatch(zergling["id"])
    assert zergling["location"] == {"x": 0, "y": 0}
    assert zergling["facing"] == "N"
    assert reply.headers["Location"] == f"/zerglings/{zergling['id']}"
    assert api.get(reply.headers["Location"]).status_code == 200


OBJECT = '{"facing":"E"}'


@pytest.mark.parametrize("content_type", [FORM, "text/plain", ""])
@pytest.mark.parametrize(
    "body",
    [
        b"{'facing':'E'}",
        b"{facing:E}",  # PowerShell
        b"'{facing:E}'",  # cmd.exe
        f"'{OBJECT}'".encode(),
        json.dumps(OBJECT).encode(),
        b"{",
        b'{"facing":"E"',
        b'{"facing":"E",}',
        b" \r\n\t{'facing':'E'}",
        b'{"facing":"E"} M',
        b"\xef\xbb\xbf" + OBJECT.encode(),
        OBJECT.encode("utf-16"),
        OBJECT.encode("utf-16-be"),
        b"%7B%22facing%22%3A%22E%22%7D",
        b"%7b%22facing%22:%22E%22%7d",
    ],
)
def test_a_malformed_object_is_rejected(api: Client, body: bytes, content_type: str) -> None:
    reply = api.generic("POST", "/zerglings/", body, content_type)
    assert (reply.status_code, list(reply.json())) == (400, ["error"])
    assert api.get("/zerglings/").json() == {}


@pytest.mark.parametrize("content_type", [FORM, JSON, "text/plain", "", BYTES])
@pytest.mark.parametrize(
    "body",
    [
        {"location": {"x": COORDINATE_LIMIT, "y": -COORDINATE_LIMIT}, "facing": "W"},
        {"location": {"x": 1, "y": 2}},
        {"facing": "E"},
        {},
    ],
)
def test_a_json_object_sets_location_and_facing(
    api: Client, body: dict[str, Any], content_type: str
) -> None:
    reply = api.post("/zerglings", data=json.dumps(body), content_type=content_type)
    assert reply.status_code == 201
    default = {"location": {"x": 0, "y": 0}, "facing": "N"}
    zergling = reply.json()["zergling"]
    assert zergling == {"id": zergling["id"]} | default | body


def test_a_form_sets_location_and_facing(api: Client) -> None:
    reply = api.post("/zerglings/", {"location.x": "3", "location.y": "-4", "facing": "S"})
    assert reply.status_code == 201
    assert reply.json()["zergling"]["location"] == {"x": 3, "y": -4}
    assert reply.json()["zergling"]["facing"] == "S"


# --- reading


def test_a_zergling_without_commands_shows_no_history(api: Client) -> None:
    zergling_id = spawn(api)
    zergling = api.get(f"/zerglings/{zergling_id}").json()["zergling"]
    assert list(zergling) == ["id", "location", "facing", "_rev"]


# --- commanding


@pytest.mark.parametrize(
    "content_type", [FORM, JSON, "text/plain", "", f"{JSON}; charset=utf-8", BYTES, BYTES.title()]
)
@pytest.mark.parametrize(
    "body",
    [
        '"L"',
        "L",
        "command=L",
        '{"command":"L"}',
        ' "L"\n',
        "L\r\n",
        '["L"]',
        "command=L&csrfmiddlewaretoken=x",
    ],
)
def test_a_single_command_is_accepted_in_every_format(
    api: Client, body: str, content_type: str
) -> None:
    zergling_id = spawn(api)
    reply = command(api, zergling_id, body, content_type)
    assert reply.status_code == 200, reply.content
    zergling = reply.json()["zergling"]
    assert list(zergling) == ["id", "location", "facing", "commandHistory", "_rev"]
    assert (zergling["facing"], zergling["commandHistory"]) == ("W", ["L"])
    assert reply.headers["ETag"] == f'"{zergling["_rev"]}"'
    assert api.get(f"/zerglings/{zergling_id}").json()["zergling"] == zergling


@pytest.mark.parametrize(
    "body",
    [
        '"MMRML"',
        '["M","M","R","M","L"]',
        '{"command":"MMRML"}',
        '{"command":["M","M","R","M","L"]}',
        "command=MMRML",
        "MMRML",
    ],
)
def test_many_commands_are_one_write(api: Client, body: str) -> None:
    zergling_id = spawn(api)
    zergling = command(api, zergling_id, body).json()["zergling"]
    assert zergling["commandHistory"] == list("MMRML")
    assert (zergling["location"], zergling["facing"]) == ({"x": 1, "y": 2}, "N")
    assert zergling["_rev"].startswith("2-")


def test_a_request_may_hold_at_most_a_thousand_commands(api: Client) -> None:
    zergling_id = spawn(api)
    assert command(api, zergling_id, "M" * 1001).status_code == 400
    zergling = command(api, zergling_id, "M" * 1000).json()["zergling"]
    assert zergling["location"] == {"x": 0, "y": 1000}


def test_a_command_in_a_multipart_form_is_accepted(api: Client) -> None:
    zergling_id = spawn(api)
    reply = api.post(f"/zerglings/{zergling_id}", {"command": "R"})
    assert reply.json()["zergling"]["facing"] == "E"


# --- deleting


def test_a_deleted_zergling_is_a_404_and_is_not_listed(api: Client) -> None:
    zergling_id = spawn(api)
    url = f"/zerglings/{zergling_id}"
    reply = api.delete(url)
    assert (reply.status_code, reply.content) == (204, b"")
    for method in ("get", "post", "delete"):
        again = getattr(api, method)(
            url, **({"data": '"M"', "content_type": JSON} if method == "post" else {})
        )
        assert again.status_code == 404
    assert api.get("/zerglings/").content == b"{}"
