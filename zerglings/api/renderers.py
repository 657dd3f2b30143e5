"""Bodies of responses, whole or streamed: compact JSON in UTF-8, and CSV for lists."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import orjson
from django.http import HttpResponse
from rest_framework.renderers import BaseRenderer

from zerglings.domain.document_format import Summary
from zerglings.domain.pose import Pose
from zerglings.domain.zergling import DIED, Zergling
from zerglings.repository.histories import History

Json = dict[str, Any]

CSV_HEADER = b"id,x,y,facing\r\n"


class CompactJSONRenderer(BaseRenderer):
    """Renders compact JSON, the default format of every response."""

    media_type = "application/json"
    format = "json"
    charset = None  # application/json has no charset parameter (RFC 8259, section 11)

    def render(
        self,
        data: Any,  # noqa: ANN401 - any JSON
        accepted_media_type: str | None = None,
        renderer_context: Mapping[str, Any] | None = None,
    ) -> bytes:
        """Return ``data`` as JSON, b"" for a response without a body."""
        if data is None:
            return b""
        # Only the browsable API sets an indent.
        return to_json(data, indent=bool((renderer_context or {}).get("indent")))


class CSVRenderer(BaseRenderer):
    """Renders a list as CSV (RFC 4180) with a header line.

    No value needs quotes or could be a formula: ids are uuids, coordinates are integers.
    """

    media_type = "text/csv"
    format = "csv"
    charset = "utf-8"

    def render(
        self,
        data: Json,
        accepted_media_type: str | None = None,
        renderer_context: Mapping[str, Any] | None = None,
    ) -> bytes:
        """Return a ``list_body`` as CSV."""
        return CSV_HEADER + b"".join(
            _csv_line(each["id"], **each["location"], facing=each["facing"])
            for each in data.get("zerglings", ())
        )


def to_json(data: Any, *, indent: bool = False) -> bytes:  # noqa: ANN401 - any JSON
    """Return ``data`` as UTF-8 JSON; other types, such as lazy translations, become strings."""
    return orjson.dumps(data, default=str, option=orjson.OPT_INDENT_2 if indent else None)


def json_response(data: Json, status: int = 200) -> HttpResponse:
    """Return a JSON response without content negotiation."""
    return HttpResponse(to_json(data), status=status, content_type="application/json")


def list_body(zerglings: Sequence[Summary]) -> Json:
    """Return the body of a list; like the original, ``{}`` if there are no zerglings."""
    return {"zerglings": [_pose_fields(*summary) for summary in zerglings]} if zerglings else {}


def stream_list_body(pages: Iterable[Sequence[Summary]]) -> Iterator[bytes]:
    """Yield the bytes of ``list_body`` page by page. After a failure, the JSON is incomplete."""
    is_empty = True
    for page in pages:
        if page:
            entries = to_json([_pose_fields(*summary) for summary in page])[1:-1]
            yield (b'{"zerglings":[' if is_empty else b",") + entries
            is_empty = False
    yield b"{}" if is_empty else b"]}"


def stream_csv_body(pages: Iterable[Sequence[Summary]]) -> Iterator[bytes]:
    """Yield the bytes of a list as CSV, page by page; the first part comes from the first page."""
    opening = CSV_HEADER
    for page in pages:
        if page:
            yield opening + b"".join(
                _csv_line(zergling_id, pose.x, pose.y, pose.facing) for zergling_id, pose in page
            )
            opening = b""
    if opening:
        yield opening


def history_body(history: History) -> Json:
    """Return the body of a history."""
    words = [word for part in history.parts for word in part]
    return _missing_field(history) | {"commandHistory": words}


def stream_history_body(history: History) -> Iterator[bytes]:
    """Yield the bytes of ``history_body``. After a failure, the JSON is incomplete."""
    opening = to_json(_missing_field(history) | {"commandHistory": []})[:-2]
    for part in history.parts:
        if part:
            yield opening + to_json(part)[1:-1]
            opening = b","
    yield b"]}" if opening == b"," else opening + b"]}"


def _missing_field(history: History) -> Json:
    return {"missingCount": history.missing} if history.missing else {}


def results_body(batches: Iterable[Sequence[Json]]) -> Json:
    """Return the body of a bulk request's response."""
    return {"results": [result for batch in batches for result in batch]}


def stream_results_body(batches: Iterable[Sequence[Json]]) -> Iterator[bytes]:
    """Yield the bytes of ``results_body`` batch by batch; there is at least one result."""
    opening = b'{"results":['
    for batch in batches:
        yield opening + to_json(batch)[1:-1]
        opening = b","
    yield b"]}"


def spawn_body(zergling: Zergling) -> Json:
    """Return the body of a spawn's response."""
    return {"zergling": _pose_fields(zergling.id, zergling.pose)}


def zergling_body(zergling: Zergling) -> Json:
    """Return the body of one zergling, with its newest commands and its revision."""
    details = _pose_fields(zergling.id, zergling.pose)
    if zergling.history:
        # The zergling may have died after the command that this response belongs to.
        is_dead = zergling.is_dead
        history = (
            [word for word in zergling.history if word != DIED] if is_dead else zergling.history
        )
        details["commandHistory"] = history
    if zergling.command_count > len(zergling.history):
        details["commandCount"] = zergling.command_count
    details["_rev"] = zergling.revision
    return {"zergling": details}


def state_body(zergling: Zergling) -> Json:
    """Return a zergling's state and revision, with the number of its commands."""
    state = _pose_fields(zergling.id, zergling.pose)
    commands = zergling.command_count - zergling.history.count(DIED)
    return state | {"commandCount": commands, "_rev": zergling.revision}


def _pose_fields(zergling_id: str, pose: Pose) -> Json:
    return {"id": zergling_id, "location": {"x": pose.x, "y": pose.y}, "facing": pose.facing}


def _csv_line(zergling_id: str, x: int, y: int, facing: str) -> bytes:
    return f"{zergling_id},{x},{y},{facing}\r\n".encode()
