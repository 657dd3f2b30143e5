"""One exchange with CouchDB over HTTP, through pycouchdb.

pycouchdb gives the connection and the paths. What an answer means is judged here, before pycouchdb
sees it, because its own errors cannot tell a refused account from a server that is starting. One
``Resource`` for the whole server is used throughout: the sub-resources that its ``Database`` makes
switch the verification of certificates off again for the session that they share.
"""

from __future__ import annotations

import json
import socket
import ssl
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import orjson
import requests
from gevent import monkey
from gevent.timeout import Timeout
from pycouchdb.resource import Resource
from urllib3.exceptions import (
    ConnectTimeoutError,
    HTTPError,
    LocationValueError,
    MaxRetryError,
    NewConnectionError,
)

from zerglings.storage.base import AccountRefused
from zerglings.storage.couchdb.account import Account
from zerglings.storage.couchdb.session import REQUEST_ID, LeanSession, request_id

CONNECT_TIMEOUT = 0.5
"""Seconds to wait for a connection; a healthy server nearby takes a few milliseconds."""

_LAST_GOOD_STATUS = 205  # the last that pycouchdb, too, takes for a success
_CAUSES = {
    ConnectionRefusedError: "connection refused",
    ConnectionResetError: "connection reset",
    socket.gaierror: "its name does not resolve",
    ssl.SSLCertVerificationError: "its certificate is not valid",
    TimeoutError: "no answer in time",
    orjson.JSONDecodeError: "the answer is not JSON",
}


class Answered(Exception):
    """CouchDB, or something in front of it, answered with other than a success.

    ``signature`` is what the request was signed with, which no message shows; ``request_id`` what
    CouchDB's log calls it. ``rows`` is the answer where it is a list, as it is when CouchDB failed
    to write some documents of a bulk.
    """

    request_id = ""

    def __init__(
        self,
        status: int,
        error: str,
        reason: str,
        signature: str | None = None,
        rows: list[Any] | None = None,
    ) -> None:
        super().__init__(f"{status} {error}: {reason}" if error else f"{status} {reason}".rstrip())
        self.status = status
        self.error = error
        self.reason = reason
        self.signature = signature
        self.rows = rows

    @property
    def is_foreign(self) -> bool:
        """Whether it was not CouchDB that answered but something in front of it."""
        return not self.error and self.rows is None

    @property
    def is_lock(self) -> bool:
        """Whether CouchDB does not listen to the account for some minutes."""
        return self.status == requests.codes.forbidden and "locked" in self.reason

    @property
    def is_refused_account(self) -> bool:
        """Whether CouchDB does not take the account; it says 401 of what only admins may, too."""
        return self.status == requests.codes.unauthorized and "admin" not in self.reason

    @property
    def may_pass(self) -> bool:
        """Whether the same request may be answered otherwise in a moment.

        So it is while a server starts, is raced or is locked, and when it was not CouchDB that
        answered but something in front of it.
        """
        return self.is_foreign or self.is_lock or self.status in (408, 429) or self.status >= 500


class NoAnswer(Exception):
    """There was no answer, or none that can be read; the text names no address.

    ``was_sent`` tells whether the request may have been carried out all the same; ``request_id`` is
    what CouchDB's log calls it then.
    """

    request_id = ""

    def __init__(self, reason: str, *, was_sent: bool) -> None:
        super().__init__(reason)
        self.was_sent = was_sent


class Unreadable(NoAnswer):
    """The answer is JSON, but more than this service reads: nested too deeply, or not Unicode."""


@dataclass(frozen=True, slots=True)
class Reply:
    """A successful answer: its status and its decoded body."""

    status: int
    content: Any


