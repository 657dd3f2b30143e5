"""The endpoints of zerglings: each parses a request, makes one hive call and renders the result."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import urlencode

from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.template.response import SimpleTemplateResponse
from rest_framework.exceptions import ParseError
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.serializers import BaseSerializer
from rest_framework.settings import api_settings
from rest_framework.viewsets import ViewSet

from zerglings.api import renderers
from zerglings.api.caching import REVALIDATE
from zerglings.api.conditions import etag, idempotency_key, if_match, is_unmodified
from zerglings.api.parsers import Body, command_value, spawn_fields
from zerglings.api.responses import answer_with_json, is_csv, is_html, not_modified, streamed
from zerglings.api.serializers import CommandSerializer, SpawnSerializer, parse_commands
from zerglings.domain.document_format import is_zergling_id
from zerglings.domain.zergling import Zergling
from zerglings.hive.hive import configured_hive
from zerglings.storage.base import PAGE_LIMIT

MAX_OFFSET = 10**15 - 1
"""The largest ``offset`` into a history, counted in commands."""

CSV_TYPE = f"{renderers.CSVRenderer.media_type}; charset={renderers.CSVRenderer.charset}"

_NUMBER = re.compile(r"[0-9]{1,15}")


class ZerglingViewSet(ViewSet):
    """Zerglings on a grid: spawn one, then send commands. L turns left, R turns right, M moves."""

    lookup_field = "id"
    lookup_value_regex = "[^/]+"

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        """Answer a request.

        REST framework's view and request refer to themselves and to each other. Unless that
        cycle is broken, each request leaves fifty objects to the garbage collector, which takes a
        tenth of the request's time.
        """
        response: HttpResponseBase = super().dispatch(request, *args, **kwargs)
        if not isinstance(response, SimpleTemplateResponse):  # a page is rendered later
            parser_context = self.request.parser_context
            vars(self).clear()
            parser_context.clear()
        return response

    def perform_authentication(self, request: Request) -> None:
        """Do nothing: the project's middleware checks tokens, if there are any."""

    def initialize_request(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Request:
        """Return REST framework's request, and offer CSV if it is for the list.

        Also offer it to methods that the list does not have, so that they get 405 and not 406.
        """
        initialized: Request = super().initialize_request(request, *args, **kwargs)
        if self.action == "list" or (self.action is None and not self.detail):
            self.renderer_classes = [*self.renderer_classes, renderers.CSVRenderer]
        return initialized

    def finalize_response(
        self, request: Request, response: Response, *args: Any, **kwargs: Any
    ) -> Response:
        """Finish a response. Errors are never CSV."""
        if getattr(response, "exception", False) and is_csv(request):
            answer_with_json(request)
        return super().finalize_response(request, response, *args, **kwargs)

    def list(self, request: Request) -> HttpResponseBase:
        """List the living zerglings in the order of their ids; `?limit=N` pages through them."""
        limit, after = _limit(request), _after(request)
        if limit is None and not is_html(request):
            pages = configured_hive().pages(after)
            if is_csv(request):
                return streamed(renderers.stream_csv_body(pages), CSV_TYPE)
            return streamed(renderers.stream_list_body(pages))
        listing = configured_hive().list(after, limit or PAGE_LIMIT)
        response = Response(renderers.list_body(listing.zerglings))
        if listing.after is not None:
            _link_next(response, request, limit=limit or PAGE_LIMIT, after=listing.after)
        return response

    def create(self, request: Request) -> HttpResponseBase:
        """Spawn a zergling, at the origin facing north unless the body says otherwise."""
        pose = SpawnSerializer.parse_pose(spawn_fields(Body.of(request)))
        zergling = configured_hive().spawn(pose, idempotency_key(request))
        location = f"{request.path.rstrip('/')}/{zergling.id}"
        return _response(
            request, renderers.spawn_body(zergling), 201, headers={"Location": location}
        )

    def retrieve(self, request: Request, id: str) -> HttpResponseBase:  # noqa: A002 - named by the URL
        """Show one zergling, its commands so far and its revision."""
        zergling = configured_hive().get(id)
        tag = _etag(request, zergling)
        if is_unmodified(request.META.get("HTTP_IF_NONE_MATCH"), tag):
            return not_modified(_etag_headers(tag))
        return _response(request, renderers.zergling_body(zergling), headers=_etag_headers(tag))

    def command(self, request: Request, id: str) -> HttpResponseBase:  # noqa: A002 - named by the URL
        """Send a zergling a command, `L`, `R` or `M`, or several at once, such as `MMRM`."""
        commands = parse_commands(command_value(Body.of(request)), idempotency_key(request))
        zergling = configured_hive().command(
            id, commands, if_match(request.META.get("HTTP_IF_MATCH"))
        )
        headers = _etag_headers(_etag(request, zergling))
        return _response(request, renderers.zergling_body(zergling), headers=headers)

    def destroy(self, request: Request, id: str) -> Response:  # noqa: A002 - named by the URL
        """Kill a zergling permanently; its id is never used again."""
        configured_hive().kill(id, if_match(request.META.get("HTTP_IF_MATCH")))
        return Response(status=204)

    def history(self, request: Request, id: str) -> HttpResponseBase:  # noqa: A002 - named by the URL
        """Show all commands of a zergling, oldest first; `?offset=N&limit=M` pages through them."""
        limit, offset = _limit(request), _offset(request)
        if limit is None and is_html(request):
            limit = PAGE_LIMIT
        history = configured_hive().history(id, offset, limit)
        if limit is None:
            return streamed(renderers.stream_history_body(history))
        response = Response(renderers.history_body(history))
        if history.after is not None:
            _link_next(response, request, offset=history.after, limit=limit)
        return response

    def get_serializer(self, *args: Any, **kwargs: Any) -> BaseSerializer[Any]:
        """Return the serializer for the browsable API's form on this page."""
        serializer_class = CommandSerializer if self.detail else SpawnSerializer
        return serializer_class(*args, **kwargs)


def _response(
    request: Request, data: renderers.Json, status: int = 200, *, headers: dict[str, str]
) -> HttpResponseBase:
    """Return a response. JSON bypasses DRF's renderers, which are slower."""
    if is_html(request):
        return Response(data, status, headers=headers)
    response = renderers.json_response(data, status)
    for name, value in headers.items():
        response[name] = value
    return response


def _etag(request: Request, zergling: Zergling) -> str:
    return etag(zergling.revision or "", html=is_html(request))


def _etag_headers(tag: str) -> dict[str, str]:
    return {"ETag": tag, "Cache-Control": REVALIDATE}


def _link_next(response: Response, request: Request, **query: object) -> None:
    if form := request.query_params.get(api_settings.URL_FORMAT_OVERRIDE):
        query[api_settings.URL_FORMAT_OVERRIDE] = form
    response["Link"] = f'<{request.path}?{urlencode(query)}>; rel="next"'


def _limit(request: Request) -> int | None:
    return _query_number(request, "limit", 1, PAGE_LIMIT)


def _offset(request: Request) -> int:
    return _query_number(request, "offset", 0, MAX_OFFSET) or 0


def _query_number(request: Request, name: str, minimum: int, maximum: int) -> int | None:
    values = request.query_params.getlist(name)
    if not values:
        return None
    if (
        len(values) > 1
        or not _NUMBER.fullmatch(values[0])
        or not minimum <= int(values[0]) <= maximum
    ):
        raise ParseError(f"{name} must be one whole number from {minimum} to {maximum}.")
    return int(values[0])


def _after(request: Request) -> str | None:
    after = request.query_params.get("after")
    if after is not None and not is_zergling_id(after):
        raise ParseError("after must be the id of a zergling.")
    return after
