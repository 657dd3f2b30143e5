"""Encodes change events as server-sent events.

Specification: https://html.spec.whatwg.org/multipage/server-sent-events.html

An event's ``id`` is the position from which a client can resume. Only the last event of a batch has
one, because a batch has a single position. A client that disconnects within a batch receives the
start of that batch again.
"""

from __future__ import annotations

from collections.abc import Mapping

from zerglings.api.renderers import Json, state_body, to_json
from zerglings.hive.change_events import ChangeBatch, Event

MEDIA_TYPE = "text/event-stream"

HEARTBEAT = b"event: heartbeat\ndata: {}\n\n"
"""An event without content, so that clients can detect a dead connection.

It is not a comment of the format, because browsers do not pass comments on to scripts.
"""


def ready(position: str) -> bytes:
    """Return the first event of a new stream; changes after ``position`` follow."""
    return _event("ready", {}, position)


def reset(position: str) -> bytes:
    """Return the event for a client whose position is lost: it has to read the list again."""
    return _event("reset", {}, position)


def encode_batch(batch: ChangeBatch) -> bytes:
    """Return all events of a batch; b"" if there are none."""
    last = len(batch.events) - 1
    return b"".join(
        _event(event.kind, _data(event), batch.position if number == last else None)
        for number, event in enumerate(batch.events)
    )


def _data(event: Event) -> Json:
    if event.zergling is None:
        return {"zergling": {"id": event.id}}
    return {"zergling": state_body(event.zergling)}


def _event(kind: str, data: Mapping[str, object], position: str | None = None) -> bytes:
    id_line = b"" if position is None else b"id: %s\n" % position.encode()
    return b"event: %s\n%sdata: %s\n\n" % (kind.encode(), id_line, to_json(data))
