"""The context of one request: what it is, who sent it, and how it was answered.

Metrics and the access log use it, so only parts that are safe to log are kept: addresses, the
method and the route from fixed lists, and ids of a fixed form. Paths, queries, bodies and other
headers are left out.
"""

from __future__ import annotations

import random
import re
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from zerglings.caller import CONTEXT_KEY, Caller
from zerglings.domain.document_format import is_zergling_id

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment
    from django.urls import ResolverMatch

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


@dataclass(slots=True)
class RequestContext:
    """The state of one request: filled in by the middleware, read by the log, metrics and views."""

    # What the request is.
    method: str
    """Its method, one of `METHODS` or `OTHER_METHOD`."""
    client: str
    """The address of its client, behind trusted proxies."""
    request_id: str
    ids: dict[str, object]
    """The ids that each of its log lines shows."""
    began: float = field(default_factory=time.perf_counter)
    """When its headers had arrived, in seconds of `time.perf_counter`."""
    route: str = NO_ROUTE
    """The name of its URL pattern."""
    zergling_id: str | None = None

    # Who sent it.
    caller: Caller | None = None
    """Who sent it, None without a valid token."""
    has_invalid_token: bool = False
    is_uncharged: bool = False
    """Whether it counts for the rate limit and has not been charged yet."""

    # How it was answered.
    status: str = ""
    """The three digits; empty before the answer begins."""
    sent: int = 0
    """Bytes of the answer's body so far."""
    cut_by: str | None = None
    """Who cut the answer off: `client` or `service`."""
    is_stream: bool = False
    """Whether the answer is an open event stream."""
    is_counted: bool = False
    """Whether the metrics contain it already."""

    def seconds(self) -> float:
        """Return the seconds since the request began."""
        return time.perf_counter() - self.began

    def note_spawn(self, location: str) -> None:
        """Take the id of a new zergling from the `Location` header of the answer."""
        candidate = location.rpartition("/")[2]
        if is_zergling_id(candidate):
            self.zergling_id = candidate

    def note_route(self, match: ResolverMatch) -> None:
        """Record the route and the zergling of the resolved URL."""
        self.route = match.view_name or NO_ROUTE
        candidate = match.kwargs.get("id")
        if candidate is not None and is_zergling_id(candidate):
            self.zergling_id = candidate


def begin_context(environ: WSGIEnvironment, client: str) -> RequestContext:
    """Create the context of a new request from a client."""
    method = environ["REQUEST_METHOD"]
    request_id = _request_id(environ.get("HTTP_X_REQUEST_ID"))
    ids: dict[str, object] = {"request_id": request_id}
    if (parent := environ.get("HTTP_TRACEPARENT")) is not None:
        ids.update(_trace_ids(parent))
    context = RequestContext(method if method in METHODS else OTHER_METHOD, client, request_id, ids)
    environ[CONTEXT_KEY] = context
    return context


def context_of(environ: WSGIEnvironment) -> RequestContext:
    """Return the context of a request; a new one if Django was called without our middleware."""
    context: RequestContext | None = environ.get(CONTEXT_KEY)
    return begin_context(environ, environ.get("REMOTE_ADDR", "")) if context is None else context


def _request_id(given: str | None) -> str:
    if given is not None and _REQUEST_ID.fullmatch(given):
        return given
    return f"{random.getrandbits(128):032x}"


def _trace_ids(parent: str) -> dict[str, str]:
    match = _TRACE_PARENT.fullmatch(parent)
    if match is None or (match["version"] == "00" and match["more"] is not None):
        return {}
    return {"trace_id": match["trace"], "span_id": match["span"]}
