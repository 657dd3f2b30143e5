"""Tests that every URL in a response is below the path prefix, whatever the proxy sends."""

from __future__ import annotations

import re
from collections.abc import Iterator
from http.cookies import Morsel, SimpleCookie
from urllib.parse import urlencode

import pytest

from tests.support.backends import sqlite_backend
from tests.support.service import Reply, Service
from tests.support.tokens import LINES, READER, STRANGER, WRITER

PREFIX = "/team/overmind"
PERSON = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
FROM_HERE = {"Sec-Fetch-Site": "same-origin"}
NAMED = re.compile(r'(?:href|src|action|data-schema)="(/[^"]*)"')


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    directory = tmp_path_factory.mktemp("open")
    environment = {"OVERMIND_PATH_PREFIX": f"{PREFIX}/", "OVERMIND_RATE_LIMIT": "1000/s"}
    with Service(sqlite_backend(directory).environment | environment, directory) as service:
        yield service


@pytest.fixture(scope="module")
def closed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    directory = tmp_path_factory.mktemp("closed")
    environment = {"OVERMIND_PATH_PREFIX": PREFIX, "OVERMIND_TOKENS": LINES}
    with Service(sqlite_backend(directory).environment | environment, directory) as service:
        yield service


@pytest.fixture(params=[PREFIX, ""], ids=["left", "taken off"])
def sent(request: pytest.FixtureRequest) -> str:
    """The part of the prefix that a proxy leaves in the path."""
    return str(request.param)


def test_location_and_link_are_below_the_prefix(service: Service, sent: str) -> None:
    place = service.call("POST", f"{sent}/zerglings").headers["Location"]
    assert place.startswith(f"{PREFIX}/zerglings/")
    assert service.call("GET", place).status == 200
    service.call("POST", f"{sent}/zerglings/")
    pages = (f"{sent}/zerglings/?limit=1", f"{sent}{place.removeprefix(PREFIX)}/history?limit=1")
    service.call("POST", place, "MM")
    for page in pages:
        link = service.call("GET", page).headers["Link"]
        assert link.startswith(f"<{PREFIX}/zerglings/"), link
        assert service.call("GET", link[1:].partition(">")[0]).status == 200


def test_the_entry_points_are_below_the_prefix(service: Service, sent: str) -> None:
    entries = service.call("GET", f"{sent}/").json
    assert all(path.startswith(f"{PREFIX}/") for path in entries.values())
    for path in entries.values():
        status = service.call("HEAD", path).status
        assert status == (405 if "/swarm/" in path else 200), path


def test_the_map_is_served_without_the_final_slash(service: Service) -> None:
    assert service.call("GET", PREFIX, headers=PERSON).body == (
        service.call("GET", f"{PREFIX}/", headers=PERSON).body
    )


@pytest.mark.parametrize("path", ["/", "/zerglings/", "/docs/", "/sign-in", "/swarm/commands"])
def test_every_url_in_a_page_is_below_the_prefix(service: Service, sent: str, path: str) -> None:
    method, body = ("POST", '{"commands":[]}') if "swarm" in path else ("GET", None)
    named = NAMED.findall(service.call(method, f"{sent}{path}", body, PERSON).body.decode())
    assert named
    for each in named:
        assert each.startswith(f"{PREFIX}/"), each
        if "/static/" in each:
            assert service.call("GET", each).status == 200
            assert service.call("GET", each.removeprefix(PREFIX)).status == 200


def test_the_openapi_document_names_the_prefix_as_its_server(service: Service, sent: str) -> None:
    document = service.call("GET", f"{sent}/schema/").json
    assert document["servers"] == [{"url": PREFIX}]
    assert "/zerglings" in document["paths"]
    onward = document["components"]["headers"]["Location"]
    assert re.match(onward["schema"]["pattern"], onward["example"])
    assert onward["example"].startswith(f"{PREFIX}/zerglings/")


@pytest.mark.parametrize("path", ["/nowhere", "/zerglings/nobody"])
def test_urls_in_an_error_page_are_below_the_prefix(service: Service, sent: str, path: str) -> None:
    reply = service.call("GET", f"{sent}{path}")
    assert reply.status == 404
    assert f" {PREFIX}/zerglings/" in reply.json["error"]


