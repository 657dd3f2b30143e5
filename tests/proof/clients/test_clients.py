"""Tests that generated clients have and call every operation, and get what the transcript says."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.proof.clients.generators import (
    HERE,
    class_client,
    fetch_client,
    python_client,
    run_python,
    run_typescript,
    written,
)
from tests.proof.clients.transcript import EVENTS, TRANSCRIPT, steps
from tests.support.fault_proxy import FaultProxy
from tests.support.service import Service
from tests.support.tokens import READER, bearer

ENDLESS = {"streamEvents"}
"""Operations whose answer does not end. Only openapi-fetch can read a part of an answer."""


def declared(document: Any) -> set[str]:
    """Return the names of the operations of a document."""
    return {
        operation["operationId"]
        for operations in document["paths"].values()
        for operation in operations.values()
    }


def snake_case(name: str) -> str:
    return re.sub(r"(?=[A-Z])", "_", name).lower()


def called(document: Any, recorder: FaultProxy) -> set[str]:
    """Return the names of those operations of a document that a client has requested."""
    requested = {(each.method, each.path.partition("?")[0]) for each in recorder.requests}

    def is_requested(method: str, path: str) -> bool:
        pattern = re.compile(re.sub(r"\{\w+\}", "[^/]+", path))
        return any(method == each and pattern.fullmatch(place) for each, place in requested)

    return {
        operation["operationId"]
        for path, operations in document["paths"].items()
        for method, operation in operations.items()
        if is_requested(method.upper(), path)
    }


def document_of(service: Service) -> Any:
    return service.call("GET", "/schema/", headers=bearer(READER)).json


def program(name: str) -> str:
    return (HERE / name).read_text(encoding="utf-8")


@pytest.fixture
def recorder(either: Service) -> Iterator[FaultProxy]:
    """A proxy in front of the service, which records the requests of a client."""
    with FaultProxy("127.0.0.1", either.port) as proxy:
        yield proxy


def test_openapi_python_client_generates_a_client_that_works(
    either: Service, recorder: FaultProxy, tmp_path: Path
) -> None:
    document = document_of(either)
    operations = python_client(written(document, tmp_path), tmp_path)
    assert operations == set(map(snake_case, declared(document)))
    printed = run_python(program("calls.py"), recorder.url, tmp_path)
    assert steps(printed) == TRANSCRIPT
    assert called(document, recorder) == declared(document) - ENDLESS


def test_openapi_typescript_and_openapi_fetch_make_a_client_that_works(
    either: Service, recorder: FaultProxy, tmp_path: Path
) -> None:
    document = document_of(either)
    assert fetch_client(written(document, tmp_path), tmp_path) == declared(document)
    printed = run_typescript(program("calls_fetch.ts"), recorder.url, tmp_path)
    assert steps(printed) == [*TRANSCRIPT, *EVENTS]
    assert called(document, recorder) == declared(document)


def test_swagger_typescript_api_generates_a_client_that_works(
    either: Service, recorder: FaultProxy, tmp_path: Path
) -> None:
    document = document_of(either)
    assert class_client(written(document, tmp_path), tmp_path) == declared(document)
    printed = run_typescript(program("calls_class.ts"), recorder.url, tmp_path)
    assert steps(printed) == TRANSCRIPT
    assert called(document, recorder) == declared(document) - ENDLESS
