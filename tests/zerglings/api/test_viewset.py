"""Tests for section 1 of the HTTP contract, over both stores."""

from __future__ import annotations

import json
import re
import uuid
from typing import Any

import pytest
from django.conf import settings
from django.test import Client

from zerglings.api import viewset
from zerglings.api.exceptions import known_error
from zerglings.domain.zergling import COORDINATE_LIMIT
from zerglings.hive import hive
from zerglings.hive.hive import configured_hive
from zerglings.hive.mutations import PreconditionFailed, TagAltered
from zerglings.repository.retry_budget import TooMuchContention
from zerglings.storage import configured_store
from zerglings.storage.base import OutcomeUnknown, StoreUnavailable

FORM = "application/x-www-form-urlencoded"  # curl's default
JSON = "application/json"
BYTES = "application/octet-stream"  # of aiohttp for bytes
UUID4 = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
NAMELESS = str(uuid.uuid4())


def spawn(api: Client, body: Any = None) -> str:
    reply = api.post("/zerglings/", data=json.dumps(body or {}), content_type=JSON)
    assert reply.status_code == 201, reply.content
    zergling_id: str = reply.json()["zergling"]["id"]
    return zergling_id


def command(
    api: Client, zergling_id: str, body: str | bytes, content_type: str = FORM, **headers: str
) -> Any:
    url = f"/zerglings/{zergling_id}"
    return api.post(url, data=body, content_type=content_type, headers=headers)


def sentence_of(error: Exception) -> str:
    known = known_error(error)
    assert known is not None
    return known[1]


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


def test_the_etag_is_the_revision_and_if_none_match_gets_a_304(api: Client) -> None:
    zergling_id = spawn(api)
    reply = api.get(f"/zerglings/{zergling_id}")
    tag = reply.headers["ETag"]
    assert tag == f'"{reply.json()["zergling"]["_rev"]}"'
    for condition in (tag, f"W/{tag}", f'"other", {tag}', f'"other",, {tag},', "*"):
        unmodified = api.get(f"/zerglings/{zergling_id}", headers={"If-None-Match": condition})
        assert (unmodified.status_code, unmodified.content) == (304, b"")
        assert unmodified.headers["ETag"] == tag
    command(api, zergling_id, '"M"')
    assert api.get(f"/zerglings/{zergling_id}", headers={"If-None-Match": tag}).status_code == 200


def test_the_html_representation_has_its_own_etag(api: Client) -> None:
    zergling_id = spawn(api)
    plain = api.get(f"/zerglings/{zergling_id}").headers["ETag"]
    html = api.get(f"/zerglings/{zergling_id}", headers={"Accept": "text/html"})
    assert html.headers["ETag"] != plain
    again = {"Accept": "text/html", "If-None-Match": html.headers["ETag"]}
    assert api.get(f"/zerglings/{zergling_id}", headers=again).status_code == 304


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


# --- conditions


def test_if_match_accepts_only_the_current_revision(api: Client) -> None:
    zergling_id = spawn(api)
    first = command(api, zergling_id, "M").headers["ETag"]
    second = command(api, zergling_id, "M", **{"If-Match": first})
    assert second.status_code == 200
    for stale in (first, f"W/{first}", f'{first[:-1]}-gzip"', '"1-x"'):
        refused = command(api, zergling_id, "M", **{"If-Match": stale})
        assert refused.status_code == 412
        assert refused.json() == {"error": sentence_of(PreconditionFailed())}
    for good in ("*", f"{first}, {second.headers['ETag']}"):
        reply = command(api, zergling_id, "R", **{"If-Match": good})
        assert reply.status_code == (200 if good == "*" else 412)
    assert api.get(f"/zerglings/{zergling_id}").json()["zergling"]["commandHistory"] == [
        "M",
        "M",
        "R",
    ]


@pytest.mark.parametrize(
    "others", ['"1-a", {}', ',"1-a",, {} ,', '{}, W/"1-a"', '"1-a,b",{}', "W/{}, {}"]
)
def test_if_match_may_name_several_revisions(api: Client, others: str) -> None:
    zergling_id = spawn(api)
    current = command(api, zergling_id, "M").headers["ETag"]
    headers = {"If-Match": others.replace("{}", current)}
    assert command(api, zergling_id, "M", **headers).status_code == 200


