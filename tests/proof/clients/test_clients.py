"""Tests that generated clients have every operation and make every call as the transcript says."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

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
from tests.support.service import Service


def declared(document: Any) -> set[str]:
    """Return the names of the operations of a document."""
    return {
        operation["operationId"]
        for operations in document["paths"].values()
        for operation in operations.values()
    }


def snake_case(name: str) -> str:
    return re.sub(r"(?=[A-Z])", "_", name).lower()


def address(service: Service) -> str:
    return f"http://127.0.0.1:{service.port}"


def program(name: str) -> str:
    return (HERE / name).read_text(encoding="utf-8")


def test_openapi_python_client_generates_a_client_that_works(
    fresh: Service, tmp_path: Path
) -> None:
    document = fresh.call("GET", "/schema/").json
    operations = python_client(written(document, tmp_path), tmp_path)
    assert operations == set(map(snake_case, declared(document)))
    printed = run_python(program("calls.py"), address(fresh), tmp_path)
    assert steps(printed) == TRANSCRIPT


def test_openapi_typescript_and_openapi_fetch_make_a_client_that_works(
    fresh: Service, tmp_path: Path
) -> None:
    document = fresh.call("GET", "/schema/").json
    assert fetch_client(written(document, tmp_path), tmp_path) == declared(document)
    printed = run_typescript(program("calls_fetch.ts"), address(fresh), tmp_path)
    assert steps(printed) == [*TRANSCRIPT, *EVENTS]


def test_swagger_typescript_api_generates_a_client_that_works(
    fresh: Service, tmp_path: Path
) -> None:
    document = fresh.call("GET", "/schema/").json
    assert class_client(written(document, tmp_path), tmp_path) == declared(document)
    printed = run_typescript(program("calls_class.ts"), address(fresh), tmp_path)
    assert steps(printed) == TRANSCRIPT
