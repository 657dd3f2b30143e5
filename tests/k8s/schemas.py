"""Validates objects against the schemas of every supported version of Kubernetes."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any
from unittest.mock import patch

import kubernetes_validate  # type: ignore[import-untyped]  # it has annotations, but no marker

OLDEST = "1.30"
"""The oldest supported version of Kubernetes."""

_NO_SCHEMA = "monitoring.coreos.com/v1"

_UTILS = kubernetes_validate.utils
_SCHEMA_CONTENTS = lru_cache(64)(_UTILS.schema_contents)  # otherwise read for each object


def _versions() -> list[str]:
    found = {_UTILS.major_minor(each) for each in _UTILS.all_versions()}
    in_order = sorted(found, key=lambda version: [int(part) for part in version.split(".")])
    return in_order[in_order.index(OLDEST) :]


VERSIONS = _versions()
"""The tested versions of Kubernetes, in order."""


def validate(found: Mapping[str, Any], version: str) -> None:
    """Check an object strictly: unknown fields are errors too.

    Objects of the Prometheus operator are not checked.

    Raises:
        jsonschema.ValidationError: the object is invalid for this version of Kubernetes.
    """
    if found["apiVersion"] != _NO_SCHEMA:
        with patch.object(_UTILS, "schema_contents", _SCHEMA_CONTENTS):
            kubernetes_validate.validate(found, version, strict=True)
