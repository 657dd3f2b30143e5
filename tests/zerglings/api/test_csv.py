"""Tests for the list as CSV, over both stores."""

from __future__ import annotations

import csv
import io
import re
from typing import Any

import pytest
from django.test import Client

from tests.zerglings.api.calls import UNKNOWN_ID, spawn
from zerglings.domain.zergling import COORDINATE_LIMIT
from zerglings.hive.hive import configured_hive
from zerglings.storage import configured_store
from zerglings.storage.base import PAGE_LIMIT, StoreUnavailable

CSV = {"Accept": "text/csv"}
TYPE = "text/csv; charset=utf-8"
HEADER = b"id,x,y,facing\r\n"
WHOLE = "/zerglings/?format=csv"

sqlite_only = pytest.mark.parametrize("backend", ["sqlite"], indirect=True)


def rows(reply: Any) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(reply.content.decode(), newline="")))


def listed(api: Client) -> list[dict[str, str]]:
    """Return the JSON list in the form of ``rows``."""
    return [
        {
            "id": each["id"],
            "x": str(each["location"]["x"]),
            "y": str(each["location"]["y"]),
            "facing": each["facing"],
        }
        for each in api.get("/zerglings/").json().get("zerglings", [])
    ]


# --- content


def test_an_empty_swarm_is_a_header_line(api: Client) -> None:
    for url in (WHOLE, f"{WHOLE}&limit=3"):
        reply = api.get(url)
        assert (reply.status_code, reply.content) == (200, HEADER)
        assert reply.headers["Content-Type"] == TYPE


def test_each_zergling_is_a_line_with_plain_numbers(api: Client) -> None:
    edge = {"x": COORDINATE_LIMIT, "y": -COORDINATE_LIMIT}
    zergling_id = spawn(api, {"location": edge, "facing": "W"})
    line = f"{zergling_id},9007199254740991,-9007199254740991,W\r\n"
    for url in (WHOLE, f"{WHOLE}&limit=1"):
        assert api.get(url).content == HEADER + line.encode()


def test_a_dead_zergling_has_no_line(api: Client) -> None:
    ids = sorted(spawn(api) for _ in range(3))
    api.delete(f"/zerglings/{ids[0]}")
    assert [each["id"] for each in rows(api.get(WHOLE))] == ids[1:]


