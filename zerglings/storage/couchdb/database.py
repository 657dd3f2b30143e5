"""One CouchDB database: requests to it, and its answers in the terms of the store contract."""

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
from zerglings.storage.couchdb.client import Answered, CouchDBClient, NoAnswer, Reply, Unreadable
from zerglings.storage.couchdb.session import REQUEST_ID

MISSING_DATABASE = ("no_db_file", "Database does not exist.")
"""How CouchDB 1.x and later ones say that there is no such database, rather than no document."""

BOOTSTRAP = "run manage.py bootstrap_couch"

_MISSING_DOCUMENT = ("missing", "deleted")
_FIRST_MODERN = 2


class NoDocument(StoreUnavailable):
    """There is no such document."""


class UnreadableAnswer(StoreUnavailable):
    """A read was answered with a document in it that this service cannot read."""


class Database:
    """The database ``name`` of the server that ``client`` speaks to."""

    def __init__(self, client: CouchDBClient, name: str) -> None:
        self.client = client
        self.name = name
        self._is_modern: bool | None = None

    def is_modern(self, timeout: float) -> bool:
        """Whether the server is Apache CouchDB 2 or later; it is asked once."""
        if self._is_modern is None:
            welcome = self.ask_server(timeout=timeout, wanted="version")
            major = str(welcome["version"]).partition(".")[0]
            is_new = major.isdigit() and int(major) >= _FIRST_MODERN
            self._is_modern = welcome.get("couchdb") == "Welcome" and is_new
        return self._is_modern

    def made_at(self, timeout: float) -> str | None:
        """Return what another database of this name does not have; CouchDB tells since 3.4."""
        info = self.ask("GET", timeout=timeout, wanted="db_name")
        # Before version 2 it is when the file was opened.
        return str(info.get("instance_start_time")) if self.is_modern(timeout) else None

    def ask(
        self,
        method: str,
        *path: str,
        timeout: float,
        wanted: str | None = None,
        body: object = None,
        params: dict[str, str] | None = None,
    ) -> dict[str, Any]:
        """Send what can be sent again without harm; return the answer, which has ``wanted``.

        Raises:
            NoDocument: the path leads to none.
            UnreadableAnswer: see there.
            StoreUnavailable: whatever else goes wrong.
        """
        reply = self._send(method, (self.name, *path), timeout, body, params, is_write=False)
        return _object(reply.content, wanted)

    def ask_server(self, *path: str, timeout: float, wanted: str) -> dict[str, Any]:
        """Do as ``ask`` for what is not the database's; without a path for the welcome."""
        return _object(self._send("GET", path, timeout, None, None, is_write=False).content, wanted)

    def ask_for_list(
        self, *path: str, timeout: float, params: dict[str, str] | None = None
    ) -> list[dict[str, Any]]:
        """Do as ``ask`` where the answer is a list of objects."""
        reply = self._send("GET", (self.name, *path), timeout, None, params, is_write=False)
        if not _is_list_of_objects(reply.content):
            raise StoreUnavailable("the answer is not CouchDB's")
        objects: list[dict[str, Any]] = reply.content
        return objects

    def write(self, method: str, *path: str, timeout: float, body: object) -> Reply:
        """Send what must not be taken for undone when its answer is lost.

        Of several documents some may have been written although the reply is no success: it has a
        row for each.

        Raises:
            Conflict: the revision is not a living leaf.
            WriteFailed, OutcomeUnknown: no answer tells whether it was carried out.
            TooLarge, StoreUnavailable: it was not carried out.
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
        except Answered as refusal:
            if is_write and refusal.rows is not None:
                return Reply(refusal.status, refusal.rows)
            raise _named(self._meaning(refusal, is_write=is_write), refusal) from refusal
        except NoAnswer as silence:
            raise _named(_meaning_of_silence(silence, is_write=is_write), silence) from silence

    def _meaning(self, answer: Answered, *, is_write: bool) -> StoreError:
        """Say in the contract's terms what an answer other than a success means."""
        account = self.client.account.username
        match answer.status:
            case 403 if answer.is_lock:
                return StoreUnavailable(self.client.account.lock)
            case 401 | 403:
                return AccountRefused(
                    f"the account {account!r} may not use the databases; {BOOTSTRAP}"
                )
            case 404 if answer.reason in MISSING_DATABASE:
                return NotBootstrapped(f"{self.name!r} does not exist; {BOOTSTRAP}")
            case 404 if answer.reason in _MISSING_DOCUMENT:
                return NoDocument(f"CouchDB answered {answer}")
            case 409 | 412 if is_write and answer.error in ("conflict", "file_exists"):
                return Conflict(str(answer))
            case _:
                error = _of_write(answer) if is_write else None
                return _noted(
                    error or StoreUnavailable(f"CouchDB answered {answer.status}"), answer
                )


def _of_write(answer: Answered) -> StoreError | None:
    """Say what only a write's answer can mean; None if it was just not carried out."""
    if answer.status == requests.codes.request_entity_too_large:
        is_named = answer.error == "document_too_large"
        return TooLarge("CouchDB answered 413", answer.reason if is_named else None)
    if answer.status < 500:
        return None
    if answer.is_foreign:
        return OutcomeUnknown(f"CouchDB answered {answer.status}")
    return WriteFailed(f"CouchDB answered {answer.status} to a write")


def _meaning_of_silence(silence: NoAnswer, *, is_write: bool) -> StoreError:
    if is_write and silence.was_sent:
        return OutcomeUnknown(f"CouchDB's answer was lost: {silence}")
    if isinstance(silence, Unreadable):
        return UnreadableAnswer(f"CouchDB's answer is no use: {silence}")
    return StoreUnavailable(f"CouchDB cannot be reached: {silence}")


def _named(error: StoreError, answer: Answered | NoAnswer) -> StoreError:
    """Have the log say where CouchDB's log has the same call."""
    if answer.request_id:
        error.add_note(f"{REQUEST_ID} {answer.request_id}")
    return error


def _noted(error: StoreError, answer: Answered) -> StoreError:
    """Have the log say what was answered; a text of the server's is nothing to show to clients."""
    error.add_note(str(answer))
    return error


def _object(content: object, wanted: str | None) -> dict[str, Any]:
    if not isinstance(content, dict) or (wanted is not None and wanted not in content):
        raise StoreUnavailable("the answer is not CouchDB's")
    return content


def _is_list_of_objects(content: object) -> bool:
    return isinstance(content, list) and all(isinstance(entry, dict) for entry in content)