class CouchDBClient:
    """Requests to one server under one account. Safe to use from many threads at once.

    Args:
        url: base URL of the server, without an account.
        account: who signs in.
        connections: how many to keep open, one for each thread that may call at once.
        authorities: a file of the certificates of those who may vouch for the server, the public
            ones if it is None.
    """

    def __init__(
        self,
        url: str,
        account: Account,
        *,
        connections: int = 1,
        authorities: Path | None = None,
    ) -> None:
        self.account = account
        self._session = LeanSession(account, connections, _raise_unless_good, authorities)
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
        """Do as ``send`` where the status of a success tells nothing: return the decoded body."""
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
        """Send a request and return the successful answer.

        Args:
            method: the HTTP method.
            path: the segments of the path, not yet quoted.
            timeout: seconds to wait for the answer; from greenlets, the whole exchange takes no
                more than ``CONNECT_TIMEOUT`` beyond that, in however small parts it comes.
            body: JSON to send, None for no body.
            params: the query.

        Raises:
            Answered: the answer is not a success.
            NoAnswer: there is none, or it is not whole, or ``Unreadable``.
            AccountRefused: the account is not accepted, or was refused too lately to try again.
        """
        for _ in range(2):
            with self.account.trial(timeout):
                try:
                    answer = self._exchange(method, path, timeout, body, params)
                except Answered as other:
                    if other.is_lock:
                        self.account.locked()
                    if not other.is_refused_account or self.account.is_anonymous:
                        if not other.may_pass:
                            self.account.accepted()
                        raise
                    if not self.account.refused(other.signature):
                        raise AccountRefused(self.account.refusal) from other
                else:
                    return answer
        raise AccountRefused(self.account.refusal)

    def close(self) -> None:
        """Close all connections."""
        self._session.close()

    def _exchange(
        self,
        method: str,
        path: list[str],
        timeout: float,
        body: object,
        params: dict[str, str] | None,
    ) -> Reply:
        name = request_id()
        try:
            with _all_within(timeout + CONNECT_TIMEOUT):
                response, _ = self._resource.request(
                    method,
                    "/".join(map(_quoted, path)),
                    params=params,
                    data=None if body is None else orjson.dumps(body),
                    headers={REQUEST_ID: name},
                    timeout=(min(CONNECT_TIMEOUT, timeout), timeout),
                    stream=True,  # leaves the body, and what type it claims to be, to us
                )
                content = response.content
            self.account.accepted()
            return Reply(response.status_code, _decoded(content))
        except (Answered, NoAnswer) as answer:
            answer.request_id = name
            raise
        except (OSError, HTTPError, orjson.JSONDecodeError) as error:  # requests' are OSErrors
            reason = _cause(error)
            if reason == _CAUSES[TimeoutError]:
                self._session.drop_idle_connections()
            silence = NoAnswer(reason, was_sent=not _is_unconnected(error))
            silence.request_id = name if silence.was_sent else ""
            raise silence from error


def _all_within(seconds: float) -> AbstractContextManager[object]:
    """Have a block of a greenlet interrupted by a ``TimeoutError`` when it takes longer."""
    if not monkey.is_module_patched("socket"):
        return nullcontext()
    return Timeout(seconds, TimeoutError("the exchange took too long"))


def _decoded(content: bytes) -> Any:  # noqa: ANN401 - any JSON
    try:
        return orjson.loads(content)
    except orjson.JSONDecodeError as error:
        if _is_json(content):
            raise Unreadable(f"it holds what cannot be read: {error.msg}", was_sent=True) from error
        raise


def _is_json(content: bytes) -> bool:
    """Ask a parser that takes more, to tell a strange document from an answer that is not whole."""
    try:
        json.loads(content)
    except RecursionError:
        return True
    except ValueError:
        return False
    return True


def _quoted(segment: str) -> str:
    if segment in (".", ".."):  # quoted or not, a URL library takes these for steps in the tree
        raise ValueError(f"{segment!r} cannot be part of a CouchDB path")
    return quote(segment, safe="")


def _raise_unless_good(response: requests.Response) -> None:
    """Keep every answer that is not a success from pycouchdb, which would lose its status."""
    if response.status_code <= _LAST_GOOD_STATUS:
        return
    try:
        content = orjson.loads(response.content)
    except orjson.JSONDecodeError:
        content = None
    rows = content if isinstance(content, list) else None
    nothing_known = {"reason": "(not from CouchDB)" if rows is None else "(of some documents)"}
    details = content if isinstance(content, dict) else nothing_known
    if status := details.get("status"):  # what /_up says of a node that wants no requests yet
        details = {"reason": f"(node {'not synced' if status == 'seeding' else status})"}
    raise Answered(
        response.status_code,
        str(details.get("error", "")),
        str(details.get("reason", "")),
        response.request.headers.get("Authorization"),
        rows,
    )


def _is_unconnected(error: Exception) -> bool:
    """Whether the exchange failed before there was a connection to write to."""
    if isinstance(error, requests.ConnectTimeout | LocationValueError) or _lacks_authorities(error):
        return True
    reason = error.args[0] if error.args else None
    if isinstance(reason, MaxRetryError):
        reason = reason.reason
    return isinstance(reason, NewConnectionError | ConnectTimeoutError) or any(
        isinstance(link, ssl.SSLCertVerificationError) for link in _chain(error)
    )


def _lacks_authorities(error: Exception) -> bool:
    """Whether requests missed the file of certificates: of its errors the one without a kind."""
    return type(error) is OSError


def _cause(error: Exception) -> str:
    """Say in a few words why there was no answer."""
    if isinstance(error, requests.Timeout):
        return _CAUSES[TimeoutError]
    if _lacks_authorities(error):
        return "the file of COUCHDB_CA_FILE is gone"
    links = _chain(error)
    for kind, words in _CAUSES.items():
        if any(isinstance(link, kind) for link in links):
            return words
    return f"the connection broke ({type(links[-1]).__name__})"


def _chain(error: BaseException) -> list[BaseException]:
    """Return an exception and all that led to it, the first cause last."""
    links = [error]
    while (deeper := links[-1].__cause__ or links[-1].__context__) is not None:
        links.append(deeper)
    return links
