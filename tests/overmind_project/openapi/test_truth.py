"""Tests that the service's responses match the OpenAPI document."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.http import HttpResponse
from django.test import Client
from drf_spectacular.settings import spectacular_settings
from rest_framework.settings import api_settings

from overmind_project.auth.access import configured_tokens
from overmind_project.middleware.body import LIMIT, SWARM_LIMIT
from tests.overmind_project.openapi.cases import CASES, NOBODY, Case
from tests.overmind_project.openapi.document import Document, examples_in
from tests.support.backends import Backend
from tests.support.service import Service
from tests.support.tokens import LINES
from zerglings.feed.reader import Feed, configured_feed
from zerglings.hive.hive import configured_hive
from zerglings.secret import Secret

HIVE = (
    "spawn",
    "get",
    "command",
    "kill",
    "list",
    "pages",
    "history",
    "changes_after",
    "check_ready",
)


def generated() -> Any:
    return spectacular_settings.DEFAULT_GENERATOR_CLASS().get_schema(public=True)


DOCUMENT = Document(generated())


@pytest.fixture
def client(api: Client) -> Iterator[Client]:
    """The API with its own feed, whose endless streams are not read to the end."""
    configured_feed.cache_clear()
    yield Client()
    configured_feed().end()
    configured_feed.cache_clear()
    configured_tokens.cache_clear()


def send(client: Client, case: Case, body: str, zergling_id: str) -> Any:
    return client.generic(
        case.method,
        case.path(zergling_id),
        body.replace("{id}", zergling_id),
        case.content_type,
        headers=case.headers,
    )


def answer(client: Client, case: Case, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Send a case's request and return its response."""
    spawned = client.post("/zerglings/", json.dumps(case.spawn), content_type="application/json")
    zergling_id = NOBODY if case.is_nobody else spawned.json()["zergling"]["id"]
    if case.before is not None:
        assert send(client, case, case.before, zergling_id).status_code in (200, 201)
    if case.fault:

        def fail(*_: object, **__: object) -> None:
            assert case.fault
            raise case.fault

        monkeypatch.setattr(Feed, "listen", fail)
        for name in HIVE:
            monkeypatch.setattr(configured_hive(), name, fail)
        for name in ("spawn", "command"):
            monkeypatch.setattr(configured_hive().bulk, name, fail)
    if case.is_closed:
        monkeypatch.setattr(settings, "OVERMIND_TOKENS", Secret("OVERMIND_TOKENS", LINES))
        configured_tokens.cache_clear()
        client = Client()  # rebuilds the middleware with the settings
    return send(client, case, case.body, zergling_id)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_every_response_matches_the_document(
    client: Client, case: Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    reply = answer(client, case, monkeypatch)
    assert reply.status_code == case.status, reply.content
    DOCUMENT.hold(case.operation, reply)
    if case.says:
        assert (
            json.loads(reply.content) == DOCUMENT.examples(case.operation, case.status)[case.says]
        )
    reply.close()


def test_rejections_of_a_body_are_described(service: Service) -> None:
    for operation, limit in (
        ("POST /zerglings", LIMIT),
        ("POST /zerglings/{id}", LIMIT),
        ("POST /swarm/spawn", SWARM_LIMIT),
        ("POST /swarm/commands", SWARM_LIMIT),
    ):
        path = operation.split()[1].replace("{id}", NOBODY)
        long = service.call("POST", path, b"M" * (limit + 1))
        assert long.status == 413
        assert long.json == DOCUMENT.examples(operation, 413)["Too long"]
        packed = service.call("POST", path, b"M", {"Content-Encoding": "gzip"})
        assert packed.status == 415
        assert packed.json == DOCUMENT.examples(operation, 415)["Compressed"]


def test_rate_limit_responses_are_described(sqlite: Backend, tmp_path: Path) -> None:
    limit = {"OVERMIND_RATE_LIMIT": "1/h:1"}
    with Service(sqlite.environment | limit, tmp_path) as service:
        for path in ("/zerglings/", "/metrics"):  # which has a limit of its own
            assert service.call("GET", path).status == 200
        for operation, _ in DOCUMENT.operations():
            method, path = operation.replace("{id}", NOBODY).split()
            is_described = 429 in DOCUMENT.statuses(operation)
            refused = service.call(method, path)
            assert (refused.status == 429) == is_described, operation
            if is_described:
                reply = HttpResponse(refused.body, status=429, headers=dict(refused.headers))
                DOCUMENT.hold(operation, reply)
                assert refused.json == DOCUMENT.examples(operation, 429)["Too many"]


@pytest.mark.parametrize("operation", ["GET /_health", "GET /healthz", "GET /readyz"])
def test_rejections_of_a_long_header_are_described(service: Service, operation: str) -> None:
    refused = service.call("GET", operation.split()[1], headers={"X-Long": "a" * 9000})
    assert refused.status == 431
    assert refused.json == DOCUMENT.examples(operation, 431)["Too long"]


@pytest.mark.parametrize("operation", ["POST /sign-in", "POST /sign-out"])
def test_other_errors_have_the_default_description(service: Service, operation: str) -> None:
    refused = service.call("POST", operation.split()[1], headers={"X-Long": "a" * 9000})
    default = DOCUMENT.resolved(dict(DOCUMENT.operations())[operation]["responses"]["default"])
    (example,) = default["content"]["application/json"]["examples"].values()
    assert refused.status not in DOCUMENT.statuses(operation)
    assert refused.json == example["value"]


@pytest.mark.parametrize("path", ["/zerglings", "/zerglings/"])
def test_links_to_the_next_page_are_as_described(api: Client, path: str) -> None:
    for _ in range(2):
        api.post("/zerglings/")
    reply = api.get(f"{path}?limit=1")
    assert reply.headers["Link"].startswith(f"<{path}?")
    DOCUMENT.hold("GET /zerglings", reply)


def test_every_described_response_and_error_is_tested() -> None:
    refused_before_django = {
        *(("Too long", 413), ("Too long", 431)),
        *(("Compressed", 415), ("Too many", 429)),
    }
    refused_by_the_store = {("Too large to store", 413)}  # see hive/test_write_batch_size.py
    tried = {(case.operation, case.says, case.status) for case in CASES}
    answered = {(case.operation, case.status) for case in CASES}
    for operation, _ in DOCUMENT.operations():
        for status in DOCUMENT.statuses(operation):
            assert (operation, status) in answered or status in (413, 429, 431), (operation, status)
            says = set(DOCUMENT.examples(operation, status)) if status >= 400 else set()
            for example in says:
                is_tried = (operation, example, status) in tried
                is_elsewhere = (example, status) in refused_before_django | refused_by_the_store
                assert is_tried or is_elsewhere, (operation, example)


def test_every_example_matches_its_schema() -> None:
    found = list(examples_in(generated()))
    assert len(found) > 20
    for schema, examples in found:
        for example in examples.values():
            DOCUMENT.validate(schema, example["value"])


def test_the_name_of_every_example_is_an_identifier() -> None:
    names = [name for _, examples in examples_in(generated()) for name in examples]
    assert names
    assert [name for name in names if not name.isidentifier()] == []


def test_every_error_and_every_request_has_an_example() -> None:
    for operation, described in DOCUMENT.operations():
        for status in DOCUMENT.statuses(operation):
            assert status < 400 or DOCUMENT.examples(operation, status), (operation, status)
        body = described.get("requestBody", {"content": {}})
        for media_type, content in body["content"].items():
            assert "examples" in content, (operation, media_type)


def test_no_parameter_chooses_the_form_of_an_answer() -> None:
    """Most generated clients read every answer as JSON, whatever form was asked for."""
    parameters = [
        DOCUMENT.resolved(each)["name"]
        for _, operation in DOCUMENT.operations()
        for each in operation.get("parameters", ())
    ]
    assert "limit" in parameters
    assert api_settings.URL_FORMAT_OVERRIDE not in parameters
