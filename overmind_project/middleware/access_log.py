"""The outermost middleware: gives each request an id, counts it, times it and logs one line.

It wraps all other middleware, so errors that are answered in front of Django count as well. A
request ends when its answer has been sent or its client has disconnected. Event streams last for
hours: they are counted and timed when the answer begins, to be visible at once and to keep the
latencies meaningful. Their line is logged at the end.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import orjson
from django.conf import settings
from prometheus_client import Counter, Gauge, Histogram

from overmind_project.http.request_context import NO_ROUTE, RequestContext, begin_context
from overmind_project.logs import ACCESS_LINES, Timestamps
from zerglings.log_context import CONTEXT

if TYPE_CHECKING:
    from collections.abc import Iterable

    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

    from overmind_project.http.client_address import TrustedProxies

STREAMS = frozenset(("events",))
"""Routes whose answers last as long as the client stays connected."""

QUIET = frozenset(("health", "healthz", "readyz", "metrics"))
"""Routes that are called every few seconds; only their errors are logged."""

STATIC = "static"
"""The route label of static files."""

REQUEST_ID_HEADER = "X-Request-ID"

LATENCIES = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""Upper bounds of the buckets in seconds; a use case times out after 5."""

_REQUESTS = Counter(
    "overmind_http_requests_total",
    "Requests answered, by route name (none: unknown URL or rejected body), method and status.",
    ("route", "method", "status"),
)
_DURATION = Histogram(
    "overmind_http_request_duration_seconds",
    "Time from the headers to the end of the answer; for event streams, to its beginning.",
    ("route", "method"),
    buckets=LATENCIES,
)
_CUT = Counter(
    "overmind_http_answers_cut_total",
    "Answers that were cut off, because the client disconnected or the service failed.",
    ("route", "by"),
)
_IN_FLIGHT = Gauge(
    "overmind_http_requests_in_flight",
    "Requests in progress, including event streams.",
    multiprocess_mode="livesum",
)
_STREAMS_OPEN = Gauge(
    "overmind_http_streams_open",
    "Open event streams.",
    multiprocess_mode="livesum",
)

LOGGER = "overmind.request"
"""The name that log lines show as their logger."""

_Tally = tuple[Callable[[], None], Callable[[float], None]]
"""Two functions: one counts a request, the other records its duration in seconds."""


class AccessLog:
    """WSGI middleware that counts, times and logs each request."""

    def __init__(self, application: WSGIApplication, proxies: TrustedProxies | None = None) -> None:
        self._application = application
        self._proxies = proxies
        self._tallies: dict[tuple[str, str, str], _Tally] = {}

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer a request and observe its answer until the end."""
        proxies = self._proxies
        client = environ.get("REMOTE_ADDR", "") if proxies is None else proxies.client_of(environ)
        context = begin_context(environ, client)
        CONTEXT.set(context.ids)  # until the end of the request, see `Handler.serve`
        _IN_FLIGHT.inc()

        def begin(status: str, headers: list[tuple[str, str]], *exc_info: object) -> object:
            context.status = status[:3]
            if context.route == NO_ROUTE and context.status < "400":
                context.route = STATIC  # only static files succeed without a route
            if context.status == "201":
                context.note_spawn(next((v for name, v in headers if name == "Location"), ""))
            if context.route in STREAMS:
                self._stream_began(context)
            return start_response(
                status,
                [*headers, (REQUEST_ID_HEADER, context.request_id)],
                *exc_info,  # type: ignore[arg-type]  # passed on unchanged
            )

        try:
            answer = self._application(environ, begin)  # type: ignore[arg-type]  # same as above
        except BaseException:
            context.status = "500"
            self.ended(context)
            raise
        return _LoggedBody(answer, context, self.ended)

    def ended(self, context: RequestContext) -> None:
        """Count and log a request whose answer has ended."""
        seconds = context.seconds()
        _IN_FLIGHT.dec()
        if context.is_stream:
            _STREAMS_OPEN.dec()
        if not context.is_counted:
            self._count(context, seconds)
        if context.cut_by is not None:
            _CUT.labels(context.route, context.cut_by).inc()
        if context.route not in QUIET or context.status >= "500":
            ACCESS_LINES.write(_line(context, seconds))

    def _stream_began(self, context: RequestContext) -> None:
        self._count(context, context.seconds())
        if context.status == "200":
            context.is_stream = True
            _STREAMS_OPEN.inc()

    def _count(self, context: RequestContext, seconds: float) -> None:
        context.is_counted = True
        key = context.route, context.method, context.status
        tally = self._tallies.get(key)
        if tally is None:
            duration = _DURATION.labels(context.route, context.method)
            tally = self._tallies[key] = _REQUESTS.labels(*key).inc, duration.observe
        count, observe = tally
        count()
        observe(seconds)


class _LoggedBody:
    """The body of an answer: counts its bytes, and reports its end."""

    __slots__ = ("_body", "_context", "_ended", "_is_whole", "_parts")

    def __init__(
        self,
        body: Iterable[bytes],
        context: RequestContext,
        ended: Callable[[RequestContext], None],
    ) -> None:
        self._body = body
        self._parts = iter(body)
        self._context = context
        self._ended = ended
        self._is_whole = False

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        try:
            part = next(self._parts)
        except StopIteration:
            self._is_whole = True
            raise
        except BaseException:
            self._context.cut_by = "service"
            raise
        self._context.sent += len(part)
        return part

    def close(self) -> None:
        """End the answer. The server calls this even if sending fails."""
        context = self._context
        if not self._is_whole and context.cut_by is None:
            # An OSError means that sending failed; otherwise the worker is about to stop.
            context.cut_by = "client" if isinstance(sys.exc_info()[1], OSError) else "service"
        try:
            if (close := getattr(self._body, "close", None)) is not None:
                close()
        finally:
            self._ended(context)


_timestamps = Timestamps()


def _fields(context: RequestContext, seconds: float) -> dict[str, object]:
    """Return what the log line shows besides the message; none of it needs to be escaped."""
    fields: dict[str, object] = {
        "duration_ms": round(seconds * 1000, 3),
        "bytes": context.sent,
        "client": context.client,
    }
    if context.caller is not None:
        fields["caller"] = context.caller.name
    if context.zergling_id is not None:
        fields["zergling_id"] = context.zergling_id
    if context.cut_by is not None:
        fields["cut_by"] = context.cut_by
    return fields


def _text_line(context: RequestContext, seconds: float) -> str:
    now = _timestamps.text_of(time.time())
    fields = _fields(context, seconds) | context.ids
    return f"{now} INFO {LOGGER}: {context.method} {context.route} {context.status} " + " ".join(
        [f"{name}={value}" for name, value in fields.items()]
    )


def _json_line(context: RequestContext, seconds: float) -> str:
    line = {
        "timestamp": _timestamps.text_of(time.time()),
        "level": "INFO",
        "logger": LOGGER,
        "message": f"{context.method} {context.route} {context.status}",
        **context.ids,
        "method": context.method,
        "route": context.route,
        "status": int(context.status),
        **_fields(context, seconds),
    }
    return orjson.dumps(line).decode()


_line = _json_line if settings.OVERMIND_LOG_FORMAT == "json" else _text_line