@pytest.mark.parametrize(
    "altered",
    ['W/"{}"', '"{}-gzip"', 'W/"{}-br"', '"{}-html"', '"{}--gzip"', '"1-a", W/"{}"'],
)
@pytest.mark.parametrize("method", ["POST", "DELETE"])
def test_an_altered_etag_gets_its_own_error(api: Client, method: str, altered: str) -> None:
    zergling_id = spawn(api)
    url = f"/zerglings/{zergling_id}"
    before = api.get(url).json()
    headers = {"If-Match": altered.format(before["zergling"]["_rev"])}
    reply = api.generic(method, url, "M", FORM, headers=headers)
    assert reply.status_code == 412
    assert reply.json() == {"error": sentence_of(TagAltered())}
    assert reply.json() != {"error": sentence_of(PreconditionFailed())}
    assert api.get(url).json() == before


@pytest.mark.parametrize("malformed", ["{}", "abc", '"', '"{}', "W/", "'{}'", "", '"{}" x'])
def test_a_malformed_if_none_match_is_ignored(api: Client, malformed: str) -> None:
    zergling_id = spawn(api)
    revision = api.get(f"/zerglings/{zergling_id}").json()["zergling"]["_rev"]
    headers = {"If-None-Match": malformed.format(revision)}
    for path in (f"/zerglings/{zergling_id}", "/schema/", "/zerglings/"):
        assert api.get(path, headers=headers).status_code == 200


def test_delete_honours_if_match(api: Client) -> None:
    zergling_id = spawn(api)
    current = command(api, zergling_id, "M").headers["ETag"]
    url = f"/zerglings/{zergling_id}"
    assert api.delete(url, headers={"If-Match": '"9-no"'}).status_code == 412
    assert api.get(url).status_code == 200
    assert api.delete(url, headers={"If-Match": current}).status_code == 204


# --- dying


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


# --- forms of URLs and answers


def test_every_url_answers_with_and_without_its_slash_for_every_method(api: Client) -> None:
    zergling_id = spawn(api)
    for path in ("/zerglings", f"/zerglings/{zergling_id}", "/_health", "/healthz", "/readyz"):
        for slash in ("", "/"):
            for method in ("get", "head"):
                assert getattr(api, method)(path + slash).status_code == 200, (method, path + slash)
    for slash in ("", "/"):
        assert api.post("/zerglings" + slash, data="M", content_type=FORM).status_code == 201
        assert command(api, zergling_id + slash, "M").status_code == 200
        assert api.delete(f"/zerglings/{spawn(api)}{slash}").status_code == 204


def test_head_returns_the_headers_of_get_without_a_body(api: Client) -> None:
    zergling_id = spawn(api)
    for path in ("/zerglings/", f"/zerglings/{zergling_id}", "/_health"):
        get, head = api.get(path), api.head(path)
        assert head.content == b""
        is_streamed = path == "/zerglings/"
        length = None if is_streamed else str(len(get.content))
        assert head.headers.get("Content-Length") == get.headers.get("Content-Length") == length
        assert head.headers.get("ETag") == get.headers.get("ETag")


@pytest.mark.parametrize("accept", [None, "*/*", "application/json", "text/plain, */*;q=0.1"])
def test_json_is_returned_unless_html_is_requested(api: Client, accept: str | None) -> None:
    headers = {"Accept": accept} if accept else {}
    reply = api.get(f"/zerglings/{spawn(api)}", headers=headers)
    assert reply.headers["Content-Type"] == "application/json"
    assert reply.headers["Vary"] == "Accept"
    assert b" " not in reply.content


def test_a_browser_gets_html(api: Client) -> None:
    browser = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"
    reply = api.get("/zerglings/", headers={"Accept": browser})
    assert reply.headers["Content-Type"].startswith("text/html")
    assert reply.headers["Vary"] == "Accept"


# --- health