def test_thousands_of_zerglings_are_streamed_page_by_page(api: Client) -> None:
    count = 2 * PAGE_LIMIT + 1
    for half in (count // 2, count - count // 2):
        body = {"count": half, "location": {"x": half, "y": -1}, "facing": "E"}
        reply = api.post("/swarm/spawn", body, content_type="application/json")
        assert {each["status"] for each in reply.json()["results"]} == {201}
    whole: Any = api.get(WHOLE)
    assert whole.was_streamed
    assert len(rows(whole)) == count
    assert rows(whole) == listed(api)


def test_a_page_is_read_only_when_the_one_before_is_sent(
    api: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So the answer takes the memory of one page, however many there are."""
    read: list[str] = []
    (first, second) = sorted(spawn(api) for _ in range(2))
    pages = configured_hive().pages

    def counted(after: str | None = None) -> Any:
        for page in pages(after, size=1):
            read.extend(each.id for each in page)
            yield page

    monkeypatch.setattr(configured_hive(), "pages", counted)
    parts = iter(Client().get(WHOLE))
    assert next(parts).startswith(HEADER + first.encode())
    assert read == [first]
    assert next(parts).startswith(second.encode())


def test_pages_are_linked_and_each_has_the_header(api: Client) -> None:
    ids = sorted(spawn(api) for _ in range(3))
    url, seen = f"{WHOLE}&limit=2", []
    while url:
        reply = api.get(url)
        assert reply.headers["Content-Type"] == TYPE
        seen.append([each["id"] for each in rows(reply)])
        link = re.fullmatch(r'<(.*)>; rel="next"', reply.headers.get("Link", ""))
        url = link[1] if link else ""
    assert seen == [ids[:2], ids[2:]]


def test_the_list_after_an_id_is_csv_too(api: Client) -> None:
    ids = sorted(spawn(api) for _ in range(3))
    assert [each["id"] for each in rows(api.get(f"{WHOLE}&after={ids[0]}"))] == ids[1:]


# --- negotiation


@sqlite_only
@pytest.mark.parametrize(
    ("query", "accept"),
    [
        ("?format=csv", None),
        ("?format=csv", "*/*"),
        ("?format=csv", "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"),
        ("", "text/csv"),
        ("", "text/csv, */*;q=0.1"),
        ("", "application/json;q=0.5, text/csv"),
    ],
)
def test_csv_is_returned_on_request(api: Client, query: str, accept: str | None) -> None:
    for path in ("/zerglings", "/zerglings/"):
        reply = api.get(path + query, headers={"Accept": accept} if accept else {})
        assert (reply.status_code, reply.headers["Content-Type"]) == (200, TYPE)
        assert reply.headers["Vary"] == "Accept"
        assert "no-store" in reply.headers["Cache-Control"]


@sqlite_only
@pytest.mark.parametrize(
    "accept", ["*/*", "application/json, text/csv", "text/csv;q=0.9, application/*", "text/csv;q=0"]
)
def test_json_stays_the_default(api: Client, accept: str) -> None:
    reply = api.get("/zerglings/", headers={"Accept": accept})
    wanted = 406 if accept == "text/csv;q=0" else 200
    assert (reply.status_code, reply.headers["Content-Type"]) == (wanted, "application/json")


@sqlite_only
def test_only_the_list_is_csv(api: Client) -> None:
    zergling_id = spawn(api)
    for path in (f"/zerglings/{zergling_id}", f"/zerglings/{zergling_id}/history"):
        for reply in (api.get(path, headers=CSV), api.get(f"{path}?format=csv")):
            assert (reply.status_code, list(reply.json())) == (406, ["error"])
    refused = api.post("/zerglings/", headers=CSV)
    assert (refused.status_code, list(refused.json())) == (406, ["error"])
    assert [each["id"] for each in listed(api)] == [zergling_id]


@sqlite_only
@pytest.mark.parametrize("query", ["", "&limit=2"])
def test_head_has_the_headers_of_get_and_no_body(api: Client, query: str) -> None:
    spawn(api)
    get, head = api.get(WHOLE + query), api.head(WHOLE + query)
    assert (head.status_code, head.content) == (200, b"")
    for name in ("Content-Type", "Content-Length", "Cache-Control", "Vary"):
        assert head.headers.get(name) == get.headers.get(name)


# --- errors


@sqlite_only
@pytest.mark.parametrize("query", ["limit=0", "limit=1001", "after=me"])
def test_bad_input_is_a_json_error(api: Client, query: str) -> None:
    for reply in (api.get(f"{WHOLE}&{query}"), api.get(f"/zerglings/?{query}", headers=CSV)):
        assert (reply.status_code, reply.headers["Content-Type"]) == (400, "application/json")
        assert list(reply.json()) == ["error"]


@sqlite_only
def test_another_method_is_a_json_error(api: Client) -> None:
    for reply in (api.put(WHOLE), api.put("/zerglings/", headers=CSV)):
        assert (reply.status_code, list(reply.json())) == (405, ["error"])


@pytest.mark.parametrize("query", ["", "&limit=2"])
def test_an_unavailable_store_is_a_503_before_any_line(
    api: Client, monkeypatch: pytest.MonkeyPatch, query: str
) -> None:
    def away(*_: object, **__: object) -> None:
        raise StoreUnavailable("away")

    monkeypatch.setattr(configured_store(), "page", away)
    reply = api.get(WHOLE + query)
    assert (reply.status_code, reply.headers["Content-Type"]) == (503, "application/json")
    assert list(reply.json()) == ["error"]
    assert reply.headers["Retry-After"]


@sqlite_only
def test_an_unknown_zergling_is_a_json_error(api: Client) -> None:
    reply = api.get(f"/zerglings/{UNKNOWN_ID}", headers=CSV | {"Accept": "text/csv, */*;q=0.1"})
    assert (reply.status_code, list(reply.json())) == (404, ["error"])
