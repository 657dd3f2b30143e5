"""What a peer is told whose bytes are no request that could be served: a status and a sentence.

Nothing that it sent is repeated. Knows nothing of connections.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import NamedTuple

import orjson
from gunicorn.http import errors
from gunicorn.util import http_date

from zerglings.api.caching import NO_STORE


class HeadTooSlow(Exception):
    """A request's head that was not whole in time."""


class CrowdedOut(Exception):
    """A request that was not whole when its connection had to make room for another."""


class TooMuchFraming(Exception):
    """A body in chunks that are far longer than what is in them."""


class NoHost(errors.ParseException):
    """A request of HTTP/1.1 that does not say which host it is for (RFC 9112, section 3.2)."""


class Refusal(NamedTuple):
    """An answer that ends its connection."""

    status: HTTPStatus
    sentence: str
    headers: str = ""

    def encoded(self, *, has_body: bool) -> bytes:
        """Return the whole answer; ``has_body`` is false after HEAD."""
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


FAILED = Refusal(HTTPStatus.INTERNAL_SERVER_ERROR, "Something went wrong here; try again.")

_BAD = HTTPStatus.BAD_REQUEST

REFUSALS: dict[type[Exception], Refusal] = {
    HeadTooSlow: Refusal(HTTPStatus.REQUEST_TIMEOUT, "The head of the request came too slowly."),
    CrowdedOut: Refusal(
        HTTPStatus.SERVICE_UNAVAILABLE,
        "Too many are connected at once; nothing was changed, so try again.",
        "Retry-After: 1\r\n",
    ),
    errors.LimitRequestLine: Refusal(HTTPStatus.REQUEST_URI_TOO_LONG, "The URL is too long."),
    errors.LimitRequestHeaders: Refusal(
        HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE,
        "There are too many header fields, or they are too long.",
    ),
    errors.ExpectationFailed: Refusal(
        HTTPStatus.EXPECTATION_FAILED, "The only expectation known here is 100-continue."
    ),
    errors.UnsupportedTransferCoding: Refusal(
        _BAD, "The only transfer coding known here is chunked."
    ),
    errors.InvalidRequestMethod: Refusal(_BAD, "The method is none: send a word in capitals."),
    errors.InvalidHTTPVersion: Refusal(_BAD, "Speak HTTP/1.1."),
    errors.InvalidHeader: Refusal(_BAD, "A header field is malformed."),
    errors.InvalidHeaderName: Refusal(_BAD, "The name of a header field is malformed."),
    NoHost: Refusal(_BAD, "HTTP/1.1 asks for a Host field."),
    errors.ObsoleteFolding: Refusal(_BAD, "A header field must be one line."),
    errors.ParseException: Refusal(_BAD, "This is no HTTP request."),
}
"""By the error; the last line is for all of its kind that have none of their own."""

_OF_THE_SERVICE = (
    errors.InvalidResponseHeader,  # type: ignore[attr-defined]  # newer than the stubs
    errors.InvalidResponseHeaderName,  # type: ignore[attr-defined]  # newer than the stubs
)
"""What is wrong with an answer, though it descends from what is wrong with a request."""


def refusal_of(error: Exception) -> Refusal | None:
    """Return what to tell a peer about an error of its own; None where it is not the peer's."""
    if isinstance(error, _OF_THE_SERVICE):
        return None
    kinds = type(error).__mro__
    return next((REFUSALS[kind] for kind in kinds if kind in REFUSALS), None)
