"""The store contract, implemented over a CouchDB database and its history database."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any

from zerglings.documents import Document
from zerglings.storage.base import (
    AccountRefused,
    Changes,
    NotBootstrapped,
    Page,
    Store,
    StoreError,
    StoreUnavailable,
    Written,
)
from zerglings.storage.couchdb.changes import ChangeReader
from zerglings.storage.couchdb.client import CouchDBClient
from zerglings.storage.couchdb.copies import CopyCounter
from zerglings.storage.couchdb.database import BOOTSTRAP, Database, UnreadableAnswer
from zerglings.storage.couchdb.database import MISSING_DATABASE as MISSING_DATABASE
from zerglings.storage.couchdb.leaves import LeafReader, without_metadata
from zerglings.storage.couchdb.writes import DocumentWriter

PURGE_IDS = 100
PURGE_REVISIONS = 1000
"""CouchDB's default limits for one ``_purge`` before 3.5.1."""

ROLE = "overmind"
"""The role of the service's account. Only this role and admins may use the databases."""


def database_names(name: str) -> tuple[str, str]:
    """Return the names of the main database and of its history database."""
    return name, f"{name}-history"


def security_drift(security: Mapping[str, Any]) -> str | None:
    """Return what is wrong with a database's ``_security``, None if it admits the role."""
    members = members_of(security)
    if not members["names"] and not members["roles"]:
        return "is open to everybody"
    if ROLE not in members["roles"]:
        return f"does not admit the role {ROLE!r}"
    return None


def members_of(security: Mapping[str, Any]) -> dict[str, list[Any]]:
    """Return the member names and roles of ``_security``; old databases call them readers."""
    members = security.get("members", security.get("readers"))
    holder = members if isinstance(members, Mapping) else {}
    found = {key: holder.get(key) for key in ("names", "roles")}
    return {key: value if isinstance(value, list) else [] for key, value in found.items()}


