"""Tests for the caching headers and the length of every kind of response."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.test import Client

from overmind_project.http.error_response import refuse
from overmind_project.server.errors import (
    RequestError,
    body_too_slow,
    crowded_out,
    failed,
    head_too_slow,
    malformed,
)

BROWSER = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
NOBODY = "/zerglings/00000000-0000-4000-8000-000000000000"

CHANGES = {
    "the list": ("GET", "/zerglings/", 200),
    "a page of the list": ("GET", "/zerglings/?limit=1", 200),
    "a zergling": ("GET", "/zerglings/{id}", 200),
    "a history": ("GET", "/zerglings/{id}/history", 200),
    "a page of a history": ("GET", "/zerglings/{id}/history?limit=1", 200),
    "a spawn": ("POST", "/zerglings/", 201),
    "a command": ("POST", "/zerglings/{id}", 200),
    "no command": ("POST", "/zerglings/{id}?", 200),
    "a whole swarm": ("POST", "/swarm/spawn", 200),
    "a death": ("DELETE", "/zerglings/{id}", 204),
    "nobody": ("GET", NOBODY, 404),
    "nothing": ("GET", "/nothing", 404),
    "no such file": ("GET", "/static/nothing.js", 404),
    "another method": ("PUT", "/zerglings/", 405),
    "another method of a probe": ("POST", "/healthz", 405),
    "a bad query": ("GET", "/zerglings/?limit=0", 400),
    "options": ("OPTIONS", "/zerglings/", 200),
    "the health": ("GET", "/_health", 200),
    "the liveness": ("GET", "/healthz", 200),
    "the readiness": ("GET", "/readyz", 200),
    "the metrics": ("GET", "/metrics", 200),
    "the regions": ("GET", "/regions", 200),
    "where to begin": ("GET", "/", 200),
    "the document": ("GET", "/schema/", 200),
    "the page to try it": ("GET", "/docs/", 200),
    "the page to sign in": ("GET", "/sign-in", 200),
    "signing out from elsewhere": ("POST", "/sign-out", 403),
}
BODIES = {"/swarm/spawn": '{"count":2}', "/zerglings/{id}": "M", "/zerglings/{id}?": '"L"'}
STREAMED = {"the list", "a history", "a whole swarm", "a zergling", "a command", "no command"}
"""Responses that no proxy may transform: streams, and those with a revision as ETag."""

pytestmark = pytest.mark.parametrize("backend", ["sqlite"], indirect=True)


def ask(api: Client, kind: str, **headers: str) -> Any:
    method, path, _ = CHANGES[kind]
    id_ = api.post("/zerglings/").json()["zergling"]["id"] if "{id}" in path else ""
    body = BODIES.get(path, "")
    form = "application/x-www-form-urlencoded"
    return api.generic(method, path.format(id=id_), body, form, headers=headers)


def kept(reply: Any) -> set[str]:
    return set(re.split(", *", reply.headers["Cache-Control"]))


@pytest.mark.parametrize("kind", CHANGES)
def test_changing_responses_are_not_cached_without_revalidation(api: Client, kind: str) -> None:
    reply = ask(api, kind)
    assert reply.status_code == CHANGES[kind][2]
    assert kept(reply) & {"no-store", "no-cache"}


@pytest.mark.parametrize("kind", CHANGES)
def test_html_is_not_cached_without_revalidation_and_head_equals_get(
    api: Client, kind: str
) -> None:
    assert kept(ask(api, kind, **BROWSER)) & {"no-store", "no-cache"}
    if CHANGES[kind][0] == "GET":
        path = CHANGES[kind][1].format(id=api.post("/zerglings/").json()["zergling"]["id"])
        assert kept(api.head(path)) == kept(api.get(path))


@pytest.mark.parametrize("kind", STREAMED)
def test_streams_and_tagged_responses_are_no_transform(api: Client, kind: str) -> None:
    assert "no-transform" in kept(ask(api, kind))


def test_tagged_responses_are_revalidated_with_a_304(api: Client) -> None:
    for path in (f"/zerglings/{api.post('/zerglings/').json()['zergling']['id']}", "/schema/"):
        reply = api.get(path)
        again = api.get(path, headers={"If-None-Match": reply.headers["ETag"]})
        assert again.status_code == 304
        for name in ("Cache-Control", "ETag", "Vary"):  # RFC 9110, section 15.4.5
            assert again.headers[name] == reply.headers[name]
        assert "no-cache" in kept(reply)


def test_a_static_file_has_one_weak_etag_for_all_encodings(api: Client) -> None:
    path = "/static/overmind/main.js"
    packed = api.get(path, headers={"Accept-Encoding": "gzip"})
    assert packed.headers["Content-Encoding"] == "gzip"
    plain = api.get(path)
    assert "Content-Encoding" not in plain.headers
    assert plain.headers["ETag"] == packed.headers["ETag"]
    assert plain.headers["ETag"].startswith("W/")
    assert kept(plain) == {"max-age=60"}
    assert api.get(path, headers={"If-None-Match": plain.headers["ETag"]}).status_code == 304


def test_responses_without_a_body_by_definition_have_no_content_length(api: Client) -> None:
    path = f"/zerglings/{api.post('/zerglings/').json()['zergling']['id']}"
    for method in ("GET", "HEAD"):
        for url in (path, "/schema/"):
            headers = {"If-None-Match": api.get(url).headers["ETag"]}
            reply = api.generic(method, url, headers=headers)
            assert (reply.status_code, reply.content) == (304, b"")
            assert "Content-Length" not in reply.headers
    reply = api.delete(path)
    assert (reply.status_code, reply.content) == (204, b"")
    assert "Content-Length" not in reply.headers


def test_an_empty_response_has_content_length_0(api: Client) -> None:
    form = "application/x-www-form-urlencoded"
    headers = {"Sec-Fetch-Site": "same-origin"}
    reply = api.generic("POST", "/sign-in", "next=/", form, headers=headers)
    assert (reply.status_code, reply.headers["Content-Length"]) == (303, "0")


def test_rejections_before_django_are_not_cached(backend: object) -> None:
    begun: dict[str, str] = {}

    def start_response(status: str, headers: list[tuple[str, str]], *_: object) -> Any:
        begun.update(headers)

    list(refuse({"REQUEST_METHOD": "GET"}, start_response, "413 Content Too Large", "Too long."))
    assert begun["Cache-Control"] == "no-store"


@pytest.mark.parametrize(
    "error", [head_too_slow(), body_too_slow(), crowded_out(), failed(), malformed("No.")]
)
def test_an_error_before_the_application_is_not_cached(
    backend: object, error: RequestError
) -> None:
    head = error.encoded().partition(b"\r\n\r\n")[0]
    assert b"Cache-Control: no-store" in head.split(b"\r\n")
