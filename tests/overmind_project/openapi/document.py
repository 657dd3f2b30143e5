"""The OpenAPI document, with checks of responses against it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from django.http import HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from jsonschema import Draft202012Validator

Json = dict[str, Any]


class Document:
    """An OpenAPI document, with checks of responses against it."""

    def __init__(self, document: Json) -> None:
        self._document = document

    def operations(self) -> Iterator[tuple[str, Json]]:
        """Yield each operation as ``"GET /path"`` and its description."""
        for path, operations in self._document["paths"].items():
            for method, operation in operations.items():
                yield f"{method.upper()} {path}", operation

    def statuses(self, operation: str) -> list[int]:
        """Return the described statuses; `default`, any error, is none of them."""
        responses = dict(self.operations())[operation]["responses"]
        return [int(status) for status in responses if status != "default"]

    def examples(self, operation: str, status: int) -> Json:
        """Return the examples of a JSON response by their names."""
        body = self._answer(operation, status).get("content", {}).get("application/json", {})
        return {each["summary"]: each["value"] for each in body.get("examples", {}).values()}

    def hold(self, operation: str, reply: HttpResponseBase) -> None:
        """Fail unless a response is described."""
        answer = self._answer(operation, reply.status_code)
        self._hold_headers(answer.get("headers", {}), reply.headers)
        media_type = reply.headers.get("Content-Type", "").partition(";")[0]
        if "content" not in answer:
            assert (media_type, _body(reply)) in (("", b""), ("application/json", b""))
            return
        assert media_type in answer["content"], media_type
        if media_type == "application/json":
            self.validate(answer["content"][media_type]["schema"], json.loads(_body(reply)))

    def validate(self, schema: Json, value: object) -> None:
        """Fail unless a value matches a schema of the document."""
        rooted = {"components": self._document["components"]} | schema
        Draft202012Validator(rooted).validate(value)

    def resolved(self, part: Json) -> Json:
        """Return a part of the document, with its reference resolved."""
        while "$ref" in part:
            steps = part["$ref"].removeprefix("#/").split("/")
            part = self._document
            for step in steps:
                part = part[step]
        return part

    def _answer(self, operation: str, status: int) -> Json:
        answers = dict(self.operations())[operation]["responses"]
        assert str(status) in answers, f"{operation} does not describe {status}"
        return self.resolved(answers[str(status)])

    def _hold_headers(self, described: Json, headers: Mapping[str, str]) -> None:
        for name, reference in described.items():
            header = self.resolved(reference)
            assert name in headers or not header.get("required"), name
            if name in headers:
                is_number = header["schema"]["type"] == "integer"
                value = int(headers[name]) if is_number else headers[name]
                self.validate(header["schema"], value)


def _body(reply: HttpResponseBase) -> bytes:
    if isinstance(reply, StreamingHttpResponse):
        return b"".join(part for part in reply if isinstance(part, bytes))
    assert isinstance(reply, HttpResponse)
    return reply.content


def examples_in(part: object) -> Iterator[tuple[Json, Json]]:
    """Yield schema and examples of every described body in a document."""
    if isinstance(part, dict):
        if "schema" in part and "examples" in part:
            yield part["schema"], part["examples"]
        for inner in part.values():
            yield from examples_in(inner)
    elif isinstance(part, list):
        for inner in part:
            yield from examples_in(inner)
