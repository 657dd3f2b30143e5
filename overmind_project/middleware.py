"""What holds for every answer: the Host header, the length, no body after HEAD."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.middleware.common import CommonMiddleware

from overmind_project.health import PROBES
from zerglings.exceptions import error_response


class HostAndLength(CommonMiddleware):
    """Django's common middleware, except that probes, which call a pod by its IP, always pass."""

    def process_request(self, request: HttpRequest) -> None:
        """Leave the Host header to ``process_view``, which knows what was asked for."""

    def process_view(
        self,
        request: HttpRequest,
        view: Callable[..., HttpResponse],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> HttpResponse | None:
        """Check the Host header of all but probes, and let probes be read only."""
        if view not in PROBES:
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
