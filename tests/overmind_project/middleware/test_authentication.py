"""Tests for authentication with tokens: open and protected routes, scopes, 401 and 403."""

from __future__ import annotations

import codecs
import re
import uuid
from typing import Any

import pytest
from django.test import Client
from django.urls import URLPattern, get_resolver, reverse
from pytest_django import Settings

from overmind_project.middleware import authentication
from tests.support.backends import Backend
from tests.support.tokens import READER, STRANGER, WRITER, Headers, bearer
from zerglings.api.parsers import (
    FormBodyParser,
    JSONBodyParser,
    MultipartBodyParser,
    TextBodyParser,
)

NOBODY = "5fb0c9f4-8a3c-4a5e-9d5e-3f6f0e8d7c21"
READING, WRITING = ("GET", "HEAD", "OPTIONS"), ("POST", "PUT", "PATCH", "DELETE", "TRACE", "BREW")
PERSON = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
FROM_HERE = {"Sec-Fetch-Site": "same-origin"}
ALLOWED_STATUSES = {200, 201, 204, 303, 400, 404, 405, 503}


@pytest.fixture
def backend(sqlite: Backend) -> Backend:
    """The embedded store, which is not tested here."""
    return sqlite


def routes() -> dict[str, str]:
    """Return one path per served route, by the route's name."""
    found = {}
    for pattern in get_resolver().url_patterns:
        assert isinstance(pattern, URLPattern)  # else this must look into it
        assert pattern.name
        parts = {"id": NOBODY} if pattern.pattern.regex.groups else {}
        found[pattern.name] = reverse(pattern.name, kwargs=parts)
    return found


ROUTES = routes()
each_closed_path = pytest.mark.parametrize(
    "path", [path for name, path in ROUTES.items() if name not in authentication.PUBLIC_ROUTES]
)


def ask(client: Client, method: str, path: str, headers: Headers) -> Any:
    reply = client.generic(method, path, headers=headers)
    reply.close()
    return reply


def cookie(token: str, **more: str) -> Headers:
    return {"Cookie": f"overmind-token={token}", **more}


def test_everything_is_open_without_configured_tokens(api: Client) -> None:
    assert api.post("/zerglings/").status_code == 201
    reply = api.get("/zerglings/", headers=bearer(STRANGER))
    assert reply.status_code == 200
    assert "WWW-Authenticate" not in reply.headers
    assert "private" not in reply.headers["Cache-Control"]


def test_only_the_listed_routes_are_public() -> None:
    assert {"health", "healthz", "readyz", "sign-in", "sign-out"} == authentication.PUBLIC_ROUTES
    assert set(ROUTES) > authentication.PUBLIC_ROUTES | {authentication.METRICS_ROUTE}


@each_closed_path
@pytest.mark.parametrize("slash", ["", "/"])
@pytest.mark.parametrize("method", READING + WRITING)
def test_every_other_route_requires_a_valid_token(
    closed: Client, method: str, path: str, slash: str
) -> None:
    place = path.rstrip("/") + slash or "/"
    missing = ask(closed, method, place, {})
    assert missing.status_code == 401
    assert missing.headers["WWW-Authenticate"] == 'Bearer realm="overmind"'
    for headers in (bearer(STRANGER), cookie(STRANGER)):
        wrong = ask(closed, method, place, headers)
        assert wrong.status_code == 401
        assert wrong.headers["WWW-Authenticate"] == 'Bearer realm="overmind", error="invalid_token"'
        if method != "HEAD":
            assert list(wrong.json()) == ["error"]


@each_closed_path
def test_readers_may_read_and_writers_may_do_everything_at_every_route(
    closed: Client, path: str
) -> None:
    for method in READING + WRITING:
        assert ask(closed, method, path, bearer(WRITER)).status_code in ALLOWED_STATUSES
    for method in READING:
        assert ask(closed, method, path, bearer(READER)).status_code in ALLOWED_STATUSES
    for method in WRITING:
        refused = ask(closed, method, path, bearer(READER))
        assert refused.status_code == 403
        assert refused.headers["WWW-Authenticate"] == (
            'Bearer realm="overmind", error="insufficient_scope", scope="write"'
        )
        assert "may only read" in refused.json()["error"]


@pytest.mark.parametrize("name", sorted(authentication.PUBLIC_ROUTES))
def test_public_routes_require_no_token(closed: Client, name: str) -> None:
    for headers in ({}, bearer(STRANGER), cookie(STRANGER)):
        for method in READING + WRITING:
            status = ask(closed, method, ROUTES[name], headers | FROM_HERE).status_code
            # The sign-in page itself rejects a form without a token.
            assert status in ALLOWED_STATUSES or (name, method, status) == ("sign-in", "POST", 401)


def test_metrics_require_a_token_unless_a_setting_opens_them(
    closed: Client, settings: Settings
) -> None:
    assert closed.get("/metrics").status_code == 401
    assert closed.get("/metrics", headers=bearer(READER)).status_code == 200
    settings.OVERMIND_OPEN_METRICS = True
    opened = Client()  # rebuilds the middleware with the settings
    assert opened.get("/metrics").status_code == 200
    assert opened.get("/zerglings/").status_code == 401


