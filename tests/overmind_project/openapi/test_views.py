"""Tests for the OpenAPI document at /schema/ and the documentation page at /docs/."""

from __future__ import annotations

import json

import pytest
import yaml
from django.test import Client

from overmind_project.openapi import views as documents
from tests.zerglings.api.browsing import BROWSER, assert_served_from_here, page


@pytest.mark.parametrize("path", ["/schema/", "/schema"])
@pytest.mark.parametrize("accept", ["", "*/*", "application/json", BROWSER["Accept"]])
def test_the_document_is_json_unless_yaml_is_requested(api: Client, path: str, accept: str) -> None:
    reply = api.get(path, headers={"Accept": accept})
    assert reply.status_code == 200
    assert reply.headers["Content-Type"] == "application/json"
    assert reply.json()["openapi"] == "3.1.0"


def test_the_yaml_document_equals_the_json_one(api: Client) -> None:
    document = api.get("/schema/").json()
    asked = api.get("/schema/", headers={"Accept": "application/yaml"})
    assert asked.headers["Content-Type"] == "application/yaml"
    assert yaml.safe_load(asked.content) == document
    assert api.get("/schema/?format=yaml").content == asked.content


def test_the_document_is_generated_once(api: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    first = api.get("/schema/")
    monkeypatch.setattr(documents, "Generator", None)
    assert api.get("/schema/").content == first.content


def test_the_etag_of_the_document_gets_a_304(api: Client) -> None:
    tag = api.get("/schema/").headers["ETag"]
    again = api.get("/schema/", headers={"If-None-Match": tag})
    assert (again.status_code, again.content, again.headers["ETag"]) == (304, b"", tag)
    as_yaml = {"If-None-Match": tag, "Accept": "application/yaml"}
    assert api.get("/schema/", headers=as_yaml).status_code == 200


@pytest.mark.parametrize("path", ["/schema/", "/schema", "/docs/", "/docs"])
def test_head_returns_the_content_length_of_get(api: Client, path: str) -> None:
    got, told = api.get(path), api.head(path)
    assert (told.status_code, told.content) == (200, b"")
    assert told.headers["Content-Length"] == str(len(got.content))


@pytest.mark.parametrize("path", ["/docs/", "/docs"])
def test_the_page_loads_only_files_of_the_service(api: Client, path: str) -> None:
    assets = [asset for asset in page(api, path).assets if asset != "data:,"]
    assert len(assets) == 4
    assert_served_from_here(api, assets)


def test_the_page_may_run_only_scripts_of_the_service(api: Client) -> None:
    policy = dict(
        directive.split(" ", 1)
        for directive in api.get("/docs/").headers["Content-Security-Policy"].split("; ")
    )
    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == policy["connect-src"] == "'self'"
    assert "unsafe" not in str(policy)
    assert "<script>" not in api.get("/docs/").content.decode()


@pytest.mark.parametrize("path", ["/schema/", "/docs/", "/"])
@pytest.mark.parametrize("accept", ["*/*", "text/html", "application/yaml", "application/json"])
def test_errors_are_json_for_every_accept_header(api: Client, path: str, accept: str) -> None:
    reply = api.post(path, headers={"Accept": accept})
    assert reply.status_code in (405, 406)
    assert reply.headers["Content-Type"] == "application/json"
    assert list(json.loads(reply.content)) == ["error"]
    assert api.get(path, headers={"Accept": "image/png"}).status_code == 406


@pytest.mark.parametrize("path", ["/schema/", "/docs/", "/", "/zerglings/", "/swarm/spawn"])
@pytest.mark.parametrize("accept", ["*/*", "text/html"])
def test_options_describes_a_url(api: Client, path: str, accept: str) -> None:
    reply = api.options(path, headers={"Accept": accept})
    assert reply.status_code in (200, 406)
    if accept == "*/*":
        assert {"name", "description", "renders", "parses"} <= set(reply.json())


@pytest.mark.parametrize("path", ["/zerglings/", "/schema/", "/docs/", "/"])
def test_an_unknown_format_is_a_406(api: Client, path: str) -> None:
    reply = api.get(f"{path}?format=gif")
    assert reply.status_code == 406
    assert reply.json()["error"].startswith("This URL answers with ")


def test_every_entry_point_exists(api: Client) -> None:
    entry_points = api.get("/").json()
    assert {
        "zerglings",
        "swarmSpawn",
        "swarmCommands",
        "events",
        "schema",
        "docs",
        "health",
    } <= set(entry_points)
    for name, path in entry_points.items():
        status = api.head(path).status_code
        assert status == 200 or (name.startswith("swarm") and status == 405), name


def test_the_document_has_every_entry_point(api: Client) -> None:
    schema = api.get("/schema/").json()["components"]["schemas"]["EntryPoints"]
    assert list(schema["properties"]) == schema["required"] == list(api.get("/").json())