def test_health_responses_equal_those_of_the_original(api: Client) -> None:
    assert api.get("/_health").content == b'{"health":{"version":"3.0.0","brain":"ok"}}'
    assert api.get("/healthz").status_code == api.get("/readyz").status_code == 200


def test_health_urls_are_read_only(api: Client) -> None:
    for path in ("/_health", "/healthz", "/readyz"):
        reply = api.post(path)
        assert reply.status_code == 405
        assert reply.headers["Allow"] == "GET, HEAD"
        assert "error" in reply.json()


def test_only_probes_accept_any_host(api: Client, settings: Any) -> None:
    settings.ALLOWED_HOSTS = ["overmind.example"]
    for path in ("/_health", "/healthz/", "/readyz"):
        assert api.get(path, headers={"Host": "10.1.2.3:8080"}).status_code == 200
    refused = api.get("/zerglings/", headers={"Host": "evil.example"})
    assert refused.status_code == 400
    assert list(refused.json()) == ["error"]
    assert api.get("/zerglings/", headers={"Host": "overmind.example"}).status_code == 200


# --- retries


def keyed(api: Client, path: str, key: str, body: str = "M") -> Any:
    return api.post(path, data=body, content_type=FORM, headers={"Idempotency-Key": key})


def test_a_command_repeated_with_its_key_is_applied_once(api: Client) -> None:
    path = f"/zerglings/{spawn(api)}"
    first = keyed(api, path, "k")
    again = keyed(api, path, "k", '{"command": ["M"]}')
    assert (first.status_code, again.status_code) == (200, 200)
    assert again.json() == first.json() == api.get(path).json()
    other = keyed(api, path, "k", "L")
    assert (other.status_code, list(other.json())) == (422, ["error"])
    assert "Idempotency-Key" in other.json()["error"]
    assert api.get(path).json() == first.json()


def test_a_key_is_checked_before_if_match(api: Client) -> None:
    path = f"/zerglings/{spawn(api)}"
    tag = api.get(path).headers["ETag"]
    both = {"Idempotency-Key": "k", "If-Match": tag}
    for _ in range(2):
        assert api.post(path, data="M", content_type=FORM, headers=both).status_code == 200
    other = both | {"Idempotency-Key": "other"}
    assert api.post(path, data="M", content_type=FORM, headers=other).status_code == 412


def test_a_spawn_repeated_with_its_key_spawns_once(api: Client) -> None:
    first = keyed(api, "/zerglings/", "k")
    again = keyed(api, "/zerglings/", "k")
    assert (first.status_code, again.status_code) == (201, 201)
    assert again.json() == first.json()
    assert again.headers["Location"] == first.headers["Location"]
    assert len(api.get("/zerglings/").json()["zerglings"]) == 1
    assert keyed(api, "/zerglings/", "k", '{"facing":"S"}').status_code == 422
    api.delete(first.headers["Location"])
    assert keyed(api, "/zerglings/", "k").status_code == 404


@pytest.mark.parametrize("key", ["", "two words", "x" * 129, "caf\u00e9", "a\tb"])
def test_a_malformed_key_is_refused(api: Client, key: str) -> None:
    zergling_id = spawn(api)
    for path in ("/zerglings/", f"/zerglings/{zergling_id}"):
        assert keyed(api, path, key).status_code == 400
    assert len(api.get("/zerglings/").json()["zerglings"]) == 1
    assert "commandHistory" not in api.get(f"/zerglings/{zergling_id}").json()["zergling"]


@pytest.mark.parametrize("key", ["!", "x" * 128, '"quoted, with=signs"'.replace(" ", "")])
def test_all_visible_ascii_characters_are_allowed_in_a_key(api: Client, key: str) -> None:
    path = f"/zerglings/{spawn(api)}"
    assert keyed(api, path, key).json() == keyed(api, path, key).json()


# --- long histories


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
    for nobody in (zergling_id, NAMELESS, "x"):
        assert api.get(f"/zerglings/{nobody}/history").status_code == 404


def test_the_history_is_read_only(api: Client) -> None:
    reply = api.post(f"/zerglings/{spawn(api)}/history")
    assert reply.status_code == 405
    assert "GET" in reply.headers["Allow"]


