"""Whole-swarm calls over HTTP: many spawns or commands, with one result for each."""

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
from zerglings.api.parsers import Body, whole_fields
from zerglings.api.responses import is_html, streamed
from zerglings.api.serializers import SwarmCommandsSerializer, SwarmSpawnSerializer, items_of
from zerglings.domain.zergling import Zergling
from zerglings.hive.hive import configured_hive
from zerglings.hive.write_batch import Outcome
from zerglings.storage.base import StoreError

logger = logging.getLogger(__name__)


class _SwarmCall(APIView):
    serializer_class: type[BaseSerializer[Any]]

    def post(self, request: Request) -> HttpResponseBase:
        """Carry out all items that can be; the answer has one result for each, in their order."""
        fields = whole_fields(Body.of(request))
        parts = map(self._results, self.outcomes(fields, idempotency_key(request)))
        if is_html(request):
            return Response(renderers.results_of(parts))
        return streamed(renderers.stream_of_results(parts))

    @abstractmethod
    def outcomes(self, fields: object, key: str | None) -> Iterator[Sequence[Outcome]]:
        """Carry out what a body asks for."""

    @abstractmethod
    def success(self, zergling: Zergling) -> renderers.Json:
        """Return the result of an item that was carried out."""

    def get_serializer(self, *args: Any, **kwargs: Any) -> BaseSerializer[Any]:
        """Return the serializer whose form the browsable API shows."""
        return self.serializer_class(*args, **kwargs)

    def _results(self, outcomes: Sequence[Outcome]) -> list[renderers.Json]:
        for line in {f"{type(o).__name__}: {o}" for o in outcomes if isinstance(o, StoreError)}:
            logger.error("%s", line)
        return [
            self.success(outcome) if isinstance(outcome, Zergling) else _failure(outcome)
            for outcome in outcomes
        ]


class _RawForm(PageRenderer):
    """A page where the body is written as JSON, because no form has a field for a list of items."""

    def get_rendered_html_form(self, data: object, view: APIView, method: str, *args: Any) -> Any:  # noqa: ANN401 - the framework's own
        """Return no form of fields for a POST."""
        if method == "POST":
            return None
        return super().get_rendered_html_form(data, view, method, *args)


class SwarmSpawn(_SwarmCall):
    """Spawn many zerglings at once, at the origin facing north unless the body says otherwise."""

    serializer_class = SwarmSpawnSerializer

    def outcomes(self, fields: object, key: str | None) -> Iterator[Sequence[Outcome]]:
        """Spawn as many as the body says."""
        count, pose = SwarmSpawnSerializer.swarm_of(fields)
        return configured_hive().bulk.spawn(count, pose, key)

    def success(self, zergling: Zergling) -> renderers.Json:
        """Return a newborn as the answer to a spawn shows it."""
        return {"status": 201, **renderers.newborn(zergling)}


class SwarmCommands(_SwarmCall):
    """Command many zerglings at once: `{"commands": [{"id": "…", "command": "MMRM"}, …]}`."""

    serializer_class = SwarmCommandsSerializer
    renderer_classes = (renderers.CompactJSONRenderer, _RawForm)

    def outcomes(self, fields: object, key: str | None) -> Iterator[Sequence[Outcome]]:
        """Command each of those whom the body names."""
        return configured_hive().bulk.command(items_of(fields, key), key)

    def success(self, zergling: Zergling) -> renderers.Json:
        """Return where a zergling stands after the command."""
        return {"status": 200, "zergling": renderers.state_of(zergling)}


def _failure(error: Exception) -> renderers.Json:
    known = known_error(error)
    if known is None:  # an error of our own, which nobody may take for a result
        raise error
    status, sentence = known
    return {"status": status, "error": sentence}
