"""Tests for signing in and out with a browser: the cookies it gets and its redirects."""

from __future__ import annotations

import logging
import re
from http.cookies import SimpleCookie
from typing import Any
from urllib.parse import urlencode

import pytest
from django.contrib.staticfiles import finders
from django.test import Client

from overmind_project.auth.denials import safe_path
from tests.support.backends import Backend
from tests.support.tokens import READER, STRANGER, WRITER

PERSON = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
FROM_HERE = {"Sec-Fetch-Site": "same-origin"}

FORM = "application/x-www-form-urlencoded"
FILES = (
    "".join(
        f'--x\r\nContent-Disposition: form-data; name="f{n}"; filename="f"\r\n\r\n\r\n'
        for n in range(101)
    )
    + "--x--\r\n"
)


@pytest.fixture
def backend(sqlite: Backend) -> Backend:
    """The embedded store, which is not tested here."""
    return sqlite


def sign_in(client: Client, token: str, onward: str = "/", **headers: str) -> Any:
    return send(client, {"token": token, "next": onward}, PERSON | FROM_HERE | headers)


def send(
    client: Client, fields: dict[str, str], headers: dict[str, str], *, secure: bool = False
) -> Any:
    return client.post("/sign-in", urlencode(fields), FORM, headers=headers, secure=secure)


def kept(reply: Any, name: str = "overmind-token") -> Any:
    return reply.cookies[name]


def test_signing_in_sets_a_session_cookie_that_authenticates(
    closed: Client,
) -> None:
    reply = sign_in(closed, WRITER)
    assert (reply.status_code, reply.headers["Location"]) == (303, "/")
    cookie = kept(reply)
    assert cookie.value == WRITER
    assert (cookie["httponly"], cookie["samesite"], cookie["path"]) == (True, "Strict", "/")
    assert (cookie["max-age"], cookie["expires"], cookie["domain"]) == ("", "", "")
    assert closed.get("/zerglings/", headers=PERSON).status_code == 200
    assert closed.post("/zerglings/", headers=FROM_HERE).status_code == 201


def test_the_cookie_is_secure_on_https(closed: Client) -> None:
    host, name = {"Host": "overmind.example"}, "__Host-overmind-token"
    assert not kept(sign_in(closed, READER, **host))["secure"]
    assert not kept(sign_in(closed, READER, Origin="http://overmind.example", **host))["secure"]
    assert kept(sign_in(closed, READER, Origin="https://overmind.example", **host), name)["secure"]
    cookie = kept(send(closed, {"token": READER}, FROM_HERE, secure=True), name)
    assert (cookie["secure"], cookie["path"], cookie["domain"]) == (True, "/", "")


def test_signing_out_removes_the_cookies(closed: Client) -> None:
    sign_in(closed, WRITER)
    reply = closed.post("/sign-out", headers=FROM_HERE)
    assert (reply.status_code, reply.headers["Location"]) == (303, "/sign-in")
    for name in ("overmind-token", "__Host-overmind-token"):
        cookie = kept(reply, name)
        assert (cookie.value, cookie["max-age"], cookie["path"]) == ("", 0, "/")
        assert bool(cookie["secure"]) == name.startswith("__Host-"), "otherwise browsers keep it"
    assert closed.get("/zerglings/").status_code == 401


def test_an_unknown_token_is_rejected_and_sets_no_cookie(closed: Client) -> None:
    for token in ("", STRANGER, "é", "\x00", "x" * 4000, f'{WRITER}"'):
        reply = sign_in(closed, token)
        assert reply.status_code == 401
        assert reply.headers["WWW-Authenticate"].endswith('error="invalid_token"')
        assert not reply.cookies
        page = reply.content.decode()
        assert "not known here" in page
        assert len(token) < 9 or token not in page


@pytest.mark.parametrize(
    ("body", "content_type", "status"),
    [
        ("", "", 400),
        (f'{{"token": "{WRITER}"}}', "application/json", 400),
        (f"token={WRITER}", "text/plain", 400),
        (b"\xff\xfe=\xff", FORM, 401),
        ("x", "multipart/form-data", 400),
        (FILES, "multipart/form-data; boundary=x", 400),
        ("a&" * 2000, FORM, 401),
        ("a=1&" * 1025, FORM, 413),
    ],
)
def test_a_body_that_is_not_a_form_is_rejected(
    closed: Client,
    body: str | bytes,
    content_type: str,
    status: int,
    caplog: pytest.LogCaptureFixture,
) -> None:
    reply = closed.generic("POST", "/sign-in", body, content_type, headers=FROM_HERE)
    assert reply.status_code == status
    assert list(reply.json()) == ["error"]
    assert not [each for each in caplog.records if each.levelno >= logging.ERROR]


