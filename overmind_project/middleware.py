"""What holds for every request: its route is noted, its Host checked, its answer measured."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.middleware.common import CommonMiddleware

from overmind_project.exchange import note_route
from overmind_project.exposition import metrics
from overmind_project.health import PROBES
from zerglings.exceptions import error_response

ANY_HOST = (*PROBES, metrics)
"""Views for what calls a pod by its IP."""


class HostAndLength(CommonMiddleware):
    """Django's common middleware, except that what calls a pod by its IP always passes."""

    def process_request(self, request: HttpRequest) -> None:
        """Leave the Host header to ``process_view``, which knows what was asked for."""

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
            request.get_host()  # raises DisallowedHost, which Django answers with 400
        elif request.method not in ("GET", "HEAD"):
            return error_response(405, "Send GET or HEAD.", {"Allow": "GET, HEAD"})
        return None

    def process_response(
        self, request: HttpRequest, response: HttpResponseBase
    ) -> HttpResponseBase:
        """Say how long the body is; after HEAD say it without sending the body."""
        response = super().process_response(request, response)
        if request.method == "HEAD":
            if isinstance(response, StreamingHttpResponse):
                response.streaming_content = ()
            elif isinstance(response, HttpResponse):
                response.content = b""
        return response
