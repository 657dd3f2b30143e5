"""Generates the API description that is served: ``openapi.yaml``, limited to existing routes.

An operation that the file describes is left out if no route serves it. A route that the file does
not describe causes a warning, which fails ``make check``.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from pathlib import Path
from string import Template
from typing import Any

import yaml
from django.conf import settings
from django.urls import URLPattern
from drf_spectacular.drainage import warn
from drf_spectacular.generators import EndpointEnumerator, SchemaGenerator
from rest_framework.request import Request
from rest_framework.schemas.generators import is_api_view

from overmind_project import __version__
from overmind_project.auth.credentials import SECURE_COOKIE

Json = dict[str, Any]

_FILE = Path(__file__).with_name("openapi.yaml")


@cache
def description() -> Json:
    """Return the content of ``openapi.yaml``, with its placeholders filled in.

    All callers share it and must not change it.
    """
    prefix = settings.OVERMIND_PATH_PREFIX
    placeholders = {
        "VERSION": __version__,
        "PREFIX": prefix,
        "PREFIX_PATTERN": prefix.replace(".", r"\."),  # the only special character it may have
        "SECURE_COOKIE": SECURE_COOKIE,
    }
    # `safe` leaves every other dollar sign alone, as in $ref.
    text = Template(_FILE.read_text(encoding="utf-8")).safe_substitute(placeholders)
    described: Json = yaml.load(text, Loader=yaml.CSafeLoader)  # in C: an eighth of the time
    return described


class Endpoints(EndpointEnumerator):
    """Finds the routes, each of which is served with and without its trailing slash."""

    def get_path_from_regex(self, path_regex: str) -> str:
        """Return the path of a route, without its final slash."""
        path: str = super().get_path_from_regex(path_regex)
        return path.rstrip("/") or "/"

    def functions(self) -> Iterator[str]:
        """Yield the paths of plain Django views. DRF cannot list their methods."""
        for pattern in self.patterns or ():
            if isinstance(pattern, URLPattern) and not is_api_view(pattern.callback):
                yield self.get_path_from_regex(str(pattern.pattern))


class Generator(SchemaGenerator):
    """Generates the description for the views and ``manage.py spectacular``."""

    def parse(self, input_request: Request | None, public: bool) -> Json:
        """Return the operations that are served, by path and method."""
        described: Json = description()["paths"]
        served = set(self._served())
        for path, method in sorted(served):
            if method not in described.get(path, {}):
                warn(f"{method} {path} is not described in {_FILE.name}.")
        operations = {
            path: {method: each for method, each in methods.items() if (path, method) in served}
            for path, methods in described.items()
        }
        return {path: methods for path, methods in operations.items() if methods}

    def _served(self) -> Iterator[tuple[str, str]]:
        """Yield the path and method of every operation.

        All methods that the file describes for a plain Django view count as served.
        """
        endpoints = Endpoints(self.patterns, self.urlconf)
        for path, _regex, method, _view in endpoints.get_api_endpoints():
            yield path, method.lower()
        for path in endpoints.functions():
            for method in description()["paths"].get(path, ["any method"]):
                yield path, method

    def get_schema(self, request: Request | None = None, public: bool = False) -> Json:
        """Return the whole description that is served."""
        document = description() | {"paths": super().get_schema(request, public)["paths"]}
        if settings.OVERMIND_TOKENS.is_given:
            document["security"] = [scheme for scheme in document["security"] if scheme]
        document["servers"] = [{"url": settings.OVERMIND_PATH_PREFIX or "/"}]
        return document
