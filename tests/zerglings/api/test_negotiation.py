"""Tests for content negotiation, which does not use the framework's."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.test import Client

from tests.support.service import ROOT
from zerglings.api.negotiation import JSON, MAX_ACCEPT_LENGTH, best_media_type, prefers_html

UNSAFE = {"get_preferred_type", "accepts", "accepted_type", "accepted_types"}
"""Attributes of Django's request that look up codecs named by the client."""


JAVA = "text/html, image/gif, image/jpeg, *; q=.2, */*; q=.2"
JAVA_21 = "text/html, image/gif, image/jpeg, */*; q=0.2"
BROWSERS = {
    "Chromium": "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,"
    "image/apng,*/*;q=0.8,application/signed-exchange;v=b3;q=0.7",
    "Firefox": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
    "Lynx": "text/html, text/plain, text/sgml, text/css, */*;q=0.01",
    "w3m": "text/html, text/*;q=0.5, image/*",
    "a person with curl": "text/html",
    "parameters and capitals": "TEXT/HTML; level=1; Q = 0.9, application/json;q=.8",
    "jQuery for a page": "text/html, */*; q=0.01",
    "no codec is looked up": "text/html;a*=nope''%41",
    "who will not have JSON": "text/html, image/gif, */*, application/json;q=0",
    "nearly too long": "text/html" + " " * (MAX_ACCEPT_LENGTH - 9),
}
PROGRAMS = {
    "none": None,
    "empty": "",
    "curl": "*/*",
    "JSON": "application/json",
    "Java": JAVA,
    "Java 21": JAVA_21,
    "Spring": "text/plain, application/json, application/*+json, */*",
    "equal": "text/html, application/json",
    "equal by a range": "text/html, */*",
    "equal by half a range": "text/html;q=0.7, application/*;q=0.7",
    "no page": "text/html;q=0, */*",
    "no text": "text/*;q=0.000, */*;q=0.1",
    "JSON rather": "text/html;q=0.5, application/json;q=0.9",
    "anything rather": "text/html;q=0.5, */*;q=0.8",
    "XHTML, but JSON rather": "application/xhtml+xml, text/html;q=0.1, application/json",
    "another type": "text/htmlx",
    "nothing": ",;,",
    "too long": "text/html" + " " * (MAX_ACCEPT_LENGTH - 8),
}


@pytest.mark.parametrize("accept", BROWSERS.values(), ids=BROWSERS)
def test_browsers_get_html(accept: str) -> None:
    assert prefers_html(accept)


@pytest.mark.parametrize("accept", PROGRAMS.values(), ids=PROGRAMS)
def test_other_clients_get_json(accept: str | None) -> None:
    assert not prefers_html(accept)


@pytest.mark.parametrize(
    ("accept", "answer"),
    [
        ("application/json;q=0", None),
        ("*/*;q=0", None),
        ("text/html", None),
        ("application/*;q=0, */*", None),
        ("application/json;q=0, */*", "application/yaml"),
        ("application/yaml, application/json;q=0.9", "application/yaml"),
        ("application/yaml;q=0.3, */*;q=0.2", "application/yaml"),
        ("application/yaml;q=0.2, application/json;q=0.3", "application/json"),
        ("application/json;v=1;q=0.1, application/json;v=2, application/yaml;q=0.5", JSON),
        ("application/yaml;q=9, application/json;q=1", JSON),
        ("application/yaml;q=, application/json;q=0.9", "application/yaml"),
        (JAVA, JSON),
    ],
)
def test_the_media_type_with_the_greatest_weight_wins_and_zero_excludes_it(
    accept: str, answer: str | None
) -> None:
    assert best_media_type(accept, (JSON, "application/yaml")) == answer


@pytest.mark.parametrize("accept", [JAVA, JAVA_21, "text/html;q=0, */*"])
@pytest.mark.parametrize("path", ["/", "/zerglings/", "/zerglings/nobody", "/swarm/spawn"])
@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
def test_programs_get_json_at_every_url(api: Client, path: str, accept: str) -> None:
    reply = api.get(path, headers={"Accept": accept})
    assert reply.headers["Content-Type"] == "application/json"
    assert reply.json() is not None


@pytest.mark.parametrize(
    ("url", "answer"),
    [
        ("/?format=json", JSON),
        ("/?format=html", "text/html; charset=utf-8"),
        ("/zerglings/?format=json", JSON),
        ("/zerglings/?format=csv", "text/csv; charset=utf-8"),
        ("/zerglings/?format=api", "text/html; charset=utf-8"),
        ("/schema/?format=json", JSON),
        ("/schema/?format=yaml", "application/yaml"),
    ],
)
@pytest.mark.parametrize("accept", [JSON, "text/html", "text/csv", "image/png"])
@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
def test_a_format_in_the_url_counts_instead_of_the_header(
    api: Client, url: str, answer: str, accept: str
) -> None:
    """Generated clients send ``Accept: application/json`` whatever the query says."""
    reply = api.get(url, headers={"Accept": accept})
    assert (reply.status_code, reply.headers["Content-Type"]) == (200, answer)
    assert reply.headers["Vary"] == "Accept"


@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
def test_an_unacceptable_media_type_is_rejected_before_any_change(api: Client) -> None:
    reply = api.post("/zerglings/", headers={"Accept": "application/json;q=0, image/png"})
    assert (reply.status_code, list(reply.json())) == (406, ["error"])
    assert api.get("/zerglings/").json() == {}


def sources() -> Iterator[Path]:
    for package in ("overmind_project", "zerglings"):
        yield from (ROOT / package).rglob("*.py")


def test_django_accept_helpers_are_not_used() -> None:
    seen = list(sources())
    assert len(seen) > 50
    for source in seen:
        for node in ast.walk(ast.parse(source.read_text())):
            if isinstance(node, ast.Attribute):
                assert node.attr not in UNSAFE, f"{source.name}:{node.lineno}"
