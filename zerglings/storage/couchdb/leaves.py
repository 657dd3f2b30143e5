"""Reads the leaves of documents with the cheapest request that the CouchDB server supports.

``_bulk_get`` is almost three times as fast as ``_all_docs`` and returns conflicting revisions. It
needs Apache CouchDB 2.0. It also returns every deleted leaf, so it is slow for documents that have
hundreds of them.
"""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from zerglings.cooperative import in_slices
from zerglings.documents import MERGED, Document, rank
from zerglings.storage.base import MergedAway, NotBootstrapped, StoreUnavailable
from zerglings.storage.couchdb.database import Database, NoDocument, UnreadableAnswer
from zerglings.storage.couchdb.responses import ErrorResponse

logger = logging.getLogger(__name__)

Leaves = dict[str, list[Document]]
"""By document id, the leaves that are not deleted, the winner first; empty for a deleted document,
or ``MergedAway``."""

ALL_COPIES = "100"
"""A read quorum (``r``) larger than any number of copies: CouchDB then asks all of them."""

MAX_DELETED_LEAVES = 8
"""Documents with more deleted leaves than this are read by ``_all_docs`` from then on."""

MAX_SLOW_IDS = 10_000
"""Maximum number of such documents to remember; the oldest are dropped."""

REVISIONS_PER_REQUEST = 50
"""Revisions to name in one URL, which then has 2.3 KB. CouchDB refuses URLs of 8 KB."""

ANCESTORS_AT_A_TIME = 8
"""Ancestors of a deleted leaf to ask for at a time, the newest first. Mostly the first is there."""

_UNSUPPORTED = (404, 405)
_TOO_LARGE = 413
_NEVER_STORED = ("not_found", "illegal_docid")


class LeafReader:
    """Reads leaves of one database. May be used from many threads at once."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._lacks_bulk_get = False
        self._slow_ids: dict[str, None] = {}
        self._slow_ids_lock = threading.Lock()

    def read(self, document_ids: Iterable[str], *, timeout: float) -> Leaves:
        """Read the leaves that a majority of the copies has; ids that were never stored are absent.

        A document that this service cannot read is logged and absent, too.
        """
        fast, slow = self._split(document_ids, timeout)
        try:
            found = _read_splitting(self._bulk_get, fast, timeout)
        except StoreUnavailable as error:
            if not _is_unsupported(error):
                raise
            self._lacks_bulk_get = True
            found = _read_splitting(self._all_docs, fast, timeout)
        return found | _read_splitting(self._all_docs, slow, timeout)

    def read_all_copies(self, document_ids: Iterable[str], *, timeout: float) -> Leaves:
        """Read the leaves that any copy has, with one request per document.

        ``timeout`` is in seconds and applies to all requests together.
        """

        def read(ids: Sequence[str], timeout: float) -> Leaves:
            leaves = self.all_leaves(ids[0], timeout=timeout, copies=ALL_COPIES)
            return {ids[0]: _live(leaves)} if leaves else {}

        found: Leaves = {}
        end = time.monotonic() + timeout
        for document_id in dict.fromkeys(document_ids):
            found |= _read_splitting(read, [document_id], _time_until(end))
        return found

    def last_states(self, document_id: str, *, timeout: float) -> list[Document]:
        """Return what a document held here before its leaves were merged: see ``Store``.

        CouchDB keeps the content of ancestors until it compacts the database.
        """
        end = time.monotonic() + timeout
        leaves = self._open_revs(document_id, "all", timeout=timeout, revs="true")
        living = _live(leaves)
        if not isinstance(living, MergedAway):
            return living
        newest: dict[str, Document] = {}
        lines = [_ancestors(leaf) for leaf in leaves]
        while lines:
            nearest = {revision for line in lines for revision in line[:ANCESTORS_AT_A_TIME]}
            kept: dict[str, Document] = {}
            for part in in_slices(sorted(nearest), REVISIONS_PER_REQUEST):
                found = self._open_revs(document_id, json.dumps(part), timeout=_time_until(end))
                kept |= {each["_rev"]: each for each in found}
            older = []
            for line in lines:
                revision = next((each for each in line if each in kept), None)
                if revision is not None:
                    newest[revision] = kept[revision]
                elif line[ANCESTORS_AT_A_TIME:]:
                    older.append(line[ANCESTORS_AT_A_TIME:])
            lines = older
        return _live(list(newest.values()))

    def all_leaves(
        self, document_id: str, *, timeout: float, copies: str | None = None
    ) -> list[Document]:
        """Return all leaves of a document, deleted ones included, with CouchDB's metadata."""
        params = {"r": copies} if copies else {}
        return self._open_revs(document_id, "all", timeout=timeout, **params)

    def _open_revs(
        self, document_id: str, revisions: str, *, timeout: float, **params: str
    ) -> list[Document]:
        """Return those revisions of a document that CouchDB has, with its metadata.

        ``revisions`` is a JSON list of them, or ``all`` for the leaves.
        """
        params |= {"open_revs": revisions}
        try:
            rows = self._database.ask_for_list(document_id, timeout=timeout, params=params)
        except NoDocument:
            return []
        return [row["ok"] for row in rows if "ok" in row]

    def _split(self, document_ids: Iterable[str], timeout: float) -> tuple[list[str], list[str]]:
        """Split ids into those for ``_bulk_get`` and those for ``_all_docs``."""
        ids = dict.fromkeys(document_ids)
        if not ids:
            return [], []
        if self._lacks_bulk_get or not self._database.is_modern(timeout):
            return [], list(ids)
        slow = [document_id for document_id in ids if document_id in self._slow_ids]
        for document_id in slow:
            del ids[document_id]
        return list(ids), slow

    def _bulk_get(self, ids: Sequence[str], timeout: float) -> Leaves:
        body = {"docs": [{"id": document_id} for document_id in ids]}
        answer = self._database.ask(
            "POST", "_bulk_get", timeout=timeout, body=body, required_key="results"
        )
        found: Leaves = {}
        for result in answer["results"]:
            leaves = [row["ok"] for row in result["docs"] if "ok" in row]
            if leaves:
                found[result["id"]] = _live(leaves)
                self._remember_if_slow(result["id"], len(leaves) - len(found[result["id"]]))
            for row in result["docs"]:
                _check_error(row.get("error"))
        return found

    def _remember_if_slow(self, document_id: str, deleted: int) -> None:
        if deleted <= MAX_DELETED_LEAVES:
            return
        with self._slow_ids_lock:
            self._slow_ids[document_id] = None
            if len(self._slow_ids) > MAX_SLOW_IDS:
                del self._slow_ids[next(iter(self._slow_ids))]

    def _all_docs(self, ids: Sequence[str], timeout: float) -> Leaves:
        answer = self._database.ask(
            *("POST", "_all_docs"),
            timeout=timeout,
            body={"keys": list(ids)},
            params={"include_docs": "true", "conflicts": "true"},
            required_key="rows",
        )
        found: Leaves = {}
        for row in answer["rows"]:
            if "id" not in row:
                _check_error(row)
            elif (winner := row.get("doc")) and "_conflicts" not in winner:
                found[row["id"]] = [without_metadata(winner)]
            else:
                found[row["id"]] = _live(self.all_leaves(row["id"], timeout=timeout))
        return found


