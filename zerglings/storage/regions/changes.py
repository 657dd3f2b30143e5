"""The changes of a database: those after a position, and which ones another database lacks."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass

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
