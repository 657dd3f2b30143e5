"""Writes documents to one CouchDB database, many per request.

CouchDB, and any proxy in front of it, answers 413 to a whole bulk if one document or the request is
too large. The bulk is then split until only the oversized documents fail.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence

import orjson
import requests

from zerglings.documents import Document
from zerglings.storage.base import (
    AccountRefused,
    Conflict,
    OutcomeUnknown,
    StoreError,
    StoreUnavailable,
    TooLarge,
    WriteFailed,
    Written,
)
from zerglings.storage.couchdb.database import Database

Outcome = Written | StoreError


class DocumentWriter:
    """Writes to one database. May be used from many threads at once."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def write(self, documents: Sequence[Document], *, timeout: float) -> list[Outcome]:
        """Implement ``Store.put_many``.

        ``timeout`` is in seconds and applies to all requests together.

        Raises:
            StoreError: the first request failed as a whole, for a reason other than its size.
        """
        if not documents:
            return []
        end = time.monotonic() + timeout
        try:
            return self._write(documents, timeout)
        except TooLarge as error:
            outcomes, bulks = _split(documents, error)
        while bulks:
            bulk = bulks.pop()
            try:
                if (remaining := end - time.monotonic()) <= 0:
                    raise StoreUnavailable("not all documents could be written in time")
                results = self._write(bulk, remaining)
            except TooLarge as error:
                rejected, smaller = _split(bulk, error)
                outcomes |= rejected
                bulks += smaller
            except StoreError as error:
                outcomes |= {document["_id"]: error for document in bulk}
            else:
                outcomes |= {doc["_id"]: result for doc, result in zip(bulk, results, strict=True)}
        return [outcomes[document["_id"]] for document in documents]

    def _write(self, documents: Sequence[Document], timeout: float) -> list[Outcome]:
        if len(documents) == 1:
            return [self._put(documents[0], timeout)]
        reply = self._database.write(
            "POST", "_bulk_docs", timeout=timeout, body={"docs": documents}
        )
        rows = reply.content if isinstance(reply.content, list) else []
        by_id = {row.get("id"): row for row in rows if isinstance(row, dict)}
        return [_outcome_of_row(by_id.get(document["_id"], {})) for document in documents]

    def _put(self, document: Document, timeout: float) -> Outcome:
        """Store one document with PUT, which costs CouchDB less than a bulk."""
        try:
            reply = self._database.write("PUT", document["_id"], timeout=timeout, body=document)
        except (Conflict, WriteFailed) as failure:
            return failure
        row = reply.content if isinstance(reply.content, dict) else {}
        return _outcome_of_row(row | {"accepted": reply.status == requests.codes.accepted})


def _split(
    documents: Sequence[Document], error: TooLarge
) -> tuple[dict[str, Outcome], list[Sequence[Document]]]:
    """Return the errors of oversized documents, and the smaller bulks to try next."""
    if len(documents) == 1:
        return {documents[0]["_id"]: _too_large(documents[0], error)}, []
    named = [document for document in documents if document["_id"] == error.document_id]
    if named:
        others = [document for document in documents if document is not named[0]]
        return {named[0]["_id"]: _too_large(named[0], error)}, [others]
    middle = len(documents) // 2
    return {}, [documents[middle:], documents[:middle]]


def _too_large(document: Document, cause: TooLarge) -> TooLarge:
    """Return the error for one document, with its id and size in bytes."""
    document_id, size = document["_id"], len(orjson.dumps(document))
    error = TooLarge(f"the document {document_id!r} of {size} bytes is too large", document_id)
    error.__cause__ = cause.with_traceback(None)
    for note in getattr(cause, "__notes__", ()):
        error.add_note(note)
    return error


def _outcome_of_row(row: Mapping[str, object]) -> Outcome:
    """Translate a row of CouchDB's response to a write."""
    match row:
        case {"error": "conflict"}:
            return Conflict("Document update conflict.")
        case {"error": "forbidden" | "unauthorized" as error}:
            return AccountRefused(f"CouchDB refused a document: {error}")
        case {"error": error}:
            return WriteFailed(f"CouchDB failed to write a document: {error}")
        case {"rev": str(revision)}:
            return Written(revision, is_minority=bool(row.get("accepted")))
        case _:
            return OutcomeUnknown("CouchDB's answer has no result for a document")
