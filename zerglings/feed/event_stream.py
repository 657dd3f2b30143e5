"""News as server-sent events (https://html.spec.whatwg.org/multipage/server-sent-events.html).

An event's ``id`` is where a reader that comes back goes on. It stands only on the last event of
what was read at once: whoever leaves in the middle hears the beginning of it again.
"""

from __future__ import annotations

from collections.abc import Mapping

from zerglings.api.renderers import Json, state_body, to_json
from zerglings.hive.change_events import ChangeBatch, Event

MEDIA_TYPE = "text/event-stream"

HEARTBEAT = b"event: heartbeat\ndata: {}\n\n"
"""What tells a reader, a script in a browser too, that a silent connection is not a dead one."""


def ready(position: str) -> bytes:
    """Return what begins a stream: whatever happens after this will be told."""
    return _event("ready", {}, position)


def reset(position: str) -> bytes:
    """Return what begins a stream that cannot go on where its reader left."""
    return _event("reset", {}, position)


def told(news: ChangeBatch) -> bytes:
    """Return all events of news; b"" if there are none."""
    last = len(news.events) - 1
    return b"".join(
        _event(event.kind, _data(event), news.position if number == last else None)
        for number, event in enumerate(news.events)
    )


def _data(event: Event) -> Json:
    if event.zergling is None:
        return {"zergling": {"id": event.id}}
    return {"zergling": state_body(event.zergling)}


def _event(kind: str, data: Mapping[str, object], position: str | None = None) -> bytes:
    place = b"" if position is None else b"id: %s\n" % position.encode()
    return b"event: %s\n%sdata: %s\n\n" % (kind.encode(), place, to_json(data))
