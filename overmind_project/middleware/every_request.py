"""What holds for every request: its route is noted, its Host checked, its answer completed.

And, where a rate limit is configured, who sends it is charged for it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase

from overmind_project.http.gcra import Limiter, shared_limiters
from overmind_project.http.hosts import check_host
from overmind_project.http.request_context import note_route
from overmind_project.metrics import metrics
from overmind_project.middleware.rate_limit import SENTENCE, charge
from overmind_project.probes import PROBES
from zerglings.api.caching import NO_STORE
from zerglings.api.exceptions import error_response

ANY_HOST = (*PROBES, metrics)
"""Views for what calls a pod by its IP."""


BODILESS = (204, 304)
"""Statuses without a body: a cache would take over a length of 0 into what it keeps."""


class EveryRequest:
    """Stands before all other middleware and completes whatever they answer.

    It is what Django's own common middleware is for, except that what calls a pod by its IP always
    passes, and that every answer says what caches may keep.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """Have a request answered; the body of an answer to HEAD is measured, but not sent."""
        response = self._get_response(request)
        response.headers.setdefault("Cache-Control", NO_STORE)
        _measure(response)
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
        """Check the Host header of all but probes and the like, which may only be read."""
        note_route(request)
        if view not in ANY_HOST:
            check_host(request)  # what it raises Django answers with 400
        elif request.method not in ("GET", "HEAD"):
            return error_response(405, "Send GET or HEAD.", {"Allow": "GET, HEAD"})
        return None


def _measure(response: HttpResponseBase) -> None:
    """Say how long the body is, unless there is none by definition (RFC 9110, section 8.6)."""
    if isinstance(response, HttpResponse) and response.status_code not in BODILESS:
        response.headers.setdefault("Content-Length", str(len(response.content)))


class CallerRateLimit:
    """Charges each request that comes so far to whoever sends it, or refuses it.

    It belongs behind whatever finds out who that is, and works with the door of ``rate_limit``.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self._get_response = get_response
        self._limiter, _ = shared_limiters(settings.OVERMIND_RATE_LIMIT)

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """Have a request answered, or refuse it."""
        refusal = too_often(self._limiter, request)
        return self._get_response(request) if refusal is None else refusal


def too_often(limiter: Limiter, request: HttpRequest) -> HttpResponse | None:
    """Charge a request to whoever sends it; return its answer if that is one too many."""
    seconds = charge(limiter, request.META)
    return None if seconds is None else error_response(429, SENTENCE, {"Retry-After": seconds})
