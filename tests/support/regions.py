"""Regions: databases of one CouchDB server, between which only the test moves documents."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from itertools import permutations
from typing import Any
from urllib.parse import quote

from tests.support.backends import Backend, couchdb_backend
from tests.support.site import CouchDBServer, missing_is_fine
from zerglings.documents import Document
from zerglings.hive.hive import Hive
from zerglings.storage.base import Store
from zerglings.storage.couchdb.store import database_names

REPLICATION_TIMEOUT = 60.0

ROUNDS = 20
"""Exchanges after which regions must be equal; each merge may need one."""

MEETINGS = 3
"""Exchanges after which regions that nobody uses meanwhile have the same merge."""


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
        some = {} if ids is None else {"doc_ids": list(ids)}
        return self.pull_over(source.address(history), self.address(history), **some)

    def pull_over(self, source: str, target: str, **options: Any) -> dict[str, Any]:
        """Have CouchDB replicate once between two addresses."""
        body = {"source": source, "target": target} | options
        with closing(self.backend.server.client()) as client:
            report: dict[str, Any] = client.request(
                "POST", ["_replicate"], timeout=REPLICATION_TIMEOUT, body=body
            )
        return report

    def pull_all(self, source: Region) -> None:
        """Pull both databases, the zerglings first: their chunks then arrive later."""
        for history in (False, True):
            self.pull(source, history=history)

    def address(self, history: bool, port: int | None = None) -> str:
        """Return a database's address with the admin's account, perhaps behind a proxy."""
        server = self.backend.server
        account = f"{quote(server.username)}:{quote(server.password)}"
        return f"http://{account}@{server.host}:{port or server.port}/{self.databases[history]}"

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


Links = Collection[tuple[Region, Region]]


def replicate(links: Links) -> None:
    """Have CouchDB replicate over each link, from the first region into the second."""
    for source, target in links:
        target.pull_all(source)


def hand_over(links: Links) -> None:
    """Do what ``replicate`` does, which takes longer."""
    for source, target in links:
        for history in (False, True):
            target.take(source, history=history)


def meet(all_regions: Sequence[Region], *zergling_ids: str) -> None:
    """Exchange everything until all regions have merged these zerglings."""
    for _ in range(MEETINGS):
        hand_over(every_pair(all_regions))
        for region in all_regions:
            for id_ in zergling_ids:
                Hive(region.store).get(id_)


def every_pair(all_regions: Sequence[Region]) -> list[tuple[Region, Region]]:
    return list(permutations(all_regions, 2))
