"""The data of one request and its answer that metrics and the access log use.

Only parts that are safe to log are kept: addresses, the method and the route from fixed lists, and
ids of a fixed form. Paths, queries, bodies and other headers are left out.
"""

from __future__ import annotations

import random
import re
import time
from typing import TYPE_CHECKING

from zerglings.domain.document_format import is_zergling_id

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment
    from django.http import HttpRequest

CONTEXT_KEY = "overmind.request_context"
"""Key of the `RequestContext` in a request's WSGI environment."""

NO_ROUTE = "none"
OTHER_METHOD = "other"
METHODS = frozenset(
    ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT")
)

_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,128}")
_TRACE_PARENT = re.compile(
    r"(?!ff)(?P<version>[0-9a-f]{2})-(?!0{32})(?P<trace>[0-9a-f]{32})"
    r"-(?!0{16})(?P<span>[0-9a-f]{16})-[0-9a-f]{2}(?P<more>-[!-~]*)?"
)
"""https://www.w3.org/TR/trace-context/#traceparent-header; later versions may add fields."""


class RequestContext:
    """The state of one request: filled in by the middleware, read by metrics and the access log."""

    __slots__ = (
        "began",
        "caller",
        "client",
        "cut_by",
        "has_invalid_token",
        "ids",
        "is_counted",
        "is_stream",
        "method",
        "request_id",
        "route",
        "sent",
        "status",
        "zergling_id",
    )

    def __init__(self, environ: WSGIEnvironment) -> None:
        self.began = time.perf_counter()
        method = environ["REQUEST_METHOD"]
        self.method: str = method if method in METHODS else OTHER_METHOD
        self.route = NO_ROUTE
        self.client: str = environ.get("REMOTE_ADDR", "")
        self.status = ""
        self.sent = 0
        self.zergling_id: str | None = None
        self.cut_by: str | None = None
        self.caller: str | None = None
        self.is_stream = self.is_counted = False
        self.has_invalid_token = False  # the request has an invalid token
        self.request_id = _request_id(environ.get("HTTP_X_REQUEST_ID"))
        self.ids: dict[str, object] = {"request_id": self.request_id}
        if (parent := environ.get("HTTP_TRACEPARENT")) is not None:
            self.ids.update(_trace_ids(parent))

    def seconds(self) -> float:
        """Return the seconds since the request began."""
        return time.perf_counter() - self.began

    def note_spawn(self, location: str) -> None:
        """Take the id of a new zergling from the `Location` header of the answer."""
        candidate = location.rpartition("/")[2]
        if is_zergling_id(candidate):
            self.zergling_id = candidate


def note_route(request: HttpRequest) -> None:
    """Record the route and the zergling of a request whose URL Django has resolved."""
    context: RequestContext | None = request.META.get(CONTEXT_KEY)
    match = request.resolver_match
    if context is None or match is None:
        return
    context.route = match.view_name or NO_ROUTE
    candidate = match.kwargs.get("id")
    if candidate is not None and is_zergling_id(candidate):
        context.zergling_id = candidate


def _request_id(given: str | None) -> str:
    if given is not None and _REQUEST_ID.fullmatch(given):
        return given
    return f"{random.getrandbits(128):032x}"


def _trace_ids(parent: str) -> dict[str, str]:
    match = _TRACE_PARENT.fullmatch(parent)
    if match is None or (match["version"] == "00" and match["more"] is not None):
        return {}
    return {"trace_id": match["trace"], "span_id": match["span"]}
