"""Bootstrap step for ``--refetch``: the replications compare everything with the peers once more.

CouchDB derives the id of a replication, and thereby of its checkpoints, from the addresses and the
headers in its document. So a new header makes it start from the beginning. The former replication
stores a last checkpoint while it ends. That one is deleted, because CouchDB would continue there if
the header was ever removed.

See https://docs.couchdb.org/en/stable/replication/protocol.html#generate-replication-id.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from zerglings.storage.bootstrap.accounts import delete_document
from zerglings.storage.bootstrap.replication.health import jobs_of
from zerglings.storage.bootstrap.replication.step import Replicate
from zerglings.storage.bootstrap.runner import NotYet
from zerglings.storage.regions.jobs import database_of

HEADER = "X-Overmind-Refetched"
"""Sent to the peers, with the time of the command. No server reads it."""


class Refetch(Replicate):
    """The replications were started from the beginning by this run. Takes the same arguments."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        headers = {HEADER: datetime.now(UTC).isoformat()}
        for document in self._wanted.values():
            document["source"]["headers"] = headers
        self._former: dict[str, str] | None = None  # ids of replications by those of documents

    def drift(self) -> str | None:
        """Compare the documents, then look for former checkpoints.

        Raises:
            NotYet: CouchDB has not started or not ended a former replication.
        """
        if self._former is None:
            self._former = self._replications()
        left = (f"{id_} has its former checkpoint" for id_, _, _ in self._left())
        return super().drift() or "; ".join(left) or None

    def act(self) -> str | None:
        """Change the documents; when that is done, remove the former checkpoints."""
        if (done := super().act()) is not None:
            return done
        removed = (
            f"removed the former checkpoint of {id_}"
            for id_, path, checkpoint in self._left()
            if delete_document(self.server, path, checkpoint)
        )
        return "; ".join(removed) or None

    def _replications(self) -> dict[str, str]:
        """Return the ids of the present replications by those of their documents.

        One that CouchDB could not start has none.
        """
        documents = self._documents().keys() & self._wanted.keys()
        jobs = jobs_of(self.server, documents, expected=set(), limit=0) or {}
        for id_ in sorted(documents):
            if jobs.get(id_, {}).get("state", "initializing") == "initializing":
                raise NotYet(f"nothing is changed: CouchDB has not started {id_}")
        return {id_: str(job["id"]) for id_, job in sorted(jobs.items()) if job.get("id")}

    def _left(self) -> Iterator[tuple[str, list[str], dict[str, Any]]]:
        """Yield the id of the document, the path and the content of each former checkpoint."""
        for id_, replication in (self._former or {}).items():
            if self.server.look("_scheduler", "jobs", replication) is not None:
                raise NotYet(
                    f"{id_} starts from the beginning, but CouchDB has not ended its former "
                    "replication"
                )
            path = [database_of(id_), "_local", replication.removesuffix("+continuous")]
            checkpoint = self.server.look(*path)
            if checkpoint is not None:
                yield id_, path, checkpoint
