"""Content negotiation by ``?format=`` or the ``Accept`` header (RFC 9110, section 12.5.1).

Only the weight parameter ``q`` counts; no response has any other parameter. Django's and DRF's
parsers are avoided: they look up the charset of an encoded parameter among Python's codecs. Some
codecs are not charsets and fail later, and unknown names stay in the codec cache for ever.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

from django.http import Http404
from rest_framework.exceptions import NotAcceptable
from rest_framework.negotiation import DefaultContentNegotiation
from rest_framework.parsers import BaseParser
from rest_framework.renderers import BaseRenderer
from rest_framework.request import Request
from rest_framework.settings import api_settings

from zerglings.api.parsers import TextBodyParser

MAX_ACCEPT_LENGTH = 1024
"""Characters. A longer ``Accept`` header counts as ``*/*``."""

HTML, JSON = "text/html", "application/json"

_USUAL_ACCEPTS = ("*/*", JSON)
"""The most frequent ``Accept`` headers of programs; they need no negotiation."""

_XHTML = "application/xhtml+xml"
_ANYTHING = {"*/*": 1.0}
_WEIGHT = re.compile(r"[0-9]+(?:\.[0-9]*)?|\.[0-9]+")


def best_media_type(accept: str | None, offered: Sequence[str]) -> str | None:
    """Return the media type to answer with, None if no offered type is acceptable.

    The greatest weight wins; of equal ones, the first. HTML goes to browsers only: a program
    that merely lists ``text/html``, such as Java's HTTP client, gets JSON if it accepts JSON.

    Args:
        accept: the header's value, None without one.
        offered: the response's possible media types, in order of preference.

    >>> best_media_type("text/html;q=0.5, */*;q=0.8", ("application/json", "text/html"))
    'application/json'
    """
    weights = _weights(accept)
    best = max(offered, key=lambda media_type: _weight(media_type, weights))
    if best == HTML and JSON in offered and _weight(JSON, weights) and not _means_html(weights):
        best = JSON
    return best if _weight(best, weights) else None


def prefers_html(accept: str | None) -> bool:
    """Whether the client is a browser, or otherwise asks for HTML rather than JSON."""
    return best_media_type(accept, (JSON, HTML)) == HTML


class LenientNegotiation(DefaultContentNegotiation):
    """DRF's negotiation, plus weights. A body without a content type is parsed as plain text."""

    def select_renderer(
        self,
        request: Request,
        renderers: Iterable[BaseRenderer],
        format_suffix: str | None = None,
    ) -> tuple[BaseRenderer, str]:
        """Return the renderer of the response and its media type.

        ``?format=`` counts instead of ``Accept``: generated clients send the latter unasked.

        Raises:
            NotAcceptable: the format, or without one ``Accept``, allows none of the renderers.
        """
        accept = request.META.get("HTTP_ACCEPT") or "*/*"
        if accept in _USUAL_ACCEPTS and not request.META.get("QUERY_STRING"):
            default = next(iter(renderers))
            if accept in ("*/*", default.media_type):
                return default, default.media_type
        if form := format_suffix or request.query_params.get(api_settings.URL_FORMAT_OVERRIDE):
            renderer = self.filter_renderers(renderers, form)[0]
            return renderer, renderer.media_type
        by_type = {renderer.media_type: renderer for renderer in renderers}
        media_type = best_media_type(accept, tuple(by_type))
        if media_type is None:
            raise NotAcceptable
        return by_type[media_type], media_type

    def filter_renderers(
        self,
        renderers: Iterable[BaseRenderer],
        format: str,  # noqa: A002 - DRF's name
    ) -> list[BaseRenderer]:
        """Return the renderers of the format that ``?format=`` names.

        Raises:
            NotAcceptable: there are none; DRF would answer 404.
        """
        try:
            return super().filter_renderers(renderers, format)
        except Http404 as error:
            raise NotAcceptable from error

    def select_parser(self, request: Request, parsers: Iterable[BaseParser]) -> BaseParser | None:
        """Return the parser for the request's content type, None if there is none."""
        content_type = request.META.get("CONTENT_TYPE")
        if not content_type:
            return TextBodyParser()
        for parser in parsers:
            if parser.media_type == content_type:
                return parser
        return super().select_parser(request, parsers)


def _weights(accept: str | None) -> Mapping[str, float]:
    """Return the weight of each media range; without any, ``*/*`` has weight 1."""
    if not accept or len(accept) > MAX_ACCEPT_LENGTH:
        return _ANYTHING
    weights: dict[str, float] = {}
    for element in accept.split(","):
        media_range, *parameters = (part.strip().lower() for part in element.split(";"))
        if media_range == "*":  # as Java writes it
            media_range = "*/*"
        if media_range:
            weights[media_range] = max(_q(parameters), weights.get(media_range, 0.0))
    return weights or _ANYTHING


def _q(parameters: Sequence[str]) -> float:
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.rstrip() == "q" and _WEIGHT.fullmatch(value := value.lstrip()):
            return min(float(value), 1.0)
    return 1.0


def _weight(media_type: str, weights: Mapping[str, float]) -> float:
    """Return a media type's weight: that of the most specific matching range."""
    kind = media_type.partition("/")[0]
    for media_range in (media_type, f"{kind}/*", "*/*"):
        if media_range in weights:
            return weights[media_range]
    return 0.0


def _means_html(weights: Mapping[str, float]) -> bool:
    """Whether a header that weights HTML highest comes from a client that shows HTML.

    True if the header also names XHTML, as browsers do, or JSON, or if it names only text types.
    """
    named = {range_ for range_, weight in weights.items() if weight and range_ != "*/*"}
    return bool(named & {_XHTML, JSON}) or all(name.startswith("text/") for name in named)
