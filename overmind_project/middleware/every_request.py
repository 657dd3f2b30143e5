"""Middleware for every request to Django: checks the Host, completes headers, charges callers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase

from overmind_project.http.gcra import Limiter, limiters
from overmind_project.http.hosts import check_host
from overmind_project.http.request_context import context_of
from overmind_project.middleware.rate_limit import SENTENCE, charge
from overmind_project.monitoring.metrics import metrics
from overmind_project.monitoring.probes import PROBE_VIEWS
from zerglings.api.caching import NO_STORE
from zerglings.api.exceptions import error_response

ANY_HOST = (*PROBE_VIEWS, metrics)
"""Views that probes and scrapers call by the pod's IP address, so any Host is valid."""


CONSTANT_HEADERS = (
    ("Cache-Control", NO_STORE),
    ("X-Content-Type-Options", "nosniff"),
    ("X-Frame-Options", "DENY"),
    ("Referrer-Policy", "same-origin"),
    ("Cross-Origin-Opener-Policy", "same-origin"),
)
"""Headers of every answer in which its view does not set them."""

BODILESS = (204, 304)
"""Statuses without a body. With a Content-Length of 0, a cache would store an empty body."""


class EveryRequest:
    """The outermost Django middleware, in place of three of Django's own.

    Unlike `CommonMiddleware`, it skips the Host check for probes. It also sets
    the headers of `SecurityMiddleware` and `XFrameOptionsMiddleware`, without their two layers.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """Complete the answer's headers. HEAD gets the headers of GET without the body."""
        response = self._get_response(request)
        for name, value in CONSTANT_HEADERS:
            response.headers.setdefault(name, value)
        _add_content_length(response)
        if request.method == "HEAD":
            if isinstance(response, StreamingHttpResponse):
                response.streaming_content = ()
            elif isinstance(response, HttpResponse):
                response.content = b""
        return response

    def process_view(
        self,
        request: HttpRequest,
        view: Callable[..., HttpResponse],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> HttpResponse | None:
        """Check the Host header. Views that are exempt from this allow only GET and HEAD."""
        if request.resolver_match is not None:
            context_of(request.META).note_route(request.resolver_match)
        if view not in ANY_HOST:
            check_host(request)  # Django answers its exception with 400
        elif request.method not in ("GET", "HEAD"):
            return error_response(405, "Send GET or HEAD.", {"Allow": "GET, HEAD"})
        return None


def _add_content_length(response: HttpResponseBase) -> None:
    """Add Content-Length, except to responses that must not have one (RFC 9110, section 8.6)."""
    if isinstance(response, HttpResponse) and response.status_code not in BODILESS:
        response.headers.setdefault("Content-Length", str(len(response.content)))


class CallerRateLimit:
    """Charges each request to its caller, or answers 429.

    It runs after the authentication, which identifies the caller. Requests that are answered
    earlier are charged by `AddressRateLimit`.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self._get_response = get_response
        self._limiter, _ = limiters(settings.OVERMIND_RATE_LIMIT)

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """Charge the caller; answer the request or return 429."""
        rejection = rate_limit_response(self._limiter, request)
        return self._get_response(request) if rejection is None else rejection


def rate_limit_response(limiter: Limiter, request: HttpRequest) -> HttpResponse | None:
    """Charge a request to its caller; return a 429 if that exceeds the limit, else None."""
    seconds = charge(limiter, request.META)
    return None if seconds is None else error_response(429, SENTENCE, {"Retry-After": seconds})
