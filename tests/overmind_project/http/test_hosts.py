"""Tests for the Host names that the service accepts."""

from __future__ import annotations

import pytest
from django.test import Client
from pytest_django import Settings

pytestmark = pytest.mark.parametrize("backend", ["sqlite"], indirect=True)

WELL_FORMED = [
    "overmind_web",
    "overmind_web:8080",
    "_overmind",
    "OVERMIND_web",
    "stack_overmind-web.1.tasks_",
    "overmind_web.:8080",
    "web:",
    "web~1",
    "192.0.2.1:8080",
    "[2001:db8::1]:8080",
]
MALFORMED = [
    "",
    "a b",
    "a,b",
    "a/b",
    "a@b",
    "a?b",
    "a:b",
    "a:80:80",
    "[::1",
    "[a_b]",
    "<a>",
    "é",
    ":80",
]


@pytest.mark.parametrize("path", ["/", "/zerglings/", "/events", "/schema/", "/docs/", "/sign-in"])
def test_every_url_is_served_under_a_name_with_an_underscore(api: Client, path: str) -> None:
    assert api.head(path, headers={"Host": "overmind_web:8080", "Accept": "*/*"}).status_code == 200


@pytest.mark.parametrize("accept", ["application/json", "text/html"])
@pytest.mark.parametrize("host", WELL_FORMED)
def test_any_well_formed_host_is_served(
    api: Client, settings: Settings, host: str, accept: str
) -> None:
    settings.ALLOWED_HOSTS = ["*"]
    assert api.get("/zerglings/", headers={"Host": host, "Accept": accept}).status_code == 200


@pytest.mark.parametrize("host", MALFORMED)
def test_a_malformed_host_is_refused(api: Client, settings: Settings, host: str) -> None:
    settings.ALLOWED_HOSTS = ["*"]
    reply = api.post("/zerglings/", headers={"Host": host})
    assert (reply.status_code, list(reply.json())) == (400, ["error"])
    assert api.get("/zerglings/").json() == {}


@pytest.mark.parametrize(
    ("allowed", "host", "is_served"),
    [
        (["overmind_web"], "overmind_web", True),
        (["overmind_web"], "Overmind_Web.:8080", True),
        (["Overmind_Web"], "overmind_web", True),
        ([".my_stack"], "web_1.my_stack:8080", True),
        ([".my_stack"], "my_stack", True),
        (["overmind_web"], "overmind-web", False),
        (["overmind_web"], "other_web", False),
        ([".my_stack"], "notmy_stack", False),
        (["[2001:db8::1]"], "[2001:db8::1]:80", True),
    ],
)
def test_only_configured_hosts_are_served(
    api: Client, settings: Settings, allowed: list[str], host: str, *, is_served: bool
) -> None:
    settings.ALLOWED_HOSTS = allowed
    status = api.get("/zerglings/", headers={"Host": host}).status_code
    assert status == (200 if is_served else 400)


@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
def test_an_http_1_0_request_needs_no_host(api: Client, settings: Settings, address: str) -> None:
    settings.ALLOWED_HOSTS = ["*"]
    assert api.get("/zerglings/", SERVER_NAME=address).status_code == 200