# --- streams


def test_a_list_is_streamed_page_by_page(api: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hive, "PAGE_LIMIT", 2)
    ids = sorted(spawn(api) for _ in range(7))
    api.delete(f"/zerglings/{ids[2]}")
    api.delete(f"/zerglings/{ids[3]}")
    reply: Any = api.get("/zerglings/")
    assert reply.was_streamed
    assert [z["id"] for z in reply.json()["zerglings"]] == ids[:2] + ids[4:]
    for dead in ids[:2] + ids[4:]:
        api.delete(f"/zerglings/{dead}")
    assert api.get("/zerglings/").content == b"{}"


def test_head_of_a_list_has_no_body(api: Client) -> None:
    spawn(api)
    reply = api.head("/zerglings/")
    assert (reply.status_code, reply.content) == (200, b"")


def test_html_pages_are_limited(api: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(viewset, "PAGE_LIMIT", 3)
    ids = sorted(spawn(api) for _ in range(5))
    reply = api.get("/zerglings/", headers={"Accept": "text/html"})
    page = reply.content.decode()
    assert [id_ in page for id_ in ids] == [True] * 3 + [False] * 2
    assert f"after={ids[2]}" in reply.headers["Link"]
    command(api, ids[0], "MLRM")
    history = api.get(f"/zerglings/{ids[0]}/history", headers={"Accept": "text/html"})
    assert history.headers["Link"].endswith('/history?offset=3&limit=3>; rel="next"')


# --- failing stores


@pytest.fixture
def broken(api: Client, monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    def away(*_: object, **__: object) -> None:
        raise StoreUnavailable("http://admin:hunter2@couchdb:5984 is away")

    for name in ("get_many", "put_many", "page", "ping", "check_ready"):
        monkeypatch.setattr(configured_store(), name, away)
    return monkeypatch


def test_an_unavailable_store_is_a_503_with_retry_after(
    api: Client, broken: pytest.MonkeyPatch
) -> None:
    for reply in (
        api.get("/zerglings/"),
        api.get("/zerglings/?limit=3"),
        api.post("/zerglings/"),
        api.get(f"/zerglings/{NAMELESS}"),
        command(api, NAMELESS, "M"),
        api.delete(f"/zerglings/{NAMELESS}"),
    ):
        assert reply.status_code == 503
        assert int(reply.headers["Retry-After"]) >= 1
        assert list(reply.json()) == ["error"]
        assert b"hunter2" not in reply.content
        assert b"5984" not in reply.content


def test_health_urls_report_an_unavailable_store(api: Client, broken: pytest.MonkeyPatch) -> None:
    assert api.get("/_health").json()["health"]["brain"] == "damaged"
    assert api.get("/_health").status_code == 200
    assert api.get("/healthz").status_code == 200
    ready = api.get("/readyz")
    assert (ready.status_code, ready.headers["Retry-After"]) == (503, "1")


def test_an_unknown_outcome_is_a_503_that_says_so(
    api: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    def lost(*_: object, **__: object) -> None:
        raise OutcomeUnknown("lost")

    monkeypatch.setattr(configured_hive(), "command", lost)
    reply = command(api, NAMELESS, "M")
    assert (reply.status_code, reply.headers["Retry-After"]) == (503, "1")
    assert "unknown" in reply.json()["error"]


def test_contention_is_a_409(api: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    def contended(*_: object, **__: object) -> None:
        raise TooMuchContention

    monkeypatch.setattr(configured_hive(), "command", contended)
    assert command(api, NAMELESS, "M").status_code == 409


def test_an_internal_error_reveals_no_details(api: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    def bug(*_: object, **__: object) -> None:
        raise KeyError("a secret detail")

    monkeypatch.setattr(configured_hive(), "get", bug)
    api.raise_request_exception = False
    reply = api.get(f"/zerglings/{NAMELESS}")
    assert reply.status_code == 500
    assert list(reply.json()) == ["error"]
    assert b"secret" not in reply.content
    assert settings.DEBUG is False