def test_django_security_loggers_are_disabled() -> None:
    for name in ("", ".DisallowedHost", ".TooManyFieldsSent", ".TooManyFilesSent"):
        assert not logging.getLogger(f"django.security{name}").isEnabledFor(logging.ERROR)


def test_signing_in_or_out_from_another_site_is_rejected(closed: Client) -> None:
    for headers in ({}, {"Origin": "https://evil.example"}, {"Sec-Fetch-Site": "cross-site"}):
        for path in ("/sign-in", "/sign-out"):
            reply = closed.post(path, {"token": WRITER}, headers=headers)
            assert reply.status_code == 403
            assert not reply.cookies


@pytest.mark.parametrize("path", ["/", "/zerglings/", "/zerglings/a?x=1&y=%20", "/a//b", "/a\\b"])
def test_signing_in_redirects_to_the_requested_page(closed: Client, path: str) -> None:
    assert safe_path(path) == path
    page = closed.get("/sign-in", {"next": path}).content.decode()
    assert f'value="{path.replace("&", "&amp;")}"' in page
    assert sign_in(closed, READER, path).headers["Location"] == path


@pytest.mark.parametrize(
    "path",
    [
        "//evil.example",
        "///evil.example",
        "/\\evil.example",
        "\\\\evil.example",
        "https://evil.example/",
        "https:evil.example",
        "javascript:alert(1)",
        "evil.example",
        "/\t/evil.example",
        "/\r\nSet-Cookie: a=b",
        "/ /evil.example",
        "/ä",
        "/a\x00",
        " /a",
        "",
    ],
)
def test_redirects_to_other_sites_are_replaced_by_the_root(closed: Client, path: str) -> None:
    assert safe_path(path) == "/"
    page = closed.get("/sign-in", {"next": path}).content.decode()
    assert 'name="next" value="/"' in page
    assert sign_in(closed, READER, path).headers["Location"] == "/"


def test_the_page_shows_who_is_signed_in(closed: Client) -> None:
    assert "Signed in as" not in closed.get("/sign-in").content.decode()
    sign_in(closed, READER)
    page = closed.get("/sign-in").content.decode()
    assert re.search(r"Signed in as <strong>viewer</strong>, who may\s+only read", page)
    assert 'action="/sign-out"' in page
    sign_in(closed, WRITER)
    assert "may read and command" in closed.get("/sign-in").content.decode()


def test_the_page_has_no_inline_scripts_and_no_external_files(closed: Client) -> None:
    reply = closed.get("/sign-in")
    assert "script-src 'self'" in reply.headers["Content-Security-Policy"]
    page = reply.content.decode()
    inline = r'<script(?! src="[^"]+"></script>)'
    for forbidden in ("<style", inline, r"\sstyle=", r"\son\w+=", "https?:"):
        assert not re.search(forbidden, page), forbidden
    for path in re.findall(r'(?:src|href)="/static/([^"]+)"', page):
        assert finders.find(path), path


def test_other_methods_are_a_405_with_the_allowed_ones(closed: Client) -> None:
    reply = closed.get("/sign-out")
    assert (reply.status_code, reply.headers["Allow"]) == (405, "POST")
    reply = closed.put("/sign-in")
    assert (reply.status_code, reply.headers["Allow"]) == (405, "GET, HEAD, POST")


def test_signing_in_to_an_open_service_sets_no_cookie(api: Client) -> None:
    assert "open to everybody" in api.get("/sign-in").content.decode()
    reply = sign_in(api, READER, "/docs")
    assert (reply.status_code, reply.headers["Location"]) == (303, "/docs")
    assert not reply.cookies
    page = api.get("/", headers=PERSON | {"Cookie": f"overmind-token={READER}"}).content.decode()
    assert "Sign out" not in page


def test_every_token_accepted_in_a_header_works_as_a_cookie() -> None:
    reply = SimpleCookie()
    reply["a"] = "aZ09-._~+/=="
    assert SimpleCookie(reply["a"].OutputString())["a"].value == "aZ09-._~+/=="
