"""Decodes CouchDB's responses, and classifies errors and missing responses.

pycouchdb's own errors do not distinguish a rejected account from a server that is starting, so
error statuses are raised here as ``ErrorResponse`` before pycouchdb sees them.
"""

from __future__ import annotations

import json
import socket
import ssl
from dataclasses import dataclass
from typing import Any

import orjson
import requests
from urllib3.exceptions import (
    ConnectTimeoutError,
    LocationValueError,
    MaxRetryError,
    NewConnectionError,
)

TIMED_OUT = "no answer in time"

_LAST_GOOD_STATUS = 205  # the last status that pycouchdb treats as success, too
_REASONS = {
    ConnectionRefusedError: "connection refused",
    ConnectionResetError: "connection reset",
    socket.gaierror: "its name does not resolve",
    ssl.SSLCertVerificationError: "its certificate is not valid",
    TimeoutError: TIMED_OUT,
    orjson.JSONDecodeError: "the answer is not JSON",
}


class ErrorResponse(Exception):
    """CouchDB, or a proxy in front of it, answered with an error status.

    ``authorization`` is the request's header of that name; messages never contain it.
    ``request_id`` identifies the request in CouchDB's log. ``rows`` is the body if it is a list:
    CouchDB answers with one if it could not write some documents of a bulk.
    """

    request_id = ""

    def __init__(
        self,
        status: int,
        error: str,
        reason: str,
        authorization: str | None = None,
        rows: list[Any] | None = None,
    ) -> None:
        super().__init__(f"{status} {error}: {reason}" if error else f"{status} {reason}".rstrip())
        self.status = status
        self.error = error
        self.reason = reason
        self.authorization = authorization
        self.rows = rows

    @property
    def is_from_proxy(self) -> bool:
        """Whether the response came from a proxy and not from CouchDB."""
        return not self.error and self.rows is None

    @property
    def is_account_locked(self) -> bool:
        """Whether CouchDB has locked the account for some minutes."""
        return self.status == requests.codes.forbidden and "locked" in self.reason

    @property
    def is_account_refused(self) -> bool:
        """Whether CouchDB rejected the account.

        CouchDB also answers 401 to a request that needs an admin. That does not count.
        """
        return self.status == requests.codes.unauthorized and "admin" not in self.reason

    @property
    def is_transient(self) -> bool:
        """Whether a retry may succeed shortly.

        That is the case for the statuses 408, 429 and 5xx, for a locked account, and for every
        response from a proxy. A server that starts or is overloaded answers with such a status.
        """
        return (
            self.is_from_proxy
            or self.is_account_locked
            or self.status in (408, 429)
            or self.status >= 500
        )


class NoResponse(Exception):
    """There was no complete response. The message contains no address.

    ``was_sent`` says whether CouchDB may have carried out the request. In that case ``request_id``
    identifies the request in CouchDB's log.
    """

    request_id = ""

    def __init__(self, reason: str, *, was_sent: bool) -> None:
        super().__init__(reason)
        self.was_sent = was_sent


class UnreadableResponse(NoResponse):
    """The response is JSON that this service cannot read: nested too deeply, or invalid Unicode."""


@dataclass(frozen=True, slots=True)
class Reply:
    """A successful response: its status and its decoded JSON body."""

    status: int
    content: Any


def decode(content: bytes) -> Any:  # noqa: ANN401 - any JSON
    """Return the JSON value of a response body.

    Raises:
        UnreadableResponse: the body is JSON that this service cannot read.
        orjson.JSONDecodeError: the body is not JSON, or not complete.
    """
    try:
        return orjson.loads(content)
    except orjson.JSONDecodeError as error:
        if _is_json(content):
            raise UnreadableResponse(
                f"it holds JSON that cannot be read: {error.msg}", was_sent=True
            ) from error
        raise


def _is_json(content: bytes) -> bool:
    """Try a more lenient parser, to distinguish unusual JSON from an incomplete response."""
    try:
        json.loads(content)
    except RecursionError:
        return True
    except ValueError:
        return False
    return True


def raise_for_error(response: requests.Response) -> None:
    """Raise ``ErrorResponse`` for an error status, because pycouchdb would lose the status."""
    if response.status_code <= _LAST_GOOD_STATUS:
        return
    try:
        content = orjson.loads(response.content)
    except orjson.JSONDecodeError:
        content = None
    rows = content if isinstance(content, list) else None
    no_details = {"reason": "(not from CouchDB)" if rows is None else "(of some documents)"}
    details = content if isinstance(content, dict) else no_details
    if status := details.get("status"):  # /_up on a node that is not ready
        details = {"reason": f"(node {'not synced' if status == 'seeding' else status})"}
    raise ErrorResponse(
        response.status_code,
        str(details.get("error", "")),
        str(details.get("reason", "")),
        response.request.headers.get("Authorization"),
        rows,
    )


def failed_before_sending(error: Exception) -> bool:
    """Whether the request failed before a connection existed, so that nothing was sent."""
    if isinstance(error, requests.ConnectTimeout | LocationValueError) or _is_ca_file_missing(
        error
    ):
        return True
    reason = error.args[0] if error.args else None
    if isinstance(reason, MaxRetryError):
        reason = reason.reason
    return isinstance(reason, NewConnectionError | ConnectTimeoutError) or any(
        isinstance(each, ssl.SSLCertVerificationError) for each in _causes_of(error)
    )


def _is_ca_file_missing(error: Exception) -> bool:
    """Whether the CA file is missing: ``requests`` raises a plain OSError only for that."""
    return type(error) is OSError


def describe_failure(error: Exception) -> str:
    """Return a short reason for the missing response, without addresses."""
    if isinstance(error, requests.Timeout):
        return TIMED_OUT
    if _is_ca_file_missing(error):
        return "the file of COUCHDB_CA_FILE is gone"
    chain = _causes_of(error)
    for kind, words in _REASONS.items():
        if any(isinstance(each, kind) for each in chain):
            return words
    return f"the connection broke ({type(chain[-1]).__name__})"


def _causes_of(error: BaseException) -> list[BaseException]:
    """Return an exception and its chain of causes, the root cause last."""
    chain = [error]
    while (cause := chain[-1].__cause__ or chain[-1].__context__) is not None:
        chain.append(cause)
    return chain
