"""Requests to one CouchDB database, with errors translated to those of the store contract."""

from __future__ import annotations

from typing import Any

import requests

from zerglings.storage.base import (
    AccountRefused,
    Conflict,
    NotBootstrapped,
    OutcomeUnknown,
    StoreError,
    StoreUnavailable,
    TooLarge,
    WriteFailed,
)
from zerglings.storage.couchdb.client import CouchDBClient
from zerglings.storage.couchdb.responses import ErrorResponse, NoResponse, Reply, UnreadableResponse
from zerglings.storage.couchdb.session import REQUEST_ID

MISSING_DATABASE = ("no_db_file", "Database does not exist.")
"""CouchDB's reasons for a missing database: that of 1.x, and that of later versions. The reasons
for a missing document differ."""

BOOTSTRAP = "run manage.py bootstrap_couch"

_MISSING_DOCUMENT = ("missing", "deleted")
_FIRST_MODERN = 2


class NoDocument(StoreUnavailable):
    """The document does not exist."""


class UnreadableAnswer(StoreUnavailable):
    """The response to a read contains JSON that this service cannot read."""


class Database:
    """The database ``name`` on the server of ``client``."""

    def __init__(self, client: CouchDBClient, name: str) -> None:
        self.client = client
        self.name = name
        self._is_modern: bool | None = None

    def is_modern(self, timeout: float) -> bool:
        """Whether the server is Apache CouchDB 2 or later. The answer is cached."""
        if self._is_modern is None:
            welcome = self.ask_server(timeout=timeout, required_key="version")
            major = str(welcome["version"]).partition(".")[0]
            is_new = major.isdigit() and int(major) >= _FIRST_MODERN
            self._is_modern = welcome.get("couchdb") == "Welcome" and is_new
        return self._is_modern

    def instance_start_time(self, timeout: float) -> str | None:
        """Return the database's creation time; None in 1.x, which does not store it.

        From CouchDB 3.4 on it changes when the database is recreated.
        """
        info = self.ask("GET", timeout=timeout, required_key="db_name")
        # In CouchDB 1.x it is the time at which the file was opened.
        return str(info.get("instance_start_time")) if self.is_modern(timeout) else None

    def cluster(self, timeout: float) -> dict[str, int]:
        """Return the numbers of shards (q) and of copies of each (n); empty before CouchDB 2."""
        info = self.ask("GET", timeout=timeout, required_key="db_name")
        return dict(info.get("cluster", {}))

    def ask(
        self,
        method: str,
        *path: str,
        timeout: float,
        required_key: str | None = None,
        body: object = None,
        params: dict[str, str] | None = None,
    ) -> dict[str, Any]:
        """Send a request that is safe to repeat, and return the JSON object of the response.

        Args:
            method: the HTTP method.
            path: path segments below the database.
            timeout: seconds.
            required_key: a key that the response must have, None for any object.
            body: JSON to send, None for no body.
            params: the query parameters.

        Raises:
            NoDocument: the document does not exist.
            UnreadableAnswer: the response contains JSON that cannot be read.
            StoreUnavailable: any other failure.
        """
        reply = self._send(method, (self.name, *path), timeout, body, params, is_write=False)
        return _checked_object(reply.content, required_key)

    def ask_server(self, *path: str, timeout: float, required_key: str) -> dict[str, Any]:
        """Get an object from a path of the server as ``ask`` does; without a path, from ``/``."""
        return _checked_object(
            self._send("GET", path, timeout, None, None, is_write=False).content, required_key
        )

    def ask_for_list(
        self, *path: str, timeout: float, params: dict[str, str] | None = None
    ) -> list[dict[str, Any]]:
        """Get a list of objects from a path of the database as ``ask`` does."""
        reply = self._send("GET", (self.name, *path), timeout, None, params, is_write=False)
        if not _is_list_of_objects(reply.content):
            raise StoreUnavailable("the answer is not CouchDB's")
        objects: list[dict[str, Any]] = reply.content
        return objects

    def write(self, method: str, *path: str, timeout: float, body: object) -> Reply:
        """Send a write, and report a lost response as an unknown outcome.

        When CouchDB writes only some documents of a bulk, it answers with an error status and a row
        for each. That response is returned, not raised.

        Raises:
            Conflict: the revision is not a leaf.
            WriteFailed, OutcomeUnknown: the write may have been carried out.
            TooLarge, StoreUnavailable: the write was not carried out.
        """
        return self._send(method, (self.name, *path), timeout, body, None, is_write=True)

    def _send(
        self,
        method: str,
        path: tuple[str, ...],
        timeout: float,
        body: object,
        params: dict[str, str] | None,
        *,
        is_write: bool,
    ) -> Reply:
        try:
            return self.client.send(method, list(path), timeout=timeout, body=body, params=params)
        except ErrorResponse as error:
            if is_write and error.rows is not None:
                return Reply(error.status, error.rows)
            raise _with_request_id(self._translate(error, is_write=is_write), error) from error
        except NoResponse as error:
            raise _with_request_id(
                _translate_no_response(error, is_write=is_write), error
            ) from error

    def _translate(self, error: ErrorResponse, *, is_write: bool) -> StoreError:
        """Translate an error response to an error of the store contract."""
        account = self.client.account.username
        match error.status:
            case 403 if error.is_account_locked:
                return StoreUnavailable(self.client.account.lock_message)
            case 401 | 403:
                return AccountRefused(
                    f"the account {account!r} may not use the databases; {BOOTSTRAP}"
                )
            case 404 if error.reason in MISSING_DATABASE:
                return NotBootstrapped(f"{self.name!r} does not exist; {BOOTSTRAP}")
            case 404 if error.reason in _MISSING_DOCUMENT:
                return NoDocument(f"CouchDB answered {error}")
            case 409 | 412 if is_write and error.error in ("conflict", "file_exists"):
                return Conflict(str(error))
            case _:
                translated = _translate_write_error(error) if is_write else None
                return _with_response(
                    translated or StoreUnavailable(f"CouchDB answered {error.status}"), error
                )