def test_bulk_calls_below_the_prefix_may_have_long_bodies(service: Service, sent: str) -> None:
    body = '{"commands":[{"id":"nobody","command":"M"}' + " " * 70_000 + "]}"
    assert service.call("POST", f"{sent}/swarm/commands", body).status == 200


def test_a_longer_segment_does_not_match_the_prefix(service: Service) -> None:
    for path in (f"{PREFIX}s/zerglings/", f"{PREFIX.upper()}/zerglings/", "/team/zerglings/"):
        assert service.call("GET", path).status == 404


def sign_in(closed: Service, sent: str, onward: str = "/", **headers: str) -> Reply:
    form = urlencode({"token": WRITER, "next": onward})
    return closed.call("POST", f"{sent}/sign-in", form, PERSON | FROM_HERE | headers)


def kept(reply: Reply) -> Morsel[str]:
    (cookie,) = SimpleCookie(reply.headers["Set-Cookie"]).values()
    return cookie


def test_the_cookie_is_limited_to_the_prefix(closed: Service, sent: str) -> None:
    cookie = kept(sign_in(closed, sent))
    assert (cookie.key, cookie["path"], cookie["secure"]) == ("overmind-token", PREFIX, "")
    over_tls = kept(sign_in(closed, sent, Origin="https://example.org"))
    assert (over_tls.key, over_tls["path"]) == ("__Secure-overmind-token", PREFIX)
    assert over_tls["secure"]
    for each in (cookie, over_tls):
        shown = {"Cookie": f"{each.key}={each.value}"}
        assert closed.call("GET", f"{sent}/zerglings/", headers=shown).status == 200
    out = closed.call("POST", f"{sent}/sign-out", headers=FROM_HERE)
    assert out.headers["Location"] == f"{PREFIX}/sign-in"
    forgotten = [
        next(iter(SimpleCookie(line).values())) for line in out.headers.get_all("Set-Cookie") or ()
    ]
    assert {each.key for each in forgotten} == {cookie.key, over_tls.key}
    assert {(each["path"], each["max-age"]) for each in forgotten} == {(PREFIX, "0")}


def test_the_first_of_two_cookies_counts(closed: Service) -> None:
    both = {"Cookie": f"overmind-token={READER}; overmind-token={STRANGER}"}
    assert closed.call("GET", f"{PREFIX}/zerglings/", headers=both).status == 200


@pytest.mark.parametrize(
    ("onward", "where"),
    [
        (f"{PREFIX}/zerglings/?limit=5", f"{PREFIX}/zerglings/?limit=5"),
        (PREFIX, PREFIX),
        (f"{PREFIX}?x=1", f"{PREFIX}?x=1"),
        ("/", f"{PREFIX}/"),
        ("/team/other", f"{PREFIX}/"),
        (f"{PREFIX}s/", f"{PREFIX}/"),
        (f"{PREFIX}/../other", f"{PREFIX}/"),
        (f"{PREFIX}/%2e%2E/other", f"{PREFIX}/"),
        (f"{PREFIX}/..\\other", f"{PREFIX}/"),
        ("//evil.example", f"{PREFIX}/"),
    ],
)
def test_signing_in_redirects_only_below_the_prefix(
    closed: Service, sent: str, onward: str, where: str
) -> None:
    assert sign_in(closed, sent, onward).headers["Location"] == where


def test_a_401_names_the_sign_in_page_and_the_way_back(closed: Service, sent: str) -> None:
    assert f" {PREFIX}/sign-in" in closed.call("GET", f"{sent}/zerglings/").json["error"]
    page = closed.call("GET", f"{sent}/zerglings/?limit=5", headers=PERSON).body.decode()
    assert f'value="{PREFIX}/zerglings/?limit=5"' in page


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/_health", "/static/overmind/main.js"])
def test_public_urls_require_no_token_below_a_prefix(closed: Service, sent: str, path: str) -> None:
    assert closed.call("GET", f"{sent}{path}").status == 200
    assert closed.call("GET", f"{sent}/static/nothing.js").status == 404
