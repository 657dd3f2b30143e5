"""``GET /events``: the feed as an HTTP response, for as long as the client stays connected."""

from __future__ import annotations

import os
import select
import socket
from collections.abc import Generator, Iterator, Mapping
from contextlib import suppress
from itertools import chain
from typing import Any

from django.http import StreamingHttpResponse
from django.http.response import HttpResponseBase
from gevent import monkey
from rest_framework.renderers import BaseRenderer
from rest_framework.request import Request
from rest_framework.views import APIView

from zerglings.api.caching import STREAMED
from zerglings.api.exceptions import error_response
from zerglings.api.renderers import CompactJSONRenderer, to_json
from zerglings.caller import Caller, caller_of
from zerglings.feed import event_stream
from zerglings.feed.reader import FeedEnded, TooManyForCaller, TooManyListeners, configured_feed

TCP_USER_TIMEOUT_MILLISECONDS = 30_000
"""Milliseconds that sent data may stay unacknowledged before the kernel closes the connection."""

TOO_MANY_FOR_CALLER = "Too many event streams use tokens of your name; end one, or try again later."
RETRY_AFTER = "10"
"""Seconds in the 429. It is a guess, because streams have no known end."""

_DISCONNECTED = getattr(select, "POLLRDHUP", select.POLLHUP)  # Linux reports half-closed sockets


class EventStreamRenderer(BaseRenderer):
    """Makes ``Accept: text/event-stream`` acceptable. It renders errors only, as JSON."""

    media_type = event_stream.MEDIA_TYPE
    format = "events"
    charset = None

    def render(
        self,
        data: Any,  # noqa: ANN401 - any JSON
        accepted_media_type: str | None = None,
        renderer_context: Mapping[str, Any] | None = None,
    ) -> bytes:
        """Return an error as JSON."""
        if renderer_context:
            renderer_context["response"]["Content-Type"] = CompactJSONRenderer.media_type
        return to_json(data)


class Events(APIView):
    """Streams every change to a zergling as it happens."""

    renderer_classes = (EventStreamRenderer, CompactJSONRenderer)

    def get(self, request: Request) -> HttpResponseBase:
        """Stream events from now on, or those after the last event that the client received."""
        meta = request.META
        since = meta.get("HTTP_LAST_EVENT_ID") or request.query_params.get("since")
        connection = _ClientConnection(meta.get("gunicorn.socket"), caller_of(meta))
        try:
            chunks = configured_feed().listen(since or None, connection)
            first = next(chunks)
        except TooManyListeners:
            return error_response(503, "Too many event streams are open; try again later.")
        except TooManyForCaller:
            return error_response(429, TOO_MANY_FOR_CALLER, {"Retry-After": RETRY_AFTER})
        except FeedEnded:
            return error_response(503, "The service is about to stop; try again.")
        return _with_headers(StreamingHttpResponse(_Body(first, chunks, connection)))

    def head(self, request: Request) -> HttpResponseBase:
        """Return the headers of a GET without opening a stream."""
        return _with_headers(StreamingHttpResponse())


class _ClientConnection:
    """A client's connection.

    Args:
        connection: its socket, None if the application runs without gunicorn, as in tests.
        caller: who sent the request, None without a token.
    """

    def __init__(self, connection: socket.socket | None, caller: Caller | None) -> None:
        self.caller = None if caller is None else caller.name
        self._socket = connection
        self._caller = caller
        if connection is not None and hasattr(socket, "TCP_USER_TIMEOUT"):  # Linux only
            connection.setsockopt(
                socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, TCP_USER_TIMEOUT_MILLISECONDS
            )

    def should_end(self) -> bool:
        """Whether the client has disconnected or its token is no longer valid."""
        if self._caller is not None and not self._caller.is_still_allowed():
            return True
        if self._socket is None:
            return False
        if self._socket.fileno() < 0:
            return True
        poll = monkey.get_original("select", "poll")()  # gevent's poll yields to other greenlets
        poll.register(self._socket, _DISCONNECTED)
        return bool(poll.poll(0))

    def abort(self) -> None:
        """Shut the socket down, so that sending fails as if the client had disconnected."""
        if self._socket is None:
            return
        with suppress(OSError):  # it is closed already
            # gevent's shutdown would raise an error of gevent's own in the sending greenlet.
            unpatched_socket = monkey.get_original("socket", "socket")
            with unpatched_socket(fileno=os.dup(self._socket.fileno())) as duplicate:
                duplicate.shutdown(socket.SHUT_RDWR)


class _Body:
    """A stream's body; closing it closes the connection too."""

    def __init__(self, first: bytes, rest: Generator[bytes], connection: _ClientConnection) -> None:
        self._first, self._rest, self._connection = first, rest, connection

    def __iter__(self) -> Iterator[bytes]:
        return chain([self._first], self._rest)

    def close(self) -> None:
        """Unregister the listener, and close the connection instead of keeping it alive."""
        self._rest.close()
        self._connection.abort()


def _with_headers(response: HttpResponseBase) -> HttpResponseBase:
    response["Content-Type"] = event_stream.MEDIA_TYPE
    response["Cache-Control"] = STREAMED
    response["X-Accel-Buffering"] = "no"  # nginx then passes chunks on without buffering
    return response