def without_metadata(document: Document) -> Document:
    """Return a document without CouchDB's metadata except ``_id`` and ``_rev``."""
    return {
        key: value
        for key, value in document.items()
        if not key.startswith("_") or key in ("_id", "_rev")
    }


def _live(leaves: Sequence[Document]) -> list[Document]:
    """Return the leaves that are not deleted, in the order in which CouchDB picks the winner."""
    living = [without_metadata(leaf) for leaf in leaves if not leaf.get("_deleted")]
    if leaves and not living and all(leaf.get(MERGED) for leaf in leaves):
        return MergedAway()
    return sorted(living, key=lambda leaf: rank(leaf["_rev"]), reverse=True)


def _ancestors(leaf: Document) -> list[str]:
    """Return the revisions before a leaf that was read with its ancestors, the newest first."""
    known = leaf["_revisions"]
    generations = range(known["start"] - 1, 0, -1)
    return [f"{n}-{digest}" for n, digest in zip(generations, known["ids"][1:], strict=False)]


def _time_until(end: float) -> float:
    """Return the seconds until a time on the monotonic clock, as the timeout of a request."""
    if (left := end - time.monotonic()) <= 0:
        raise StoreUnavailable("not all documents could be read in time")
    return left


def _check_error(error: Any) -> None:  # noqa: ANN401 - any JSON
    if error and error.get("error") not in _NEVER_STORED:
        raise StoreUnavailable(f"CouchDB could not read a document: {error.get('error')}")


def _is_unsupported(error: StoreUnavailable) -> bool:
    """Whether the server does not support the request, as opposed to a missing database."""
    cause = error.__cause__
    return type(error) is not NotBootstrapped and (
        isinstance(cause, ErrorResponse) and cause.status in _UNSUPPORTED
    )


def _is_too_large(error: StoreUnavailable) -> bool:
    """Whether the server rejected the request for its size."""
    cause = error.__cause__
    return isinstance(cause, ErrorResponse) and cause.status == _TOO_LARGE


def _read_splitting(
    read: Callable[[Sequence[str], float], Leaves], ids: Sequence[str], timeout: float
) -> Leaves:
    """Read documents, and split the request if it is too large or its response unreadable.

    A single document that cannot be read is logged and left out.
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
    first = _read_splitting(read, ids[:middle], timeout)
    return first | _read_splitting(read, ids[middle:], timeout)
