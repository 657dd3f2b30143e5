"""Rules of the API that its OpenAPI document cannot express, as hooks for schemathesis."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import schemathesis
import yaml
from schemathesis.openapi.checks import RejectedPositiveData

DESCRIPTION = Path(__file__).parents[3] / "overmind_project/openapi/openapi.yaml"

PATTERNS = {
    parameter["name"]: re.compile(parameter["schema"]["pattern"])
    for parameter in yaml.safe_load(DESCRIPTION.read_text("utf-8"))["components"][
        "parameters"
    ].values()
    if "pattern" in parameter["schema"]
}
"""The patterns of headers, by name."""

CONDITIONS = {
    404: "the zergling that the example names was never born",
    409: "others command the zergling",
    412: "the revision is another one",
    422: "the key was used with another body",
    401: "the service asks for a token",
    403: "the token does not reach so far",
    429: "the caller asks too often",
    503: "the store is away",
}
"""Statuses that a valid request may get depending on the state, and why."""

FORBIDDEN = (
    "The grid ends at ±",
    "with an Idempotency-Key, send at most 1000 commands to one zergling.",
)
"""Beginnings of the errors with which a valid request may be rejected."""


@schemathesis.hook
def before_load_schema(_context: schemathesis.HookContext, raw_schema: dict[str, Any]) -> None:
    """Add what the service accepts besides the document, so that no refusal of it is expected.

    A bulk command with a wrong item gets 200: the item fails on its own. The document does not say
    so, because clients are generated from it.
    """
    schemas = raw_schema["components"]["schemas"]
    schemas["SwarmCommandsRequest"]["properties"]["commands"]["items"] = {}


@schemathesis.check
def what_is_described_is_accepted(
    ctx: schemathesis.CheckContext, response: schemathesis.Response, case: schemathesis.Case[Any]
) -> bool | None:
    """Fail if a request that matches the document is rejected without a good reason."""
    is_positive = case.meta is not None and case.meta.generation.mode.is_positive
    if not is_positive or response.status_code < 400 or response.status_code in CONDITIONS:
        return None
    if response.status_code == 400 and _sentence(response).startswith(FORBIDDEN):
        return None
    if not _is_described(case.headers or {}):
        return None
    raise RejectedPositiveData(
        operation=case.operation.label,
        message="What is described is refused.",
        status_code=response.status_code,
        allowed_statuses=[str(status) for status in CONDITIONS],
    )


def _is_described(headers: Mapping[str, Any]) -> bool:
    """Whether headers match their patterns: schemathesis counts `If-Match: 0` as valid, too."""
    return all(
        pattern.search(str(headers[name])) for name, pattern in PATTERNS.items() if name in headers
    )


def _sentence(response: schemathesis.Response) -> str:
    try:
        return str(json.loads(response.content)["error"])
    except (ValueError, KeyError, TypeError):  # a page
        return ""
