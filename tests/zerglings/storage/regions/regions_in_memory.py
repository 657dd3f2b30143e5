"""Regions in memory that answer as CouchDB databases, and an exchange between two of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

from zerglings.storage.base import StoreUnavailable
from zerglings.storage.couchdb.database import Database
from zerglings.storage.regions.exchange import Exchange


class Region:
    """Answers as a CouchDB database: a change moves its document to the end of the changes."""

    def __init__(self, name: str, documents: int) -> None:
        self.name = self.uuid = name
        self.copies = 1
        self.latest = documents
        self.documents = {number: number for number in range(1, documents + 1)}
        self.leaves = {number: [f"1-{name}"] for number in self.documents}
        self.known = {(number, f"1-{name}") for number in self.documents}
        self.checkpoints: dict[str, dict[str, Any]] = {}
        self.welcomes = self.lists = 0

    def change(self, *numbers: int) -> None:
        """Give each document a new revision in place of its last leaf."""
        for number in numbers:
            generation = int(self.leaves[number].pop().partition("-")[0])
            self.add_leaf(number, f"{generation + 1}-{self.name}")

    def add_leaf(self, number: int, revision: str) -> None:
        self.latest += 1
        self.documents[number] = self.latest
        self.leaves[number].append(revision)
        self.known.add((number, revision))

    def receive(self, source: Region, up_to: int) -> None:
        """Store all leaves of the documents that were last changed up to a position."""
        for number, at in source.documents.items():
            if at <= up_to:
                self.known.update((number, leaf) for leaf in source.leaves[number])

    def position(self, number: int) -> str:
        return f"{number}-{self.name}"

    def cluster(self, _timeout: float) -> dict[str, int]:
        return {"n": self.copies}

    def ask_server(self, *path: str, **_rest: object) -> dict[str, Any]:
        self.welcomes += not path
        return {"id": "there-here+continuous"} if path else {"version": "3.5.2", "uuid": self.uuid}

    def ask(
        self,
        _method: str,
        *path: str,
        params: dict[str, str] | None = None,
        body: Any = None,
        **_rest: object,
    ) -> dict[str, Any]:
        if path == ("_local_docs",):
            rows = [{"doc": {"_id": id_} | each} for id_, each in self.checkpoints.items()]
            return {"rows": [*rows, {"doc": {"_id": "_local/other"}}]}
        if path[0] == "_local":
            return self.checkpoints["/".join(path)]
        if path == ("_revs_diff",):
            return {
                id_: {"missing": [rev for rev in revisions if (int(id_), rev) not in self.known]}
                for id_, revisions in body.items()
            }
        assert params is not None
        return self._changes(**params)

    def _changes(self, since: str, limit: str, style: str = "", **_rest: str) -> dict[str, Any]:
        number, _, source = since.partition("-")
        # CouchDB starts again at 0 for a position of another database.
        after = int(number) if source == self.name else 0
        after = self.latest if since == "now" else after
        left = sorted((at, id_) for id_, at in self.documents.items() if at > after)
        shown = left[: int(limit)]
        is_whole = style == "all_docs"
        self.lists += is_whole
        return {
            "results": [
                {
                    "id": str(id_),
                    "changes": [
                        {"rev": leaf} for leaf in self.leaves[id_][: None if is_whole else 1]
                    ],
                }
                for _, id_ in shown
            ],
            "pending": len(left) - len(shown),
            "last_seq": self.position(shown[-1][0] if shown else after),
        }


class Unreachable(Region):
    requests = 0

    def ask(self, *_args: object, **_rest: object) -> dict[str, Any]:
        self.requests += 1
        raise StoreUnavailable("CouchDB cannot be reached")

    ask_server = ask


def exchange(
    here: Region, there: Region, pause: Callable[[float], None] = lambda _: None, limit: float = 0
) -> Exchange:
    databases = cast("tuple[Database, Database]", (here, there))
    return Exchange("east", *databases, limit=limit, pause=pause)


def checkpoint(position: str, *, minute: int = 0, session: str = "s") -> dict[str, Any]:
    history = [{"end_time": f"Sat, 28 Nov 2026 08:{minute:02}:00 GMT"}, {"end_time": ""}]
    return {"session_id": session, "source_last_seq": position, "history": history}


def replicated(source: Region, target: Region, number: int, *, minute: int = 0) -> None:
    """Replicate up to a number, and store that at both ends, as CouchDB does."""
    target.receive(source, number)
    name = f"_local/{source.name}-{target.name}"
    stored = checkpoint(source.position(number), minute=minute)
    source.checkpoints[name] = target.checkpoints[name] = stored
