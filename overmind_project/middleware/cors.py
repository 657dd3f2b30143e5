"""Lets the pages of other sites, those that are configured, read what is answered here (CORS).

https://fetch.spec.whatwg.org/#http-cors-protocol. It stands before Django, because some refusals do
and a page is to understand them as well. Cookies of another site's visitor are never taken for
theirs: ``Access-Control-Allow-Credentials`` is never sent. A preflight asks only what is allowed,
without a token; it is answered here, and nothing else sees it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from overmind_project.http.origins import ANY
from overmind_project.http.request_context import KEY, RequestContext
from overmind_project.server.connection import Connection
from zerglings.api.caching import NO_STORE

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

ROUTE = "preflight"
"""What stands for the route of a preflight."""

METHODS = "GET, HEAD, POST, DELETE"
REQUEST_HEADERS = (
    "Authorization, Content-Type, Idempotency-Key, If-Match, If-None-Match, Last-Event-ID, "
    "X-Request-ID, traceparent"
)
ANSWER_HEADERS = "ETag, Link, Location, Retry-After, X-Request-ID, WWW-Authenticate"
MAX_AGE = "7200"
"""Seconds for which a browser need not ask again; the longest that all put up with."""


class CrossOriginHeaders:
    """WSGI middleware: what the application behind it answers may be read by these origins."""

    def __init__(self, application: WSGIApplication, allowed: Collection[str]) -> None:
        self._application = application
        self._is_for_any = ANY in allowed
        self._allowed = frozenset(allowed)

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer a preflight, or pass a request on and say who may read its answer."""
        told = self._told(environ.get("HTTP_ORIGIN"))
        is_preflight = (
            environ["REQUEST_METHOD"] == "OPTIONS"
            and "HTTP_ORIGIN" in environ
            and "HTTP_ACCESS_CONTROL_REQUEST_METHOD" in environ
        )
        if is_preflight and told:
            context: RequestContext = environ[KEY]
            context.route = ROUTE
            if "HTTP_TRANSFER_ENCODING" in environ or environ.get("CONTENT_LENGTH", "0") != "0":
                _refuse_body(environ)
            start_response("204 No Content", self._varied([*told, *_ALLOWED]))
            return []

        def begin(status: str, headers: list[tuple[str, str]], *exc_info: object) -> object:
            answered = self._varied([*headers, *told, *(_EXPOSED if told else ())])
            return start_response(status, answered, *exc_info)  # type: ignore[arg-type]  # as it came

        return self._application(environ, begin)  # type: ignore[arg-type]  # as said above

    def _told(self, origin: str | None) -> tuple[tuple[str, str], ...]:
        """Return the header that says who may read the answer, if it is whoever asks."""
        if self._is_for_any:
            return (("Access-Control-Allow-Origin", ANY),)
        if origin in self._allowed:
            return (("Access-Control-Allow-Origin", origin or ""),)
        return ()

    def _varied(self, headers: list[tuple[str, str]]) -> list[tuple[str, str]]:
        """Tell caches that the answer is another one for another origin, where it is."""
        if self._is_for_any:
            return headers
        for place, (name, value) in enumerate(headers):
            if name.lower() == "vary":
                headers[place] = name, f"{value}, Origin"
                return headers
        return [*headers, ("Vary", "Origin")]


def _refuse_body(environ: WSGIEnvironment) -> None:
    """Have nothing be read any more of who sends what no browser does."""
    if isinstance(connection := environ.get("gunicorn.socket"), Connection):
        connection.refuse()  # a body that nobody reads would pass for the next request


_ALLOWED = (
    ("Cache-Control", NO_STORE),  # by others than browsers, which go by the age
    ("Access-Control-Allow-Methods", METHODS),
    ("Access-Control-Allow-Headers", REQUEST_HEADERS),
    ("Access-Control-Max-Age", MAX_AGE),
)
_EXPOSED = (("Access-Control-Expose-Headers", ANSWER_HEADERS),)
