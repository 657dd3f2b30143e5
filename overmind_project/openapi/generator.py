"""The document: what is served, found out from the routes, with what is said about it.

A route that nothing is said about is a warning, which ``make check`` does not let pass; what is
described and not served stays out of the document.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from django.conf import settings
from django.urls import URLPattern
from drf_spectacular.drainage import warn
from drf_spectacular.generators import EndpointEnumerator, SchemaGenerator
from drf_spectacular.openapi import AutoSchema
from drf_spectacular.plumbing import ComponentRegistry
from rest_framework.request import Request
from rest_framework.schemas.generators import is_api_view
from rest_framework.views import APIView

from overmind_project.middleware.rate_limit import PROBE_PATHS
from overmind_project.openapi import access, bulk, service, zerglings
from overmind_project.openapi.answers import RESPONSES
from overmind_project.openapi.headers import HEADERS, PARAMETERS
from overmind_project.openapi.schemas import SCHEMAS, Json, ref

_TOO_MANY: Json = {"429": ref("TooManyRequests", "responses")}

OPERATIONS = {
    (method, path): operation
    if path in PROBE_PATHS
    else operation | {"responses": _TOO_MANY | operation["responses"]}
    for (method, path), operation in access.guarded(
        zerglings.OPERATIONS | bulk.OPERATIONS | access.OPERATIONS | service.OPERATIONS
    ).items()
}
"""All that is described, by method and path."""

COMPONENTS: Json = {
    "schemas": SCHEMAS | bulk.SCHEMAS,
    "parameters": PARAMETERS,
    "headers": HEADERS,
    "responses": RESPONSES | access.RESPONSES,
    "securitySchemes": access.SCHEMES,
}

_PATHS = {path for _method, path in OPERATIONS}


class Described(AutoSchema):
    """Says of a view's operation what is written down for it."""

    def get_operation(
        self,
        path: str,
        path_regex: str,
        path_prefix: str,
        method: str,
        registry: ComponentRegistry,
    ) -> Json | None:
        """Return the description of an operation."""
        if (method, path) not in OPERATIONS:
            warn(f"{method} {path} is not described in overmind_project.openapi.")
        return OPERATIONS.get((method, path))


class Endpoints(EndpointEnumerator):
    """Finds the routes, each of which is served with and without its trailing slash."""

    def get_path_from_regex(self, path_regex: str) -> str:
        """Return the form of a route's path that is described."""
        path: str = super().get_path_from_regex(path_regex)
        return path if path in _PATHS else path.rstrip("/")

    def functions(self) -> Iterator[str]:
        """Yield the paths of plain Django views, which the framework knows nothing of."""
        for pattern in self.patterns or ():
            if isinstance(pattern, URLPattern) and not is_api_view(pattern.callback):
                yield self.get_path_from_regex(str(pattern.pattern))


class Generator(SchemaGenerator):
    """Makes the document."""

    endpoint_inspector_cls: type[Endpoints] = Endpoints

    def create_view(
        self, callback: Callable[..., Any], method: str, request: Request | None = None
    ) -> APIView:
        """Return a view whose operations are described here."""
        view: APIView = super().create_view(callback, method, request)
        view.schema = Described()
        return view

    def parse(self, input_request: Request | None, public: bool) -> Json:
        """Return the operations that are served, by path and method."""
        paths: Json = super().parse(input_request, public)
        for path in self.endpoint_inspector_cls().functions():
            if path not in _PATHS:
                warn(f"{path} is not described in overmind_project.openapi.")
            paths[path] = {
                method.lower(): operation
                for (method, described), operation in OPERATIONS.items()
                if described == path
            }
        return paths

    def get_schema(self, request: Request | None = None, public: bool = False) -> Json:
        """Return the whole document."""
        document: Json = super().get_schema(request, public)
        security = access.security(is_closed=settings.OVERMIND_TOKENS.is_given)
        return document | {"components": COMPONENTS, "security": security}
