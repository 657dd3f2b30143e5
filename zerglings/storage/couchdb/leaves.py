"""Reading the leaves of documents from one CouchDB database, of each server in its cheapest way.

``_bulk_get`` is nearly three times as fast as ``_all_docs`` and shows rivals, but on Apache CouchDB
since 2.0 only, and every deleted leaf too: those of hundreds of settled rivals make it slow.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from zerglings.documents import Document, rank
from zerglings.storage.base import NotBootstrapped, StoreUnavailable
from zerglings.storage.couchdb.client import Answered
from zerglings.storage.couchdb.database import Database, NoDocument, UnreadableAnswer

logger = logging.getLogger(__name__)

Leaves = dict[str, list[Document]]
"""The living leaves of each document, the winner first; a deleted one has none."""

EVERY_COPY = "100"
"""A number of copies to ask: CouchDB asks as many as there are."""

CROWD = 8
"""A document that shows more deleted leaves than this is not read by ``_bulk_get`` again."""

CROWDED_LIMIT = 10_000
"""How many such documents are remembered, the latest."""

_NO_SUCH_PATH = (404, 405)
_TOO_LARGE = 413
_NEVER_STORED = ("not_found", "illegal_docid")


class LeafReader:
    """Reads the leaves of one database's documents. Safe to use from many threads at once."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._lacks_bulk_get = False
        self._crowded: dict[str, None] = {}
        self._crowding = threading.Lock()

    def read(self, document_ids: Iterable[str], *, timeout: float) -> Leaves:
        """Return what a majority of the copies has; an id without an entry was never stored.

        A document that this service cannot read has no entry either, of which the log tells.
        """
        quick, crowded = self._split(document_ids, timeout)
        try:
            found = _in_halves(self._bulk_get, quick, timeout)
        except StoreUnavailable as error:
            if not _is_unknown_path(error):
                raise
            self._lacks_bulk_get = True
            found = _in_halves(self._all_docs, quick, timeout)
        return found | _in_halves(self._all_docs, crowded, timeout)

    def read_every_copy(self, document_ids: Iterable[str], *, timeout: float) -> Leaves:
        """Return what any copy that answers has, a request for each, all within the time."""

        def read(ids: Sequence[str], timeout: float) -> Leaves:
            shown = self.all_leaves(ids[0], timeout=timeout, copies=EVERY_COPY)
            return {ids[0]: _living(shown)} if shown else {}

        found: Leaves = {}
        end = time.monotonic() + timeout
        for document_id in dict.fromkeys(document_ids):
            if (left := end - time.monotonic()) <= 0:
                raise StoreUnavailable("not all documents could be read in time")
            found |= _in_halves(read, [document_id], left)
        return found

    def all_leaves(
        self, document_id: str, *, timeout: float, copies: str | None = None
    ) -> list[Document]:
        """Return the leaves of one document as CouchDB shows them, deleted ones too."""
        params = {"open_revs": "all"} | ({"r": copies} if copies else {})
        try:
            rows = self._database.ask_for_list(document_id, timeout=timeout, params=params)
        except NoDocument:
            return []
        return [row["ok"] for row in rows if "ok" in row]

    def _split(self, document_ids: Iterable[str], timeout: float) -> tuple[list[str], list[str]]:
        """Tell apart what ``_bulk_get`` is good for and what it is not."""
        ids = dict.fromkeys(document_ids)
        if not ids:
            return [], []
        if self._lacks_bulk_get or not self._database.is_modern(timeout):
            return [], list(ids)
        crowded = [document_id for document_id in ids if document_id in self._crowded]
        for document_id in crowded:
            del ids[document_id]
        return list(ids), crowded

    def _bulk_get(self, ids: Sequence[str], timeout: float) -> Leaves:
        body = {"docs": [{"id": document_id} for document_id in ids]}
        answer = self._database.ask(
            "POST", "_bulk_get", timeout=timeout, body=body, wanted="results"
        )
        found: Leaves = {}
        for result in answer["results"]:
            shown = [row["ok"] for row in result["docs"] if "ok" in row]
            if shown:
                found[result["id"]] = _living(shown)
                self._note_crowd(result["id"], len(shown) - len(found[result["id"]]))
            for row in result["docs"]:
                _check_error(row.get("error"))
        return found

    def _note_crowd(self, document_id: str, deleted: int) -> None:
        if deleted <= CROWD:
            return
        with self._crowding:
            self._crowded[document_id] = None
            if len(self._crowded) > CROWDED_LIMIT:
                del self._crowded[next(iter(self._crowded))]

    def _all_docs(self, ids: Sequence[str], timeout: float) -> Leaves:
        answer = self._database.ask(
            *("POST", "_all_docs"),
            timeout=timeout,
            body={"keys": list(ids)},
            params={"include_docs": "true", "conflicts": "true"},
            wanted="rows",
        )
        found: Leaves = {}
        for row in answer["rows"]:
            if "id" not in row:
                _check_error(row)
            elif (winner := row.get("doc")) and "_conflicts" in winner:
                found[row["id"]] = _living(self.all_leaves(row["id"], timeout=timeout))
            else:
                found[row["id"]] = [clean(winner)] if winner else []
        return found


def clean(document: Document) -> Document:
    """Return a document without what CouchDB adds beyond id and revision."""
    return {
        key: value
        for key, value in document.items()
        if not key.startswith("_") or key in ("_id", "_rev")
    }


def _living(leaves: Iterable[Document]) -> list[Document]:
    """Return the leaves that are not deleted, in CouchDB's own order of winning."""
    living = [clean(leaf) for leaf in leaves if not leaf.get("_deleted")]
    return sorted(living, key=lambda leaf: rank(leaf["_rev"]), reverse=True)


def _check_error(error: Any) -> None:  # noqa: ANN401 - what CouchDB says of one id
    if error and error.get("error") not in _NEVER_STORED:
        raise StoreUnavailable(f"CouchDB could not read a document: {error.get('error')}")


def _is_unknown_path(error: StoreUnavailable) -> bool:
    """Whether the server lacks what was asked of it, and the database is not what it lacks."""
    cause = error.__cause__
    return type(error) is not NotBootstrapped and (
        isinstance(cause, Answered) and cause.status in _NO_SUCH_PATH
    )


def _is_too_large(error: StoreUnavailable) -> bool:
    """Whether the request was refused for its size."""
    cause = error.__cause__
    return isinstance(cause, Answered) and cause.status == _TOO_LARGE


def _in_halves(
    read: Callable[[Sequence[str], float], Leaves], ids: Sequence[str], timeout: float
) -> Leaves:
    """Read, in parts where so many ids are too large a request.

    Where one document spoils the answer for all, find it and go without it.
    """
    if not ids:
        return {}
    try:
        return read(ids, timeout)
    except StoreUnavailable as error:
        is_unreadable = isinstance(error, UnreadableAnswer)
        if not (is_unreadable or _is_too_large(error)):
            raise
        if len(ids) == 1:
            if not is_unreadable:
                raise
            logger.warning("The document %r is left out: %s", ids[0], error)
            return {}
    middle = len(ids) // 2
    first = _in_halves(read, ids[:middle], timeout)
    return first | _in_halves(read, ids[middle:], timeout)