class CouchDBStore(Store):
    """Stores documents in the database ``database`` on the server of ``client``.

    Its ``history`` uses the history database. The ``history`` of that store is itself.
    """

    def __init__(self, client: CouchDBClient, database: str, *, is_history: bool = False) -> None:
        self._client = client
        self._database = Database(client, database)
        self._reader = LeafReader(self._database)
        self._writer = DocumentWriter(self._database)
        self._changes = ChangeReader(self._database)
        self._copies = CopyCounter(self._database)
        self._history = (
            self
            if is_history
            else CouchDBStore(client, database_names(database)[1], is_history=True)
        )

    @property
    def history(self) -> Store:
        return self._history

    def get_many(
        self, document_ids: Collection[str], *, timeout: float, all_copies: bool = False
    ) -> dict[str, list[Document]]:
        if all_copies:
            return self._reader.read_all_copies(document_ids, timeout=timeout)
        return self._reader.read(document_ids, timeout=timeout)

    def last_states(self, document_id: str, *, timeout: float) -> list[Document]:
        return self._reader.last_states(document_id, timeout=timeout)

    def put_many(
        self, documents: Sequence[Document], *, timeout: float
    ) -> list[Written | StoreError]:
        return self._writer.write(documents, timeout=timeout)

    def page(
        self,
        after: str | None,
        limit: int,
        *,
        timeout: float,
        until: str | None = None,
        descending: bool = False,
    ) -> Page:
        # One more, because CouchDB includes the start key, and to detect the last page.
        params = {"limit": str(limit + 1), "descending": json.dumps(descending)}
        if after is not None:
            params["startkey"] = json.dumps(after)
        if until is not None:
            params |= {"endkey": json.dumps(until), "inclusive_end": "false"}
        rows = self._rows(params, timeout)
        is_last = len(rows) <= limit
        rows = [row for row in rows if row["id"] != after][:limit]
        documents = [
            without_metadata(row["doc"])
            for row in rows
            if row.get("doc") and not row["id"].startswith("_")
        ]
        return Page(documents, None if is_last else rows[-1]["id"])

    def changes(
        self, since: str | None, limit: int, *, timeout: float, wait: float = 0.0
    ) -> Changes:
        return self._changes.read(since, limit, timeout=timeout, wait=wait)

    def forget_deleted_leaves(self, document_ids: Collection[str], *, timeout: float) -> int:
        purged = 0
        for batch in purge_batches(self._deleted_leaves(document_ids, timeout)):
            purged += self._purge(batch, timeout)
        return purged

    def all_nodes_connected(self, *, timeout: float) -> bool:
        if not self._database.is_modern(timeout):
            return True  # CouchDB 1.x has no clusters
        nodes = self._database.ask_server(
            "_membership", timeout=timeout, required_key="cluster_nodes"
        )
        return set(nodes["cluster_nodes"]) <= set(nodes.get("all_nodes", ()))

    def ping(self, *, timeout: float) -> None:
        with contextlib.suppress(NotBootstrapped):
            self._database.ask("GET", timeout=timeout, required_key="db_name")

    def check_ready(self, *, timeout: float) -> None:
        for database in (self._database, self._history._database):
            # This read fails for a missing database, too.
            security = database.ask("GET", "_security", timeout=timeout)
            if drift := security_drift(security):
                raise NotBootstrapped(f"the database {database.name!r} {drift}; {BOOTSTRAP}")

    def missing_documents(self, *, timeout: float) -> int | None:
        return self._copies.missing_documents(timeout)

    def identity(self, *, timeout: float) -> str | None:
        return self._database.instance_start_time(timeout)

    def close(self) -> None:
        self._client.close()

    def _rows(self, params: dict[str, str], timeout: float) -> list[dict[str, Any]]:
        """Return the rows of an id range with their documents, leaving out unreadable ones."""

        def request(**more: str) -> list[dict[str, Any]]:
            answer = self._database.ask(
                "GET", "_all_docs", timeout=timeout, params=params | more, required_key="rows"
            )
            rows: list[dict[str, Any]] = answer["rows"]
            return rows

        try:
            return request(include_docs="true")
        except UnreadableAnswer:
            rows = request()
            found = self._reader.read([row["id"] for row in rows], timeout=timeout)
            return [row | {"doc": next(iter(found.get(row["id"], [])), None)} for row in rows]

    def _deleted_leaves(
        self, document_ids: Collection[str], timeout: float
    ) -> Iterator[tuple[str, str]]:
        """Yield (id, revision) of deleted leaves of documents that exist."""
        for document_id in document_ids:
            leaves = self._reader.all_leaves(document_id, timeout=timeout)
            deleted = [leaf["_rev"] for leaf in leaves if leaf.get("_deleted")]
            if len(deleted) < len(leaves):
                yield from ((document_id, revision) for revision in deleted)

    def _purge(self, revisions: dict[str, list[str]], timeout: float) -> int:
        try:
            answer = self._database.ask(
                "POST", "_purge", timeout=timeout, body=revisions, required_key="purged"
            )
        except AccountRefused as error:
            raise AccountRefused(f"only a server admin may purge: {error}") from error
        except NotBootstrapped:
            raise
        except StoreUnavailable as error:
            raise StoreUnavailable(f"deleted leaves cannot be purged: {error}") from error
        return sum(len(gone) for gone in answer["purged"].values())


def purge_batches(revisions: Iterable[tuple[str, str]]) -> Iterator[dict[str, list[str]]]:
    """Group (id, revision) pairs by id, in batches within CouchDB's purge limits."""
    batch: dict[str, list[str]] = {}
    size = 0
    for document_id, revision in revisions:
        is_full = len(batch) == PURGE_IDS and document_id not in batch
        if is_full or size == PURGE_REVISIONS:
            yield batch
            batch, size = {}, 0
        batch.setdefault(document_id, []).append(revision)
        size += 1
    if batch:
        yield batch
