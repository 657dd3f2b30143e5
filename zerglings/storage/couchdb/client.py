"""HTTP requests to CouchDB, sent through pycouchdb.

pycouchdb builds the URLs; the module ``session`` provides the connections. All requests use one
``Resource`` for the whole server: the sub-resources of pycouchdb's ``Database`` disable certificate
verification for their shared session.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any
from urllib.parse import quote

import orjson
from gevent import monkey
from gevent.timeout import Timeout
from pycouchdb.resource import Resource
from urllib3.exceptions import HTTPError

from zerglings.storage.base import AccountRefused
from zerglings.storage.couchdb.account import Account
from zerglings.storage.couchdb.responses import (
    TIMED_OUT,
    ErrorResponse,
    NoResponse,
    Reply,
    decode,
    describe_failure,
    failed_before_sending,
    raise_for_error,
)
from zerglings.storage.couchdb.session import REQUEST_ID, LeanSession, request_id

CONNECT_TIMEOUT = 0.5
"""Seconds to wait for a connection. A healthy server nearby accepts it within milliseconds."""


class CouchDBClient:
    """Sends requests to one server with one account. May be used from many threads at once.

    Args:
        url: base URL of the server, without credentials.
        account: signs the requests.
        connections: size of the connection pool: one for each thread that may call concurrently.
        ca_file: PEM file of the certificate authorities to trust, None for the public ones.
        connect_timeout: seconds to wait for a connection.
    """

    def __init__(
        self,
        url: str,
        account: Account,
        *,
        connections: int = 1,
        ca_file: Path | None = None,
        connect_timeout: float = CONNECT_TIMEOUT,
    ) -> None:
        self.account = account
        self._connect_timeout = connect_timeout
        self._session = LeanSession(account, connections, raise_for_error, ca_file)
        self._resource = Resource(url, session=self._session, verify=True)

    def request(
        self,
        method: str,
        path: list[str],
        *,
        timeout: float,
        body: Any = None,  # noqa: ANN401 - any JSON
        params: dict[str, str] | None = None,
    ) -> Any:  # noqa: ANN401 - any JSON
        """Send a request as ``send`` does, and return the decoded body only."""
        return self.send(method, path, timeout=timeout, body=body, params=params).content

    def send(
        self,
        method: str,
        path: list[str],
        *,
        timeout: float,
        body: Any = None,  # noqa: ANN401 - any JSON
        params: dict[str, str] | None = None,
    ) -> Reply:
        """Send a request and return the successful response.

        Args:
            method: the HTTP method.
            path: the unquoted segments of the path.
            timeout: seconds to wait for the response. Within gevent, the whole exchange is limited
                to ``timeout`` plus ``connect_timeout``, even if the body arrives in small parts.
            body: JSON to send, None for no body.
            params: the query parameters.

        Raises:
            ErrorResponse: the status is not a success.
            NoResponse: there is no complete response, or none that can be decoded.
            AccountRefused: CouchDB rejects the account, or did so too recently to retry.
            StoreUnavailable: the account is locked, or not confirmed within ``timeout``.
        """
        for _ in range(2):
            with self.account.serialize_until_accepted(timeout):
                try:
                    answer = self._send_once(method, path, timeout, body, params)
                except ErrorResponse as error:
                    if error.is_account_locked:
                        self.account.record_lock()
                    if not error.is_account_refused or self.account.is_anonymous:
                        if not error.is_transient:
                            self.account.record_success()
                        raise
                    if not self.account.record_refusal(error.authorization):
                        raise AccountRefused(self.account.refusal_message) from error
                else:
                    return answer
        raise AccountRefused(self.account.refusal_message)

    def close(self) -> None:
        """Close all connections."""
        self._session.close()

    def _send_once(
        self,
        method: str,
        path: list[str],
        timeout: float,
        body: object,
        params: dict[str, str] | None,
    ) -> Reply:
        name = request_id()
        try:
            with _deadline(timeout + self._connect_timeout):
                response, _ = self._resource.request(
                    method,
                    "/".join(map(_quoted, path)),
                    params=params,
                    data=None if body is None else orjson.dumps(body),
                    headers={REQUEST_ID: name},
                    timeout=(min(self._connect_timeout, timeout), timeout),
                    stream=True,  # the body is read below, whatever its Content-Type
                )
                content = response.content
            self.account.record_success()
            return Reply(response.status_code, decode(content))
        except (ErrorResponse, NoResponse) as answer:
            answer.request_id = name
            raise
        # The exceptions of the library ``requests`` are OSErrors.
        except (OSError, HTTPError, orjson.JSONDecodeError) as error:
            reason = describe_failure(error)
            if reason == TIMED_OUT:
                self._session.drop_idle_connections()
            no_response = NoResponse(reason, was_sent=not failed_before_sending(error))
            no_response.request_id = name if no_response.was_sent else ""
            raise no_response from error


def _deadline(seconds: float) -> AbstractContextManager[object]:
    """Return a context that raises ``TimeoutError`` after ``seconds``.

    Without gevent there is no limit.
    """
    if not monkey.is_module_patched("socket"):
        return nullcontext()
    return Timeout(seconds, TimeoutError("the exchange took too long"))


def _quoted(segment: str) -> str:
    if segment in (".", ".."):  # URL libraries resolve these as relative segments, quoted or not
        raise ValueError(f"{segment!r} cannot be part of a CouchDB path")
    return quote(segment, safe="")
