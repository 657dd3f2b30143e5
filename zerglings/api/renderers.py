"""Zerglings as JSON: the shapes of section 1 of the contract, compact and UTF-8."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import orjson
from django.http import HttpResponse
from rest_framework.renderers import BaseRenderer

from zerglings.domain.document import Summary
from zerglings.domain.zergling import DIED, Pose, Zergling

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


def list_of(zerglings: Sequence[Summary]) -> Json:
    """Return the body of a list: an empty object when there are none, as the original has it."""
    return {"zerglings": [_shown(*seen) for seen in zerglings]} if zerglings else {}


def stream_of_list(pages: Iterable[Sequence[Summary]]) -> Iterator[bytes]:
    """Yield the bytes of ``list_of`` page by page; if a page fails, what came is no JSON."""
    is_empty = True
    for page in pages:
        if page:
            shown = to_json([_shown(*seen) for seen in page])[1:-1]
            yield (b'{"zerglings":[' if is_empty else b",") + shown
            is_empty = False
    yield b"{}" if is_empty else b"]}"


def history_of(parts: Iterable[Sequence[str]]) -> Json:
    """Return the body that shows a history."""
    return {"commandHistory": [word for part in parts for word in part]}


def stream_of_history(parts: Iterable[Sequence[str]]) -> Iterator[bytes]:
    """Yield the bytes of ``history_of`` part by part; if a part fails, what came is no JSON."""
    is_empty = True
    for part in parts:
        if part:
            yield (b'{"commandHistory":[' if is_empty else b",") + to_json(part)[1:-1]
            is_empty = False
    yield b'{"commandHistory":[]}' if is_empty else b"]}"


def results_of(parts: Iterable[Sequence[Json]]) -> Json:
    """Return the body of the answer to a whole-swarm call."""
    return {"results": [result for part in parts for result in part]}


def stream_of_results(parts: Iterable[Sequence[Json]]) -> Iterator[bytes]:
    """Yield the bytes of ``results_of`` part by part; there is at least one result."""
    opening = b'{"results":['
    for part in parts:
        yield opening + to_json(part)[1:-1]
        opening = b","
    yield b"]}"


def newborn(zergling: Zergling) -> Json:
    """Return the body of the answer to a spawn."""
    return {"zergling": _shown(zergling.id, zergling.pose)}


def in_full(zergling: Zergling) -> Json:
    """Return the body that shows one zergling with its newest commands and its revision."""
    details = _shown(zergling.id, zergling.pose)
    if zergling.history:
        # It may have died since the command that this answers.
        is_dead = zergling.is_dead
        history = (
            [word for word in zergling.history if word != DIED] if is_dead else zergling.history
        )
        details["commandHistory"] = history
    if zergling.command_count > len(zergling.history):
        details["commandCount"] = zergling.command_count
    details["_rev"] = zergling.revision
    return {"zergling": details}


def state_of(zergling: Zergling) -> Json:
    """Return where a zergling stands at which revision, without its history."""
    state = _shown(zergling.id, zergling.pose)
    commands = zergling.command_count - zergling.history.count(DIED)
    return state | {"commandCount": commands, "_rev": zergling.revision}


def _shown(zergling_id: str, pose: Pose) -> Json:
    return {"id": zergling_id, "location": {"x": pose.x, "y": pose.y}, "facing": pose.facing}
