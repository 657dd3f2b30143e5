"""Writing documents to one CouchDB database, many with one request.

CouchDB answers 413 to a whole bulk for one document that is too large, and so does whatever bounds
the size of requests, before it or in it. The others are then written without that one.
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
    """Writes to one database. Safe to use from many threads at once."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def write(self, documents: Sequence[Document], *, timeout: float) -> list[Outcome]:
        """Store documents and return what became of each, as the store contract has it.

        All requests together take no longer than the ``timeout`` of a single one.

        Raises:
            StoreError: the only request came to this for all of them.
        """
        if not documents:
            return []
        end = time.monotonic() + timeout
        try:
            return self._write(documents, timeout)
        except TooLarge as refusal:
            outcomes, parts = _divided(documents, refusal)
        while parts:
            part = parts.pop()
            try:
                if (left := end - time.monotonic()) <= 0:
                    raise StoreUnavailable("not all documents could be written in time")
                written = self._write(part, left)
            except TooLarge as refusal:
                told, smaller = _divided(part, refusal)
                outcomes |= told
                parts += smaller
            except StoreError as error:
                outcomes |= {document["_id"]: error for document in part}
            else:
                outcomes |= {doc["_id"]: result for doc, result in zip(part, written, strict=True)}
        return [outcomes[document["_id"]] for document in documents]

    def _write(self, documents: Sequence[Document], timeout: float) -> list[Outcome]:
        if len(documents) == 1:
            return [self._put(documents[0], timeout)]
        reply = self._database.write(
            "POST", "_bulk_docs", timeout=timeout, body={"docs": documents}
        )
        rows = reply.content if isinstance(reply.content, list) else []
        told = {row.get("id"): row for row in rows if isinstance(row, dict)}
        return [_outcome(told.get(document["_id"], {})) for document in documents]

    def _put(self, document: Document, timeout: float) -> Outcome:
        """Store one document, which costs CouchDB less than a bulk of one."""
        try:
            reply = self._database.write("PUT", document["_id"], timeout=timeout, body=document)
        except (Conflict, WriteFailed) as failure:
            return failure
        row = reply.content if isinstance(reply.content, dict) else {}
        return _outcome(row | {"accepted": reply.status == requests.codes.accepted})


def _divided(
    documents: Sequence[Document], refusal: TooLarge
) -> tuple[dict[str, Outcome], list[Sequence[Document]]]:
    """Return which documents are too large, and the parts in which to try the others."""
    if len(documents) == 1:
        return {documents[0]["_id"]: _refused(documents[0], refusal)}, []
    named = [document for document in documents if document["_id"] == refusal.document_id]
    if named:
        rest = [document for document in documents if document is not named[0]]
        return {named[0]["_id"]: _refused(named[0], refusal)}, [rest]
    middle = len(documents) // 2
    return {}, [documents[middle:], documents[:middle]]


def _refused(document: Document, refusal: TooLarge) -> TooLarge:
    """Return the refusal of one document, with what an operator has to know of it."""
    document_id, size = document["_id"], len(orjson.dumps(document))
    error = TooLarge(f"the document {document_id!r} of {size} bytes is too large", document_id)
    error.__cause__ = refusal.with_traceback(None)
    for note in getattr(refusal, "__notes__", ()):
        error.add_note(note)
    return error


def _outcome(row: Mapping[str, object]) -> Outcome:
    """Say in the contract's terms what a row of CouchDB's answer to a write means."""
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
            return OutcomeUnknown("CouchDB said nothing of a document")
