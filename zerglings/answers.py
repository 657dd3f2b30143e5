"""How an answer leaves: as a page for people, at once, or while it is made."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain

from django.http import StreamingHttpResponse
from rest_framework.request import Request

from zerglings.caching import AS_IT_COMES


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
