"""How an answer is formed: as a page for people, whole, or streamed while it is made."""

from __future__ import annotations

import re
from collections.abc import Iterator
from inspect import getdoc
from itertools import chain
from typing import Any

from django.http import StreamingHttpResponse
from django.utils.html import escape, format_html, format_html_join
from django.utils.safestring import SafeString, mark_safe
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView, get_view_description

from zerglings.api.caching import AS_IT_COMES
from zerglings.api.renderers import CompactJSONRenderer

_CODE = re.compile(r"`([^`]+)`")


def is_html(request: Request) -> bool:
    """Whether the answer is a page of the browsable API, which is never streamed."""
    return bool(request.accepted_renderer.format == "api")


def streamed(parts: Iterator[bytes]) -> StreamingHttpResponse:
    """Return an answer that is sent while it is made.

    The first part is made before anything is sent, so that a store that is away is still a 503.
    """
    first = next(parts)
    return StreamingHttpResponse(
        chain([first], parts),
        content_type="application/json",
        headers={"Cache-Control": AS_IT_COMES},
    )


class PageView(APIView):
    """A view whose errors and OPTIONS are JSON, as only its good answers have a template."""

    def finalize_response(
        self, request: Request, response: Response, *args: Any, **kwargs: Any
    ) -> Response:
        """Complete an answer, which may be a plain Django one too."""
        if isinstance(response, Response) and response.template_name is None:
            request.accepted_renderer = CompactJSONRenderer()
            request.accepted_media_type = CompactJSONRenderer.media_type
        return super().finalize_response(request, response, *args, **kwargs)


def describe(view: APIView, html: bool = False) -> str:
    """Return what a view is for; on a page also what each method does there."""
    about: str = get_view_description(view, html)
    if not html:
        return about
    about = _with_code(about)
    actions: dict[str, str] = getattr(view, "action_map", None) or {}
    if not actions:
        return about
    rows = (
        (method.upper(), _with_code(escape(getdoc(getattr(view, action)) or "")))
        for method, action in actions.items()
        if method != "head"
    )
    listed = format_html_join("", "<dt>{}</dt><dd>{}</dd>", rows)
    return format_html('{}<dl class="dl-horizontal">{}</dl>', about, listed)


def _with_code(escaped: str) -> SafeString:
    return mark_safe(_CODE.sub(r"<code>\1</code>", escaped))  # nosec B308, B703 # noqa: S308 - escaped already
