"""Regions: databases of one CouchDB server, between which only the test moves documents."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from itertools import permutations
from typing import Any
from urllib.parse import quote

from tests.support.backends import Backend, couchdb_backend
from tests.support.site import CouchDBServer, missing_is_fine
from zerglings.documents import Document
from zerglings.storage.base import Store
from zerglings.storage.couchdb.store import database_names

ROUNDS = 20
"""Exchanges after which regions must be equal; each merge may need one."""


class Region:
    """One region: both databases, and a store over them."""

    def __init__(self, backend: Backend) -> None:
        self.backend = backend
        self.store: Store = backend.open()

    @property
    def databases(self) -> tuple[str, str]:
        """The names of the main database and of its history database."""
        return database_names(self.backend.environment["COUCHDB_DATABASE"])

    def ask(self, method: str, *path: str, body: object = None, **params: str) -> Any:
        return self.backend.server.ask(method, *path, body=body, **params)

    def revisions(self, document_id: str, *, history: bool = False) -> list[Document]:
        """Return the leaves of a document, deleted ones too, with their ancestors."""
        rows: list[Document] = []
        with missing_is_fine():
            path = (self.databases[history], document_id)
            rows = self.ask("GET", *path, open_revs="all", revs="true")
        return [row["ok"] for row in rows if "ok" in row]

    def receive(self, revisions: Sequence[Document], *, history: bool = False) -> None:
        """Store revisions as a replication does."""
        body = {"docs": revisions, "new_edits": False}
        self.ask("POST", self.databases[history], "_bulk_docs", body=body)

    def take(self, source: Region, *ids: str, history: bool = False) -> None:
        """Receive all leaves of some documents, by default of all documents of the database."""
        for id_ in ids or source.ids(history=history):
            self.receive(source.revisions(id_, history=history), history=history)

    def ids(self, *, history: bool = False) -> list[str]:
        """Return the ids of all documents, deleted ones too."""
        rows = self.ask("GET", self.databases[history], "_changes")["results"]
        return [row["id"] for row in rows]

    def pull(
        self, source: Region, ids: Collection[str] | None = None, *, history: bool = False
    ) -> dict[str, Any]:
        """Have CouchDB replicate a database once, or only some documents; return its report."""
        ends = {
            "source": source.address(source.databases[history]),
            "target": self.address(self.databases[history]),
        }
        some = {} if ids is None else {"doc_ids": list(ids)}
        report: dict[str, Any] = self.ask("POST", "_replicate", body=ends | some)
        return report

    def pull_all(self, source: Region) -> None:
        """Pull both databases, the zerglings first: their chunks then arrive later."""
        for history in (False, True):
            self.pull(source, history=history)

    def address(self, database: str) -> str:
        server = self.backend.server
        account = f"{quote(server.username)}:{quote(server.password)}"
        return f"http://{account}@{server.host}:{server.port}/{database}"

    def contents(self) -> list[list[Document]]:
        """Return all documents of both databases, with their conflicts."""
        params = {"include_docs": "true", "conflicts": "true"}
        return [
            [row["doc"] for row in self.ask("GET", name, "_all_docs", **params)["rows"]]
            for name in self.databases
        ]


@contextmanager
def regions(server: CouchDBServer, count: int) -> Iterator[list[Region]]:
    """Yield empty, bootstrapped regions; delete them at the end."""
    with ExitStack() as stack:
        found = [Region(stack.enter_context(couchdb_backend(server))) for _ in range(count)]
        for region in found:
            stack.callback(region.store.close)
        yield found


def exchange(links: Collection[tuple[Region, Region]]) -> None:
    """Pull over each link, from the first region into the second."""
    for source, target in links:
        target.pull_all(source)


def every_pair(all_regions: Sequence[Region]) -> list[tuple[Region, Region]]:
    return list(permutations(all_regions, 2))