def _translate_write_error(error: ErrorResponse) -> StoreError | None:
    """Return the error for an answer of 413 or 5xx to a write, None for any other status."""
    if error.status == requests.codes.request_entity_too_large:
        is_named = error.error == "document_too_large"
        return TooLarge("CouchDB answered 413", error.reason if is_named else None)
    if error.status < 500:
        return None
    if error.is_from_proxy:
        return OutcomeUnknown(f"CouchDB answered {error.status}")
    return WriteFailed(f"CouchDB answered {error.status} to a write")


def _translate_no_response(error: NoResponse, *, is_write: bool) -> StoreError:
    if is_write and error.was_sent:
        return OutcomeUnknown(f"CouchDB's answer was lost: {error}")
    if isinstance(error, UnreadableResponse):
        return UnreadableAnswer(f"CouchDB's answer cannot be used: {error}")
    return StoreUnavailable(f"CouchDB cannot be reached: {error}")


def _with_request_id(error: StoreError, cause: ErrorResponse | NoResponse) -> StoreError:
    """Add the request id, so that our log can be matched with CouchDB's."""
    if cause.request_id:
        error.add_note(f"{REQUEST_ID} {cause.request_id}")
    return error


def _with_response(error: StoreError, response: ErrorResponse) -> StoreError:
    """Add the response for the log only: CouchDB's texts are not shown to clients."""
    error.add_note(str(response))
    return error


def _checked_object(content: object, required_key: str | None) -> dict[str, Any]:
    if not isinstance(content, dict) or (required_key is not None and required_key not in content):
        raise StoreUnavailable("the answer is not CouchDB's")
    return content


def _is_list_of_objects(content: object) -> bool:
    return isinstance(content, list) and all(isinstance(entry, dict) for entry in content)
