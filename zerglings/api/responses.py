"""Responses: streams, HTML pages, and the descriptions on the browsable API's pages."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from inspect import getdoc
from itertools import chain
from typing import Any

from django.http import HttpResponse, StreamingHttpResponse
from django.utils.html import escape, format_html, format_html_join
from django.utils.safestring import SafeString, mark_safe
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView, get_view_description

from zerglings.api.caching import STREAMED
from zerglings.api.renderers import CompactJSONRenderer, CSVRenderer

_CODE = re.compile(r"`([^`]+)`")


def is_html(request: Request) -> bool:
    """Whether the response is a page of the browsable API; pages are never streamed."""
    return bool(request.accepted_renderer.format == "api")


def is_csv(request: Request) -> bool:
    """Whether the response is CSV; only lists have this form, and no 406 has."""
    return isinstance(getattr(request, "accepted_renderer", None), CSVRenderer)


def streamed(
    parts: Iterator[bytes], content_type: str = CompactJSONRenderer.media_type
) -> StreamingHttpResponse:
    """Return a response that sends each part as soon as it is produced.

    The first part is produced before the headers are sent, so that an outage of the store still
    becomes a 503.
    """
    first = next(parts)
    return StreamingHttpResponse(
        chain([first], parts),
        content_type=content_type,
        headers={"Cache-Control": STREAMED},
    )


def answer_with_json(request: Request) -> None:
    """Have the response rendered as JSON, whatever was negotiated."""
    request.accepted_renderer = CompactJSONRenderer()
    request.accepted_media_type = CompactJSONRenderer.media_type


def not_modified(headers: Mapping[str, str]) -> HttpResponse:
    """Return a 304. It bypasses the renderers, which would add a body: a 304 must not have one."""
    response = HttpResponse(status=304, headers=headers)
    del response["Content-Type"]
    return response


class PageView(APIView):
    """A view with HTML templates for its successful responses; all others are JSON."""

    def finalize_response(
        self, request: Request, response: Response, *args: Any, **kwargs: Any
    ) -> Response:
        """Render a response without a template as JSON."""
        if isinstance(response, Response) and response.template_name is None:
            answer_with_json(request)
        return super().finalize_response(request, response, *args, **kwargs)


def describe(view: APIView, html: bool = False) -> str:
    """Return a view's description; on an HTML page with a list of its methods."""
    description: str = get_view_description(view, html)
    if not html:
        return description
    description = _mark_up_code(description)
    actions: dict[str, str] = getattr(view, "action_map", None) or {}
    if not actions:
        return description
    rows = (
        (method.upper(), _mark_up_code(escape(getdoc(getattr(view, action)) or "")))
        for method, action in actions.items()
        if method != "head"
    )
    methods = format_html_join("", "<dt>{}</dt><dd>{}</dd>", rows)
    return format_html('{}<dl class="methods">{}</dl>', description, methods)


def _mark_up_code(escaped: str) -> SafeString:
    return mark_safe(_CODE.sub(r"<code>\1</code>", escaped))  # nosec B308, B703 # noqa: S308 - escaped already
