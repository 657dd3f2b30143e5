"""Tests that the OpenAPI document lists exactly the operations that are served."""

from __future__ import annotations

import re

import pytest
from django.contrib.admindocs.views import simplify_regex
from django.core.management import CommandError, call_command
from django.test import Client
from django.urls import get_resolver

from overmind_project.openapi.generator import Generator, description

PATHS = Generator().get_schema(public=True)["paths"]


def test_every_route_is_in_the_document_under_one_clean_path() -> None:
    routes = [simplify_regex(str(each.pattern)).rstrip("/") for each in get_resolver().url_patterns]
    served = [re.sub(r"<(\w+)>", r"{\1}", route) for route in routes]
    assert sorted(PATHS) == sorted(route or "/" for route in served)
    assert {"/zerglings", "/zerglings/{id}", "/zerglings/{id}/history"} <= set(PATHS)


@pytest.mark.parametrize("path", [path for path in PATHS if path != "/events"])
def test_the_document_has_exactly_the_served_methods(api: Client, path: str) -> None:
    url = path.replace("{id}", "5fb0c9f4-8a3c-4a5e-9d5e-3f6f0e8d7c21")
    reply = api.patch(url)
    assert reply.status_code == 405
    allowed = {method.strip().lower() for method in reply.headers["Allow"].split(",")}
    assert allowed - {"head", "options"} == set(PATHS[path])


def test_every_described_operation_is_served() -> None:
    assert description()["paths"] == PATHS


def test_the_document_is_valid_openapi_without_warnings(tmp_path: object) -> None:
    call_command("spectacular", validate=True, fail_on_warn=True, file=f"{tmp_path}/document.yaml")


@pytest.mark.parametrize(
    ("path", "method"),
    [("/zerglings/{id}", "delete"), ("/swarm/spawn", "post"), ("/schema", "get")],
)
def test_an_undescribed_operation_is_an_error(
    monkeypatch: pytest.MonkeyPatch, path: str, method: str
) -> None:
    monkeypatch.delitem(description()["paths"][path], method)
    with pytest.raises(CommandError, match="warnings"):
        call_command("spectacular", fail_on_warn=True, file="/dev/null")


@pytest.mark.parametrize("path", ["/zerglings", "/events", "/readyz", "/sign-out", "/"])
def test_an_undescribed_route_is_an_error(monkeypatch: pytest.MonkeyPatch, path: str) -> None:
    monkeypatch.delitem(description()["paths"], path)
    with pytest.raises(CommandError, match="warnings"):
        call_command("spectacular", fail_on_warn=True, file="/dev/null")


def test_described_operations_that_are_not_served_are_left_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(description()["paths"], "/nowhere", {"get": {}})
    monkeypatch.setitem(description()["paths"]["/zerglings"], "patch", {})
    assert Generator().get_schema(public=True)["paths"] == PATHS
