"""Tests for URL forms, representations, health, streamed lists and failing stores."""

from __future__ import annotations

from typing import Any

import pytest
from django.conf import settings
from django.test import Client

from overmind_project import __version__
from tests.zerglings.api.calls import FORM, UNKNOWN_ID, command, spawn
from zerglings.api import viewset
from zerglings.hive import hive
from zerglings.hive.hive import configured_hive
from zerglings.repository.retry_budget import TooMuchContention
from zerglings.storage import configured_store
from zerglings.storage.base import OutcomeUnknown, StoreUnavailable

# --- URLs and representations


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
    assert api.get("/_health").content == b'{"health":{"version":"%s","brain":"ok"}}' % (
        __version__.encode()
    )
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
        api.get(f"/zerglings/{UNKNOWN_ID}"),
        command(api, UNKNOWN_ID, "M"),
        api.delete(f"/zerglings/{UNKNOWN_ID}"),
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
    reply = command(api, UNKNOWN_ID, "M")
    assert (reply.status_code, reply.headers["Retry-After"]) == (503, "1")
    assert "unknown" in reply.json()["error"]


def test_contention_is_a_409(api: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    def contended(*_: object, **__: object) -> None:
        raise TooMuchContention

    monkeypatch.setattr(configured_hive(), "command", contended)
    assert command(api, UNKNOWN_ID, "M").status_code == 409


def test_an_internal_error_reveals_no_details(api: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    def bug(*_: object, **__: object) -> None:
        raise KeyError("a secret detail")

    monkeypatch.setattr(configured_hive(), "get", bug)
    api.raise_request_exception = False
    reply = api.get(f"/zerglings/{UNKNOWN_ID}")
    assert reply.status_code == 500
    assert list(reply.json()) == ["error"]
    assert b"secret" not in reply.content
    assert settings.DEBUG is False