@pytest.mark.parametrize(
    "path",
    [
        "/nothing",
        "/healthz/../zerglings/",
        "/healthz/%2e%2e/zerglings/",
        "/healthz/x",
        "/healthz%2fx",
        "/%ff",
        "/sign-in/x",
        "/zerglings/a/b/c",
    ],
)
def test_unknown_urls_are_a_401_without_a_token(closed: Client, path: str) -> None:
    unknown = closed.get(path)
    assert unknown.status_code == 401
    assert unknown.content == closed.get("/zerglings/").content
    assert closed.get(path, headers=bearer(READER)).status_code in (400, 404)


@pytest.mark.parametrize("path", ["/static/nothing.css", "/static/../zerglings/", "/static/"])
def test_missing_static_files_do_not_reveal_whether_a_token_is_valid(
    closed: Client, path: str
) -> None:
    for method in READING + WRITING:
        bare = ask(closed, method, path, {})
        assert bare.status_code == 404
        for token in (READER, WRITER, STRANGER):
            for headers in (bearer(token), cookie(token), cookie(token, **FROM_HERE)):
                shown = ask(closed, method, path, headers)
                assert (shown.status_code, shown.content) == (404, bare.content)
                assert dict(shown.items()) == dict(bare.items())


def test_static_files_are_open(closed: Client) -> None:
    reply = closed.get("/static/overmind/theme.css")
    assert reply.status_code == 200
    reply.close()


@pytest.mark.parametrize(
    ("header", "status"),
    [
        (f"Bearer {WRITER}", 201),
        (f"bearer {WRITER}", 201),
        (f"BEARER   {WRITER} ", 201),
        (f"Bearer\t{WRITER}", 401),
        (f"Bearer{WRITER}", 401),
        (f"Basic {WRITER}", 401),
        (f"Token {WRITER}", 401),
        (WRITER, 401),
        ("Bearer", 401),
        ("Bearer ", 401),
        ("", 401),
        (f"Bearer {WRITER} {WRITER}", 401),
        (f"Bearer {WRITER},Bearer {WRITER}", 401),
        (f'Bearer "{WRITER}"', 401),
        (f"Bearer {WRITER.upper()}", 401),
        (f"Bearer {WRITER}\x00", 401),
        ("Bearer ä", 401),
        ("Bearer \udcff", 401),
        (f"Bearer {'x' * 100_000}", 401),
    ],
)
def test_a_token_is_accepted_only_as_a_bearer_token(
    closed: Client, header: str, status: int
) -> None:
    reply = closed.post("/zerglings/", HTTP_AUTHORIZATION=header)
    assert reply.status_code == status


def test_a_token_in_a_query_or_body_is_ignored(closed: Client) -> None:
    assert closed.get(f"/zerglings/?access_token={WRITER}&token={WRITER}").status_code == 401
    assert closed.post("/zerglings/", {"access_token": WRITER, "token": WRITER}).status_code == 401


def test_unauthorized_writes_change_nothing_and_no_body_is_parsed(
    closed: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    spawned = closed.post("/zerglings/", headers=bearer(WRITER)).json()["zergling"]["id"]
    path = f"/zerglings/{spawned}"

    def parse(*_: object, **__: object) -> None:
        raise AssertionError("a body was parsed")

    for parser in (FormBodyParser, JSONBodyParser, MultipartBodyParser, TextBodyParser):
        monkeypatch.setattr(parser, "parse", parse)
    for headers in ({}, bearer(STRANGER), bearer(READER), cookie(READER), cookie(WRITER)):
        for reply in (
            closed.post(path, '"M"', content_type="application/json", headers=headers),
            closed.post("/zerglings/", {"facing": "N"}, headers=headers),
            closed.delete(path, headers=headers),
        ):
            assert reply.status_code in (401, 403)
    listed = closed.get("/zerglings/", headers=bearer(READER))
    assert b"".join(listed).count(b'"id"') == 1
    shown = closed.get(path, headers=bearer(READER)).json()["zergling"]
    assert "commandHistory" not in shown


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        ({"Sec-Fetch-Site": "same-origin"}, 201),
        ({"Sec-Fetch-Site": "same-origin", "Origin": "https://proxied.example"}, 201),
        ({"Origin": "http://overmind.example"}, 201),
        ({"Origin": "https://Overmind.example"}, 201),
        ({"Sec-Fetch-Site": "same-site", "Origin": "http://overmind.example"}, 403),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "none"}, 403),
        ({"Sec-Fetch-Site": ""}, 403),
        ({"Origin": "http://overmind.example:81"}, 403),
        ({"Origin": "http://evil.example"}, 403),
        ({"Origin": "http://overmind.example.evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": "ftp://overmind.example"}, 403),
        ({"Origin": "http://"}, 403),
        ({"Origin": ""}, 403),
        ({}, 403),
    ],
)
def test_a_cookie_allows_writes_only_from_the_same_origin(
    closed: Client, sent: Headers, status: int
) -> None:
    headers = {"Host": "overmind.example"} | sent
    assert closed.get("/zerglings/", headers=headers | cookie(READER)).status_code == 200
    assert closed.post("/zerglings/", headers=headers | cookie(WRITER)).status_code == status
    # Another site cannot make a browser send this header.
    assert closed.post("/zerglings/", headers=headers | bearer(WRITER)).status_code == 201


