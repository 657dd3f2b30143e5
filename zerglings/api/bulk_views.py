"""Bulk endpoints: many spawns or commands in one request, with one result for each item."""

from __future__ import annotations

import logging
from abc import abstractmethod
from collections.abc import Iterator, Sequence
from typing import Any

from django.http.response import HttpResponseBase
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.serializers import BaseSerializer
from rest_framework.views import APIView

from zerglings.api import renderers
from zerglings.api.browsable import PageRenderer
from zerglings.api.conditions import idempotency_key
from zerglings.api.exceptions import known_error
from zerglings.api.parsers import Body, required_fields
from zerglings.api.responses import is_html, streamed
from zerglings.api.serializers import (
    SwarmCommandsSerializer,
    SwarmSpawnSerializer,
    parse_bulk_commands,
)
from zerglings.domain.zergling import Zergling
from zerglings.hive.hive import configured_hive
from zerglings.hive.mutation_group import Outcome
from zerglings.storage.base import StoreError

logger = logging.getLogger(__name__)


class _BulkView(APIView):
    """Executes the items of a bulk request; subclasses define what an item is."""

    serializer_class: type[BaseSerializer[Any]]

    def post(self, request: Request) -> HttpResponseBase:
        """Execute all valid items; the response has one result for each item, in order."""
        fields = required_fields(Body.of(request))
        batches = map(self._results, self.outcomes(fields, idempotency_key(request)))
        if is_html(request):
            return Response(renderers.results_body(batches))
        return streamed(renderers.stream_results_body(batches))

    @abstractmethod
    def outcomes(self, fields: object, key: str | None) -> Iterator[Sequence[Outcome]]:
        """Execute the request body's items and yield their outcomes, batch by batch in order."""

    @abstractmethod
    def success(self, zergling: Zergling) -> renderers.Json:
        """Return the result object of an item that succeeded."""

    def get_serializer(self, *args: Any, **kwargs: Any) -> BaseSerializer[Any]:
        """Return the serializer for the browsable API's form."""
        return self.serializer_class(*args, **kwargs)

    def _results(self, outcomes: Sequence[Outcome]) -> list[renderers.Json]:
        # One log line for each distinct error: an outage fails every item in the same way.
        for line in {f"{type(o).__name__}: {o}" for o in outcomes if isinstance(o, StoreError)}:
            logger.error("%s", line)
        return [
            self.success(outcome) if isinstance(outcome, Zergling) else _failure(outcome)
            for outcome in outcomes
        ]


class _RawFormRenderer(PageRenderer):
    """A page with a raw JSON form only: HTML forms have no field for a list of items."""

    def get_rendered_html_form(self, data: object, view: APIView, method: str, *args: Any) -> Any:  # noqa: ANN401 - as in DRF
        """Return no HTML form for POST, so that the raw form remains."""
        if method == "POST":
            return None
        return super().get_rendered_html_form(data, view, method, *args)


class SwarmSpawn(_BulkView):
    """Spawn many zerglings at once, at the origin facing north unless the body says otherwise."""

    serializer_class = SwarmSpawnSerializer

    def outcomes(self, fields: object, key: str | None) -> Iterator[Sequence[Outcome]]:
        """Spawn ``count`` zerglings."""
        count, pose = SwarmSpawnSerializer.parse_count_and_pose(fields)
        return configured_hive().bulk.spawn(count, pose, key)

    def success(self, zergling: Zergling) -> renderers.Json:
        """Return the body of a single spawn's response, with its status."""
        return {"status": 201, **renderers.spawn_body(zergling)}


class SwarmCommands(_BulkView):
    """Command many zerglings at once: `{"commands": [{"id": "…", "command": "MMRM"}, …]}`."""

    serializer_class = SwarmCommandsSerializer
    renderer_classes = (renderers.CompactJSONRenderer, _RawFormRenderer)

    def outcomes(self, fields: object, key: str | None) -> Iterator[Sequence[Outcome]]:
        """Apply each item's command to the zergling that it names."""
        return configured_hive().bulk.command(parse_bulk_commands(fields, key), key)

    def success(self, zergling: Zergling) -> renderers.Json:
        """Return the state after the command, with the status."""
        return {"status": 200, "zergling": renderers.state_body(zergling)}


def _failure(error: Exception) -> renderers.Json:
    known = known_error(error)
    if known is None:  # a bug: answer 500 instead of hiding it in a result
        raise error
    status, sentence = known
    return {"status": status, "error": sentence}
