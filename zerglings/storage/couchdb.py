"""The store contract over one CouchDB database."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping
from typing import Any

from zerglings.storage.base import (
    AccountRefused,
    Conflict,
    Document,
    DocumentMissing,
    NotBootstrapped,
    OutcomeUnknown,
    Page,
    Store,
    StoreError,
    StoreUnavailable,
)
from zerglings.storage.couchdb_client import Answered, CouchDBClient, NoAnswer

MISSING_DATABASE = ("no_db_file", "Database does not exist.")
"""How CouchDB 1.x and later ones say that there is no such database, rather than no document."""

_BOOTSTRAP = "run manage.py bootstrap_couch"
_MISSING_DOCUMENT = ("missing", "deleted")


ROLE = "overmind"
"""The role of the service's account: it and admins may use the databases."""


def databases(name: str) -> tuple[str, str]:
    """Return the zerglings' database and that of their older history."""
    return name, f"{name}-history"


def security_drift(security: Mapping[str, Any]) -> str | None:
    """Say what is wrong with a database's ``_security``; None if the role may use it."""
    members = members_of(security)
    if not members["names"] and not members["roles"]:
        return "is open to everybody"
    if ROLE not in members["roles"]:
        return f"does not admit the role {ROLE!r}"
    return None


def members_of(security: Mapping[str, Any]) -> dict[str, list[Any]]:
    """Return the names and roles that may read and write; old databases call them readers."""
    members = security.get("members", security.get("readers"))
    holder = members if isinstance(members, Mapping) else {}
    found = {key: holder.get(key) for key in ("names", "roles")}
    return {key: value if isinstance(value, list) else [] for key, value in found.items()}


class CouchDBStore(Store):
    """Documents in the database ``database`` of the server that ``client`` speaks to."""

    def __init__(self, client: CouchDBClient, database: str) -> None:
        self._client = client
        self._database = database

    def get(self, document_id: str, *, timeout: float) -> Document:
        return self._call("GET", document_id, timeout=timeout, wanted="_id")

    def put(self, document: Document, *, timeout: float) -> str:
        answer = self._call("PUT", document["_id"], timeout=timeout, body=document, wanted="rev")
        return str(answer["rev"])

    def page(self, after: str | None, limit: int, *, timeout: float) -> Page:
        # One more than asked for, because CouchDB begins with the key itself.
        params = {"include_docs": "true", "limit": str(limit + 1)}
        if after is not None:
            params["startkey"] = json.dumps(after)
        answer = self._call("GET", "_all_docs", timeout=timeout, params=params, wanted="rows")
        rows = answer["rows"]
        is_last = len(rows) <= limit
        rows = [row for row in rows if row["id"] != after][:limit]
        documents = [row["doc"] for row in rows if row["doc"] and not row["id"].startswith("_")]
        return Page(documents, None if is_last else rows[-1]["id"])

    def ping(self, *, timeout: float) -> None:
        with contextlib.suppress(NotBootstrapped):
            self._call("GET", timeout=timeout, wanted="db_name")

    def check_ready(self, *, timeout: float) -> None:
        for database in databases(self._database):
            # A database without the step 'security' shows here, one without 'database' too.
            security = self._call("GET", "_security", timeout=timeout, database=database)
            if drift := security_drift(security):
                raise NotBootstrapped(f"the database {database!r} {drift}; {_BOOTSTRAP}")

    def close(self) -> None:
        self._client.close()

    def _call(
        self,
        method: str,
        *path: str,
        timeout: float,
        body: Document | None = None,
        params: dict[str, str] | None = None,
        database: str | None = None,
        wanted: str | None = None,
    ) -> dict[str, Any]:
        """Send one request for the database; all that goes wrong is an error of the contract.

        ``wanted`` is a key that the answer, an object, must have.
        """
        segments = [database or self._database, *path]
        is_write = method != "GET"
        try:
            answer = self._client.request(
                method, segments, timeout=timeout, body=body, params=params
            )
            if not isinstance(answer, dict) or (wanted is not None and wanted not in answer):
                raise NoAnswer("the answer is not CouchDB's", was_sent=True)
            return answer
        except Answered as refusal:
            raise self._meaning(refusal, is_write=is_write) from refusal
        except NoAnswer as silence:
            if is_write and silence.was_sent:
                raise OutcomeUnknown(f"CouchDB's answer was lost: {silence}") from silence
            raise StoreUnavailable(f"CouchDB cannot be reached: {silence}") from silence

    def _meaning(self, answer: Answered, *, is_write: bool) -> StoreError:
        """Say in the contract's terms what an answer other than a success means."""
        name = self._client.account.username
        match answer.status:
            case 403 if answer.is_lock:
                return StoreUnavailable(f"CouchDB has locked the account {name!r} for some minutes")
            case 401 | 403:
                return AccountRefused(
                    f"the account {name!r} may not use the databases; {_BOOTSTRAP}"
                )
            case 404 if answer.reason in MISSING_DATABASE:
                return NotBootstrapped(
                    f"{self._database!r} or its history does not exist; {_BOOTSTRAP}"
                )
            case 404 if answer.reason in _MISSING_DOCUMENT:
                return DocumentMissing(str(answer))
            case 409 | 412 if answer.error in ("conflict", "file_exists"):
                return Conflict(str(answer))
            case status if status >= 500 and is_write:
                return OutcomeUnknown(f"CouchDB answered {answer}")
            case _:
                return StoreUnavailable(f"CouchDB answered {answer}")
