"""The feed over HTTP: ``GET /events``, for as long as the client listens."""

from __future__ import annotations

import os
import select
import socket
from collections.abc import Callable, Generator, Iterator, Mapping
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
from zerglings.feed import event_stream
from zerglings.feed.reader import FeedEnded, TooManyListeners, TooManyOfOne, configured_feed

UNANSWERED_LIMIT = 30_000
"""Milliseconds without an acknowledgement after which the kernel takes a client for gone."""


CALLER = "overmind.caller"
"""Where in a request's environment the name is of who has shown a token."""

MAY_STAY = "overmind.may_stay"
"""Where in a request's environment it may say whether its client may go on listening."""

TOO_MANY_OF_ONE = "Too many listen to events with tokens of your name; end one, or try again later."
RETRY_AFTER = "10"
"""Seconds; when a stream of theirs will end nobody knows."""

_HAS_GONE = getattr(select, "POLLRDHUP", select.POLLHUP)  # only Linux tells of a half that ended


class EventStreamRenderer(BaseRenderer):
    """Lets a client ask for a stream; an error is JSON all the same."""

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
    """Tells what happens to zerglings as it happens."""

    renderer_classes = (EventStreamRenderer, CompactJSONRenderer)

    def get(self, request: Request) -> HttpResponseBase:
        """Stream what happens from now on, or from the event that the client heard last."""
        since = request.META.get("HTTP_LAST_EVENT_ID") or request.query_params.get("since")
        meta = request.META
        line = _Line(meta.get("gunicorn.socket"), meta.get(CALLER), meta.get(MAY_STAY))
        try:
            pieces = configured_feed().listen(since or None, line)
            first = next(pieces)
        except TooManyListeners:
            return error_response(503, "Too many event streams are open; try again later.")
        except TooManyOfOne:
            return error_response(429, TOO_MANY_OF_ONE, {"Retry-After": RETRY_AFTER})
        except FeedEnded:
            return error_response(503, "The service is about to stop; try again.")
        return _labelled(StreamingHttpResponse(_Pieces(first, pieces, line)))

    def head(self, request: Request) -> HttpResponseBase:
        """Say what GET would send."""
        return _labelled(StreamingHttpResponse())


class _Line:
    """A client's connection; None where no server is behind the application.

    ``may_stay`` says whether the client is still welcome; None is for ever.
    """

    def __init__(
        self,
        connection: socket.socket | None,
        caller: str | None,
        may_stay: Callable[[], bool] | None,
    ) -> None:
        self.caller = caller
        self._connection = connection
        self._may_stay = may_stay
        if connection is not None and hasattr(socket, "TCP_USER_TIMEOUT"):  # Linux has it
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, UNANSWERED_LIMIT)

    def is_dead(self) -> bool:
        """Whether the client has closed it, or is not welcome any more."""
        if self._may_stay is not None and not self._may_stay():
            return True
        if self._connection is None:
            return False
        if self._connection.fileno() < 0:
            return True
        poll = monkey.get_original("select", "poll")()  # gevent's would give way to others
        poll.register(self._connection, _HAS_GONE)
        return bool(poll.poll(0))

    def hang_up(self) -> None:
        """Break it, so that who is sending on it finds it broken by the client."""
        if self._connection is None:
            return
        with suppress(OSError):  # it is broken already
            # gevent's own shutdown would raise an error of gevent's in who is sending.
            plain = monkey.get_original("socket", "socket")
            with plain(fileno=os.dup(self._connection.fileno())) as same:
                same.shutdown(socket.SHUT_RDWR)


class _Pieces:
    """A stream's pieces, whose connection is closed behind them."""

    def __init__(self, first: bytes, rest: Generator[bytes], line: _Line) -> None:
        self._first, self._rest, self._line = first, rest, line

    def __iter__(self) -> Iterator[bytes]:
        return chain([self._first], self._rest)

    def close(self) -> None:
        """Leave the feed, and do not wait for another request on this connection."""
        self._rest.close()
        self._line.hang_up()


def _labelled(response: HttpResponseBase) -> HttpResponseBase:
    response["Content-Type"] = event_stream.MEDIA_TYPE
    response["Cache-Control"] = STREAMED
    response["X-Accel-Buffering"] = "no"  # for a proxy that would collect before it passes on
    return response
