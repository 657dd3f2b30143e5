"""Zerglings as JSON: the shapes of section 1 of the contract, compact and UTF-8."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import orjson
from django.http import HttpResponse
from rest_framework.renderers import BaseRenderer

from zerglings.zergling import Zergling

Json = dict[str, Any]


class CompactJSONRenderer(BaseRenderer):
    """The default form of every answer, also when the client did not say what it accepts."""

    media_type = "application/json"
    format = "json"
    charset = None  # JSON is UTF-8 and has no such parameter

    def render(
        self,
        data: Any,  # noqa: ANN401 - any JSON
        accepted_media_type: str | None = None,
        renderer_context: Mapping[str, Any] | None = None,
    ) -> bytes:
        """Return the bytes of ``data``; none for an answer without a body."""
        if data is None:
            return b""
        # Only the browsable API asks for an indent, to show what it received.
        return to_json(data, indent=bool((renderer_context or {}).get("indent")))


def to_json(data: Any, *, indent: bool = False) -> bytes:  # noqa: ANN401 - any JSON
    """Return UTF-8 JSON, compact unless asked otherwise; lazily translated texts become plain."""
    return orjson.dumps(data, default=str, option=orjson.OPT_INDENT_2 if indent else None)


def json_response(data: Json, status: int = 200) -> HttpResponse:
    """Return an answer for URLs that are not negotiated."""
    return HttpResponse(to_json(data), status=status, content_type="application/json")


def list_of(zerglings: Iterable[Zergling]) -> Json:
    """Return the body of a list: an empty object when there are none, as the original has it."""
    summaries = [_summary(zergling) for zergling in zerglings]
    return {"zerglings": summaries} if summaries else {}


def newborn(zergling: Zergling) -> Json:
    """Return the body of the answer to a spawn."""
    return {"zergling": _summary(zergling)}


def in_full(zergling: Zergling) -> Json:
    """Return the body that shows one zergling with its history and revision."""
    details = _summary(zergling)
    if zergling.history:
        details["commandHistory"] = zergling.history
    details["_rev"] = zergling.revision
    return {"zergling": details}


def _summary(zergling: Zergling) -> Json:
    pose = zergling.pose
    return {"id": zergling.id, "location": {"x": pose.x, "y": pose.y}, "facing": pose.facing}
