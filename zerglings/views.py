"""Zerglings over HTTP: each request touches the hive once."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import urlencode

from rest_framework.exceptions import ParseError
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.reverse import reverse
from rest_framework.serializers import BaseSerializer
from rest_framework.viewsets import ViewSet

from zerglings import renderers
from zerglings.conditions import etag, if_match, is_unmodified
from zerglings.document import is_zergling_id
from zerglings.hive import configured_hive
from zerglings.parsers import Body, command_value, spawn_fields
from zerglings.serializers import CommandSerializer, SpawnSerializer
from zerglings.storage.base import PAGE_LIMIT
from zerglings.zergling import Zergling

_NUMBER = re.compile(r"[0-9]{1,4}")


class ZerglingViewSet(ViewSet):
    """Zerglings live on a grid: spawn one, then command it. L turns left, R right, M moves on."""

    lookup_field = "id"
    lookup_value_regex = "[^/]+"

    def list(self, request: Request) -> Response:
        """List the living zerglings in the order of their ids; `?limit=N` pages through them."""
        limit = _limit(request)
        after = _after(request)
        if limit is None:
            return Response(renderers.list_of(configured_hive().all(after)))
        listing = configured_hive().list(after, limit)
        response = Response(renderers.list_of(listing.zerglings))
        if listing.after is not None:
            query = urlencode({"limit": limit, "after": listing.after})
            response["Link"] = f'<{request.path}?{query}>; rel="next"'
        return response

    def create(self, request: Request) -> Response:
        """Spawn a zergling, at the origin facing north unless the body says otherwise."""
        serializer = SpawnSerializer(data=spawn_fields(Body.of(request)))
        serializer.is_valid(raise_exception=True)
        zergling = configured_hive().spawn(serializer.pose())
        location = reverse("zergling-detail", kwargs={"id": zergling.id})
        return Response(renderers.newborn(zergling), status=201, headers={"Location": location})

    def retrieve(self, request: Request, id: str) -> Response:  # noqa: A002 - the URL's word
        """Show one zergling, its commands so far and its revision."""
        zergling = configured_hive().get(id)
        tag = _etag(request, zergling)
        if is_unmodified(request.headers.get("If-None-Match"), tag):
            return Response(status=304, headers={"ETag": tag})
        return Response(renderers.in_full(zergling), headers={"ETag": tag})

    def command(self, request: Request, id: str) -> Response:  # noqa: A002 - the URL's word
        """Command a zergling: `L`, `R`, `M` or several of them at once, `MMRM`."""
        serializer = CommandSerializer(data={"command": command_value(Body.of(request))})
        serializer.is_valid(raise_exception=True)
        zergling = configured_hive().command(
            id, serializer.validated_data["command"], if_match(request.headers.get("If-Match"))
        )
        return Response(renderers.in_full(zergling), headers={"ETag": _etag(request, zergling)})

    def destroy(self, request: Request, id: str) -> Response:  # noqa: A002 - the URL's word
        """End a zergling's life for ever."""
        configured_hive().kill(id, if_match(request.headers.get("If-Match")))
        return Response(status=204)

    def get_serializer(self, *args: Any, **kwargs: Any) -> BaseSerializer[Any]:
        """Return the serializer whose form the browsable API shows on this page."""
        serializer_class = CommandSerializer if self.detail else SpawnSerializer
        return serializer_class(*args, **kwargs)


def _etag(request: Request, zergling: Zergling) -> str:
    return etag(zergling.revision or "", html=request.accepted_renderer.format == "api")


def _limit(request: Request) -> int | None:
    values = request.query_params.getlist("limit")
    if not values:
        return None
    if len(values) > 1 or not _NUMBER.fullmatch(values[0]) or not 1 <= int(values[0]) <= PAGE_LIMIT:
        raise ParseError(f"limit must be one whole number from 1 to {PAGE_LIMIT}.")
    return int(values[0])


def _after(request: Request) -> str | None:
    after = request.query_params.get("after")
    if after is not None and not is_zergling_id(after):
        raise ParseError("after must be the id of a zergling.")
    return after