def test_a_bearer_header_overrides_a_cookie_and_other_schemes_do_not(closed: Client) -> None:
    for header, status in ((bearer(STRANGER), 401), ({"Authorization": "Basic eDp5"}, 200)):
        assert closed.get("/zerglings/", headers=header | cookie(READER)).status_code == status
    both = bearer(READER) | cookie(WRITER, **FROM_HERE)
    assert closed.post("/zerglings/", headers=both).status_code == 403


@pytest.mark.parametrize(
    "value", ["", '"', "%00", "\\", "=", "a;b", "overmind-token", READER + "\xe9", "x" * 10_000]
)
def test_invalid_cookies_are_rejected(closed: Client, value: str) -> None:
    assert closed.get("/zerglings/", headers=cookie(value)).status_code == 401


def test_responses_of_a_protected_service_are_not_cached_by_shared_caches(closed: Client) -> None:
    for path in [*ROUTES.values(), "/nothing"]:
        for headers in ({}, bearer(READER), PERSON, cookie(READER) | PERSON):
            reply = ask(closed, "GET", path, headers)
            kept = reply.headers["Cache-Control"]
            assert "no-store" in kept or "private" in kept, path
            assert {"Authorization", "Cookie"} <= set(re.split(", *", reply.headers["Vary"])), path


def test_readers_may_make_conditional_requests(closed: Client) -> None:
    tag = closed.get("/schema/", headers=bearer(READER)).headers["ETag"]
    again = closed.get("/schema/", headers=bearer(READER) | {"If-None-Match": tag})
    assert again.status_code == 304


@each_closed_path
def test_browsers_get_a_sign_in_page(closed: Client, path: str) -> None:
    reply = closed.get(path, headers=PERSON)
    assert reply.status_code == 401
    assert reply.headers["Content-Type"] == "text/html; charset=utf-8"
    assert "default-src 'none'" in reply.headers["Content-Security-Policy"]
    page = reply.content.decode()
    assert '<form method="post" action="/sign-in"' in page
    assert f'name="next" value="{path}"' in page
    assert closed.head(path, headers=PERSON).content == b""


def test_browsers_get_a_page_that_explains_a_403(closed: Client) -> None:
    headers = PERSON | cookie(READER, **FROM_HERE)
    reply = closed.post("/zerglings/", headers=headers)
    assert reply.status_code == 403
    page = reply.content.decode()
    assert "may only read" in page
    assert "<strong>viewer</strong>" in page
    assert 'action="/sign-out"' in page


@pytest.mark.parametrize(
    "accept", ["", "*", "text/html;q=x", "text/html;q=0", ",,,", "text/html" * 5000, "é/é", "\x00"]
)
def test_every_accept_header_gets_a_401(closed: Client, accept: str) -> None:
    assert closed.get("/zerglings/", headers={"Accept": accept}).status_code == 401


@pytest.mark.parametrize("name", ["nope", "idna", "hex"])
def test_codecs_named_in_an_accept_header_are_not_looked_up(closed: Client, name: str) -> None:
    name = f"{name}-{uuid.uuid4().hex}"
    looked_up: list[str] = []
    codecs.register(looked_up.append)
    accept = f"text/html;a*={name}''%41, application/xml;q*={name}''%41"
    reply = closed.get("/zerglings/", headers={"Accept": accept})
    assert reply.status_code == 401
    codecs.unregister(looked_up.append)
    assert reply.headers["Content-Type"].startswith("text/html")
    assert not looked_up


def test_a_very_long_accept_header_is_not_parsed(closed: Client) -> None:
    reply = closed.get("/zerglings/", headers={"Accept": "text/html," + "a/b," * 14_000})
    assert reply.status_code == 401
    assert reply.headers["Content-Type"] == "application/json"


def test_a_401_varies_with_accept(closed: Client) -> None:
    for headers in ({}, PERSON):
        reply = closed.get("/zerglings/", headers=headers)
        assert "Accept" in re.split(", *", reply.headers["Vary"])


def test_the_cookie_for_tls_has_its_own_name_and_takes_precedence(closed: Client) -> None:
    headers = {"Cookie": f"__Host-overmind-token={READER}"}
    assert closed.get("/zerglings/", headers=headers).status_code == 200
    both = {"Cookie": f"overmind-token={STRANGER}; __Host-overmind-token={READER}"}
    assert closed.get("/zerglings/", headers=both).status_code == 200


def test_pages_show_who_is_signed_in(closed: Client) -> None:
    headers = PERSON | cookie(READER)
    assert "viewer, who may only read" in closed.get("/", headers=headers).content.decode()
    assert "Sign out viewer" in closed.get("/zerglings/", headers=headers).content.decode()
    assert "viewer" not in closed.get("/", headers=PERSON | bearer(READER)).content.decode()
