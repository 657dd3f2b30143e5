"""Responses to malformed or slow requests, as bytes: the application is not called for them.

No response repeats what the client sent.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import NamedTuple

import orjson
from gunicorn.http import errors
from gunicorn.util import http_date

from zerglings.api.caching import NO_STORE


class HeadTooSlow(Exception):
    """The head of a request is not complete in time."""


class CrowdedOut(Exception):
    """A connection was dropped, before its request was complete, to make room for another one."""


class TooMuchFraming(Exception):
    """A chunked body whose framing is far longer than its data."""


class NoHost(errors.ParseException):
    """An HTTP/1.1 request without a Host header (RFC 9112, section 3.2)."""


class RawErrorResponse(NamedTuple):
    """An error response that closes its connection.

    Args:
        status: the HTTP status.
        sentence: the text of `{"error": …}`.
        headers: further header lines, each with its line end.
    """

    status: HTTPStatus
    sentence: str
    headers: str = ""

    def encoded(self, *, has_body: bool) -> bytes:
        """Return the response as bytes; `has_body` is false after HEAD."""
        body = orjson.dumps({"error": self.sentence})
        head = (
            f"HTTP/1.1 {self.status.value} {self.status.phrase}\r\n"
            f"Date: {http_date()}\r\n"
            "Connection: close\r\n"
            "Content-Type: application/json\r\n"
            f"Cache-Control: {NO_STORE}\r\n"
            f"{self.headers}"
            f"Content-Length: {len(body)}\r\n\r\n"
        )
        return head.encode("ascii") + (body if has_body else b"")


FAILED = RawErrorResponse(HTTPStatus.INTERNAL_SERVER_ERROR, "Something went wrong here; try again.")

_BAD = HTTPStatus.BAD_REQUEST

ERROR_RESPONSES: dict[type[Exception], RawErrorResponse] = {
    HeadTooSlow: RawErrorResponse(
        HTTPStatus.REQUEST_TIMEOUT, "The head of the request came too slowly."
    ),
    CrowdedOut: RawErrorResponse(
        HTTPStatus.SERVICE_UNAVAILABLE,
        "Too many connections at once; nothing was changed, so try again.",
        "Retry-After: 1\r\n",
    ),
    errors.LimitRequestLine: RawErrorResponse(
        HTTPStatus.REQUEST_URI_TOO_LONG, "The URL is too long."
    ),
    errors.LimitRequestHeaders: RawErrorResponse(
        HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE,
        "There are too many header fields, or they are too long.",
    ),
    errors.ExpectationFailed: RawErrorResponse(
        HTTPStatus.EXPECTATION_FAILED, "The only supported expectation is 100-continue."
    ),
    errors.UnsupportedTransferCoding: RawErrorResponse(
        _BAD, "The only supported transfer coding is chunked."
    ),
    errors.InvalidRequestMethod: RawErrorResponse(
        _BAD, "Invalid HTTP method: send a word in capitals."
    ),
    errors.InvalidHTTPVersion: RawErrorResponse(_BAD, "Unsupported HTTP version: send HTTP/1.1."),
    errors.InvalidHeader: RawErrorResponse(_BAD, "A header field is malformed."),
    errors.InvalidHeaderName: RawErrorResponse(_BAD, "The name of a header field is malformed."),
    NoHost: RawErrorResponse(_BAD, "HTTP/1.1 requires a Host field."),
    errors.ObsoleteFolding: RawErrorResponse(_BAD, "A header field must be one line."),
    errors.ParseException: RawErrorResponse(_BAD, "This is not an HTTP request."),
}
"""Responses by exception class; `ParseException` covers its other subclasses."""

_OF_THE_SERVICE = (
    errors.InvalidResponseHeader,  # type: ignore[attr-defined]  # newer than the stubs
    errors.InvalidResponseHeaderName,  # type: ignore[attr-defined]  # newer than the stubs
)
"""Errors in our own response; gunicorn derives them from request errors."""


def error_response_for(error: Exception) -> RawErrorResponse | None:
    """Return the response to an error of the client; None for an error of the service."""
    if isinstance(error, _OF_THE_SERVICE):
        return None
    kinds = type(error).__mro__
    return next((ERROR_RESPONSES[kind] for kind in kinds if kind in ERROR_RESPONSES), None)
