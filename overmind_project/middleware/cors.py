"""CORS: allows the pages of the configured origins to read the answers.

See https://fetch.spec.whatwg.org/#http-cors-protocol. It wraps Django and most middleware, so
that pages can also read errors that are answered in front of Django. Pages cannot use a
visitor's cookies: `Access-Control-Allow-Credentials` is not sent. Preflight requests need no
token and are answered here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from overmind_project.http.origins import ANY
from overmind_project.http.request_context import context_of
from zerglings.api.caching import NO_STORE

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

ROUTE = "preflight"
"""The route label of preflight requests."""

ALLOWED_METHODS = "GET, HEAD, POST, DELETE"
REQUEST_HEADERS = (
    "Authorization, Content-Type, Idempotency-Key, If-Match, If-None-Match, Last-Event-ID, "
    "X-Request-ID, traceparent"
)
EXPOSED_HEADERS = "ETag, Link, Location, Retry-After, X-Request-ID, WWW-Authenticate"
MAX_AGE = "7200"
"""Seconds for which a browser may cache the preflight response: the maximum in Chromium."""


class CrossOriginHeaders:
    """WSGI middleware that adds the CORS headers and answers preflight requests."""

    def __init__(self, application: WSGIApplication, allowed: Collection[str]) -> None:
        self._application = application
        self._is_for_any = ANY in allowed
        self._allowed = frozenset(allowed)

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer a preflight request, or add the CORS headers to the answer."""
        allow_origin = self._allow_origin(environ.get("HTTP_ORIGIN"))
        is_preflight = (
            environ["REQUEST_METHOD"] == "OPTIONS"
            and "HTTP_ORIGIN" in environ
            and "HTTP_ACCESS_CONTROL_REQUEST_METHOD" in environ
        )
        if is_preflight and allow_origin:
            context_of(environ).route = ROUTE
            start_response("204 No Content", self._with_vary([*allow_origin, *_PREFLIGHT_HEADERS]))
            return []

        def begin(status: str, headers: list[tuple[str, str]], *exc_info: object) -> object:
            answered = self._with_vary(
                [*headers, *allow_origin, *(_EXPOSE if allow_origin else ())]
            )
            return start_response(status, answered, *exc_info)  # type: ignore[arg-type]  # passed on unchanged

        return self._application(environ, begin)  # type: ignore[arg-type]  # same as above

    def _allow_origin(self, origin: str | None) -> tuple[tuple[str, str], ...]:
        """Return the header that allows the request's origin; nothing if it is not allowed."""
        if self._is_for_any:
            return (("Access-Control-Allow-Origin", ANY),)
        if origin in self._allowed:
            return (("Access-Control-Allow-Origin", origin or ""),)
        return ()

    def _with_vary(self, headers: list[tuple[str, str]]) -> list[tuple[str, str]]:
        """Add `Vary: Origin` if the answer depends on the origin."""
        if self._is_for_any:
            return headers
        for index, (name, value) in enumerate(headers):
            if name.lower() == "vary":
                headers[index] = name, f"{value}, Origin"
                return headers
        return [*headers, ("Vary", "Origin")]


_PREFLIGHT_HEADERS = (
    ("Cache-Control", NO_STORE),  # for caches; browsers use Access-Control-Max-Age
    ("Access-Control-Allow-Methods", ALLOWED_METHODS),
    ("Access-Control-Allow-Headers", REQUEST_HEADERS),
    ("Access-Control-Max-Age", MAX_AGE),
)
_EXPOSE = (("Access-Control-Expose-Headers", EXPOSED_HEADERS),)
