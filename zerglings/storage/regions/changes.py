"""Changes of the main database: the latest one here, and which ones have arrived here."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass

from zerglings.documents import rank
from zerglings.storage.base import StoreUnavailable
from zerglings.storage.couchdb.database import Database


@dataclass(frozen=True, slots=True)
class Change:
    """A revision of a document."""

    document_id: str
    revision: str


class ChangeLog:
    """Answers questions about the changes of one database. Every ``timeout`` is in seconds."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def latest(self, *, timeout: float) -> Change | None:
        """Return the latest change, None for an empty database.

        With several shards it is the latest change of any of them.
        """
        answer = self._database.ask(
            *("GET", "_changes"),
            timeout=timeout,
            params={"descending": "true", "limit": "1"},
            required_key="results",
        )
        match answer["results"]:
            case []:
                return None
            case [{"id": str(document_id), "changes": [{"rev": str(revision)}, *_]}, *_]:
                return Change(document_id, revision)
            case _:
                raise StoreUnavailable("the answer is not CouchDB's")

    def unknown(self, changes: Collection[Change], *, timeout: float) -> set[Change]:
        """Return those of the given changes that this database has never stored.

        CouchDB remembers as many revisions of a document as ``_revs_limit`` allows. So a change is
        also unknown if many others of the document followed it before they arrived together.
        """
        if not changes:
            return set()
        revisions: dict[str, list[str]] = {}
        for change in changes:
            revisions.setdefault(change.document_id, []).append(change.revision)
        answer = self._database.ask("POST", "_revs_diff", timeout=timeout, body=revisions)
        return {
            change
            for change in changes
            if change.revision in answer.get(change.document_id, {}).get("missing", ())
        }

    def outstanding(self, unknown: Collection[Change], *, timeout: float) -> set[Change]:
        """Return those of the given unknown changes that certainly have not arrived.

        These are the changes beyond the current revision of their document.
        """
        if not unknown:
            return set()
        answer = self._database.ask(
            *("POST", "_all_docs"),
            timeout=timeout,
            body={"keys": sorted({change.document_id for change in unknown})},
            required_key="rows",
        )
        current = {row["id"]: row["value"]["rev"] for row in answer["rows"] if row.get("value")}
        return {
            change
            for change in unknown
            if rank(current.get(change.document_id, ""))[0] < rank(change.revision)[0]
        }

    def pages_after(self, position: str, size: int, *, timeout: float) -> Iterator[list[Change]]:
        """Yield the leaves, deleted ones too, of all documents that were changed after a position.

        Args:
            position: a position in the changes of this database, "0" for the beginning.
            size: the number of documents of each page.
            timeout: seconds for each page.
        """
        number_read = size
        while number_read == size:
            answer = self._database.ask(
                *("GET", "_changes"),
                timeout=timeout,
                params={
                    "since": position,
                    "limit": str(size),
                    "seq_interval": str(size),
                    "style": "all_docs",
                },
                required_key="last_seq",
            )
            rows, position = answer["results"], str(answer["last_seq"])
            number_read = len(rows)
            yield [Change(row["id"], leaf["rev"]) for row in rows for leaf in row["changes"]]
