"""Validates objects against the schemas of Kubernetes and of the Gateway API."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache, lru_cache
from pathlib import Path
from typing import Any
from unittest.mock import patch

import kubernetes_validate  # type: ignore[import-untyped]  # it has annotations, but no marker
from jsonschema import Draft7Validator

OLDEST = "1.30"
"""The oldest supported version of Kubernetes."""

_GATEWAY_API = "gateway.networking.k8s.io/v1"
_NO_SCHEMA = "monitoring.coreos.com/v1"

_UTILS = kubernetes_validate.utils
_SCHEMA_CONTENTS = lru_cache(64)(_UTILS.schema_contents)  # otherwise read for each object


def _versions() -> list[str]:
    found = {_UTILS.major_minor(each) for each in _UTILS.all_versions()}
    in_order = sorted(found, key=lambda version: [int(part) for part in version.split(".")])
    return in_order[in_order.index(OLDEST) :]


VERSIONS = _versions()
"""The tested versions of Kubernetes, in order."""


def validate(found: Mapping[str, Any], version: str = OLDEST) -> None:
    """Check an object strictly: unknown fields are errors too.

    Objects of the Prometheus operator are not checked, nor are rules in CEL.

    Args:
        found: the object.
        version: of Kubernetes. The Gateway API has versions of its own.

    Raises:
        jsonschema.ValidationError: the object is invalid.
    """
    if found["apiVersion"] == _GATEWAY_API:
        Draft7Validator(_gateway_schemas()[found["kind"]]).validate(found)
    elif found["apiVersion"] != _NO_SCHEMA:
        with patch.object(_UTILS, "schema_contents", _SCHEMA_CONTENTS):
            kubernetes_validate.validate(found, version, strict=True)


@cache
def _gateway_schemas() -> dict[str, Any]:
    text = Path(__file__).with_name("gateway-api.json").read_text(encoding="utf-8")
    return {kind: _strict(schema) for kind, schema in json.loads(text)["schemas"].items()}


def _strict(schema: Any) -> Any:
    """Return a schema that rejects the properties that it does not name."""
    if isinstance(schema, list):
        return [_strict(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    strict = {name: _strict(each) for name, each in schema.items()}
    if strict.get("type") == "object" and "properties" in strict and strict["properties"]:
        strict.setdefault("additionalProperties", False)
    return strict
