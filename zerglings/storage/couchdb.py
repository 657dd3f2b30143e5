"""The store contract over one CouchDB database."""

from __future__ import annotations

import contextlib
import json
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

_MISSING_DOCUMENT = ("missing", "deleted")


class CouchDBStore(Store):
    """Documents in the database ``database`` of the server that ``client`` speaks to."""

    def __init__(self, client: CouchDBClient, database: str) -> None:
        self._client = client
        self._database = database

    def get(self, document_id: str, *, timeout: float) -> Document:
        document: Document = self._call("GET", document_id, timeout=timeout)
        return document

    def put(self, document: Document, *, timeout: float) -> str:
        answer = self._call("PUT", document["_id"], timeout=timeout, body=document)
        revision: str = answer["rev"]
        return revision

    def page(self, after: str | None, limit: int, *, timeout: float) -> Page:
        # One more than asked for, because CouchDB begins with the key itself.
        params = {"include_docs": "true", "limit": str(limit + 1)}
        if after is not None:
            params["startkey"] = json.dumps(after)
        rows = self._call("GET", "_all_docs", timeout=timeout, params=params)["rows"]
        is_last = len(rows) <= limit
        rows = [row for row in rows if row["id"] != after][:limit]
        documents = [row["doc"] for row in rows if row["doc"] and not row["id"].startswith("_")]
        return Page(documents, None if is_last else rows[-1]["id"])

    def ping(self, *, timeout: float) -> None:
        with contextlib.suppress(NotBootstrapped):
            self.check_ready(timeout=timeout)

    def check_ready(self, *, timeout: float) -> None:
        self._call("GET", timeout=timeout)

    def close(self) -> None:
        self._client.close()

    def _call(
        self,
        method: str,
        *path: str,
        timeout: float,
        body: Document | None = None,
        params: dict[str, str] | None = None,
    ) -> Any:  # noqa: ANN401 - any JSON
        """Send one request for the database; all that goes wrong is an error of the contract."""
        segments = [self._database, *path]
        is_write = method != "GET"
        try:
            return self._client.request(method, segments, timeout=timeout, body=body, params=params)
        except Answered as answer:
            raise self._meaning(answer, is_write=is_write) from answer
        except NoAnswer as silence:
            if is_write and silence.was_sent:
                raise OutcomeUnknown(f"CouchDB's answer was lost: {silence}") from silence
            raise StoreUnavailable(f"CouchDB cannot be reached: {silence}") from silence

    def _meaning(self, answer: Answered, *, is_write: bool) -> StoreError:
        """Say in the contract's terms what an answer other than a success means."""
        name = self._client.account.username
        match answer.status:
            case 403 if "locked" in answer.reason:
                return StoreUnavailable(f"CouchDB has locked the account {name!r} for some minutes")
            case 401 | 403:
                return AccountRefused(
                    f"the account {name!r} may not use the database {self._database!r}; "
                    "run manage.py bootstrap_couch"
                )
            case 404 if answer.reason in MISSING_DATABASE:
                return NotBootstrapped(
                    f"the database {self._database!r} does not exist; run manage.py bootstrap_couch"
                )
            case 404 if answer.reason in _MISSING_DOCUMENT:
                return DocumentMissing(str(answer))
            case 409 | 412:
                return Conflict(str(answer))
            case status if status >= 500 and is_write:
                return OutcomeUnknown(f"CouchDB answered {answer}")
            case _:
                return StoreUnavailable(f"CouchDB answered {answer}")
