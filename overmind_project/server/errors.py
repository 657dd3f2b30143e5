"""Errors that the server answers instead of the application, and their responses as bytes.

No response repeats what the client sent.
"""

from __future__ import annotations

from collections.abc import Sequence
from email.utils import formatdate
from http import HTTPStatus

import orjson

from zerglings.api.caching import NO_STORE


class Disconnected(OSError):
    """The client has disconnected, or its connection was dropped."""


class RequestError(Exception):
    """A request is rejected, and its connection closed.

    Args:
        status: the HTTP status of the response.
        sentence: the text of `{"error": …}`.
        headers: further headers of the response.
        is_malformed: whether the client sent something that is not HTTP/1.1.
    """

    def __init__(
        self,
        status: HTTPStatus,
        sentence: str,
        *headers: tuple[str, str],
        is_malformed: bool = False,
    ) -> None:
        super().__init__(sentence)
        self.status = status
        self.sentence = sentence
        self.headers: Sequence[tuple[str, str]] = headers
        self.is_malformed = is_malformed

    @property
    def status_line(self) -> str:
        """The status with its phrase, such as `400 Bad Request`."""
        return f"{self.status.value} {self.status.phrase}"

    def encoded(self, *, has_body: bool = True) -> bytes:
        """Return the response as bytes; `has_body` is false after HEAD."""
        body = orjson.dumps({"error": self.sentence})
        headers = "".join(f"{name}: {value}\r\n" for name, value in self.headers)
        head = (
            f"HTTP/1.1 {self.status_line}\r\n"
            f"Date: {formatdate(usegmt=True)}\r\n"
            "Connection: close\r\n"
            "Content-Type: application/json\r\n"
            f"Cache-Control: {NO_STORE}\r\n"
            f"{headers}"
            f"Content-Length: {len(body)}\r\n\r\n"
        )
        return head.encode("ascii") + (body if has_body else b"")


def malformed(sentence: str, status: HTTPStatus = HTTPStatus.BAD_REQUEST) -> RequestError:
    """Return the error for a request that is not valid HTTP/1.1 or too long."""
    return RequestError(status, sentence, is_malformed=True)


def head_too_slow() -> RequestError:
    """Return the error for a head that is not complete in time."""
    return RequestError(HTTPStatus.REQUEST_TIMEOUT, "The head of the request came too slowly.")


def body_too_slow() -> RequestError:
    """Return the error for a body that is not complete in time."""
    return RequestError(HTTPStatus.REQUEST_TIMEOUT, "The body came too slowly.")


def crowded_out() -> RequestError:
    """Return the error for a connection that was dropped before its request was complete."""
    return RequestError(
        HTTPStatus.SERVICE_UNAVAILABLE,
        "Too many connections at once; nothing was changed, so try again.",
        ("Retry-After", "1"),
    )


def failed() -> RequestError:
    """Return the error for a failure of the application."""
    return RequestError(HTTPStatus.INTERNAL_SERVER_ERROR, "Something went wrong here; try again.")
