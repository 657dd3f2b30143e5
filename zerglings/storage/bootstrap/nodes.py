"""The nodes of a cluster one by one: each has its own copies of a database's shards.

CouchDB keeps ``_revs_limit`` and ``_security`` in each copy, answers for the cluster with what one
copy says, and does not bring them to a node that was away. Since version 3 a server admin can ask
every node through any other, at ``/_node/<name>/…``.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, NoReturn

from zerglings.storage.bootstrap.runner import BootstrapError, NotYet
from zerglings.storage.bootstrap.server import (
    FORBIDDEN,
    NOT_COUCHDB,
    NOT_FOUND,
    UNAUTHORIZED,
    Server,
)
from zerglings.storage.couchdb.client import Answered

FIRST_WITH_NODES = 3
"""The major version from which each node's own copies can be asked."""

PATIENCE = 10.0
"""Seconds for which a connected node that does not answer is waited for; then it counts as away."""


@dataclass(frozen=True, slots=True)
class Copy:
    """One node's file of one shard of a database."""

    node: str
    shard: str

    def is_of(self, database: str) -> bool:
        """Whether it is one of a database's."""
        return self.shard.split("/", 2)[2].rpartition(".")[0] == database

    @property
    def path(self) -> tuple[str, ...]:
        """Where a server admin reaches it through any node."""
        return "_node", self.node, self.shard


class Nodes:
    """Asks each node of the cluster that ``server`` belongs to for its own copies.

    ``unseen`` collects what could not be looked at since it was emptied last, a sentence each.
    """

    def __init__(self, server: Server) -> None:
        self._server = server
        self._silent_since: dict[str, float] = {}
        self.unseen: list[str] = []

    def are_separate(self) -> bool:
        """Whether nodes can be asked one by one."""
        return self._server.major_version() >= FIRST_WITH_NODES

    def copies(self, database: str) -> list[Copy] | None:
        """Return every copy of a database's shards; None where nodes cannot be asked one by one.

        Raises:
            NotYet: the node that was asked has not heard of the database yet.
        """
        if not self.are_separate():
            return None
        layout = self._server.look("_node", "_local", "_dbs", database)
        if layout is None:
            raise NotYet(f"the node does not know the shards of {database} yet")
        return list(copies_of(database, layout))

    def databases(self) -> list[str]:
        """Return the names of all databases that have shards."""
        found = self._server.look("_node", "_local", "_dbs", "_all_docs")
        try:
            ids = [row["id"] for row in (found or {})["rows"]]
        except (KeyError, TypeError) as error:
            raise NotYet(NOT_COUCHDB) from error
        return [name for name in ids if not name.startswith("_design/")]

    def read(self, copies: Iterable[Copy], *path: str) -> Iterator[tuple[Copy, Any]]:
        """Yield what each copy that can be asked answers to a GET; note the others as unseen.

        Raises:
            NotYet: a connected node does not answer, and has not been silent for long.
            BootstrapError: a node refuses to answer.
        """
        connected = self.connected()
        for copy in copies:
            if copy.node not in connected:
                self._note(f"the node {copy.node} is away")
                continue
            try:
                yield copy, self._get(copy.node, copy.shard, *path)
            except _Unseen as unseen:
                self._note(str(unseen))
            except Answered as answer:
                self._note(f"the node {copy.node} has no copy of {copy.shard} yet: {answer}")

    def setting(self, node: str, section: str, name: str) -> object:
        """Return a setting of a connected node; None where it has none or does not answer."""
        try:
            return self._get(node, "_config", section, name)
        except _Unseen as unseen:
            self._note(str(unseen))
        except Answered:
            pass
        return None

    def connected(self) -> set[str]:
        """Return the names of the nodes that can be asked."""
        membership = self._server.look("_membership")
        names = (membership or {}).get("all_nodes")
        if not isinstance(names, list):
            raise NotYet(NOT_COUCHDB)
        return set(names)

    def _get(self, node: str, *path: str) -> object:
        """Ask a connected node. Raises Answered where it does not have what is asked for."""
        server = self._server
        try:
            answer = server.ask(server.as_admin, "GET", "_node", node, *path)
        except NotYet as error:
            self._await(node, error)
        except Answered as error:
            if error.status == NOT_FOUND:
                raise
            if error.status in (UNAUTHORIZED, FORBIDDEN):
                raise BootstrapError(f"cannot ask the node {node}: {error}") from error
            self._await(node, error)  # a node that starts has been seen to answer 409
        self._silent_since.pop(node, None)
        return answer

    def _await(self, node: str, error: Exception) -> NoReturn:
        """Have a node that does not answer waited for, or not any more."""
        since = self._silent_since.setdefault(node, time.monotonic())
        if time.monotonic() - since < PATIENCE:
            raise NotYet(f"the node {node}: {error}") from error
        raise _Unseen(f"the node {node} does not answer: {error}") from error

    def _note(self, sentence: str) -> None:
        if sentence not in self.unseen:
            self.unseen.append(sentence)


class _Unseen(Exception):
    """A copy cannot be looked at; the text says why."""


def copies_of(database: str, layout: dict[str, Any]) -> Iterator[Copy]:
    """Yield the copies that a document of the database ``_dbs`` tells of.

    Raises:
        NotYet: it is no such document.
    """
    try:
        suffix = bytes(layout["shard_suffix"]).decode()
        for node, ranges in sorted(layout["by_node"].items()):
            for shard in ranges:
                yield Copy(node, f"shards/{shard}/{database}{suffix}")
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise NotYet(NOT_COUCHDB) from error


def on_node(copy: Copy | None) -> str:
    """Return the end of a sentence that says where a copy is; None is all copies at once."""
    return f" on {copy.node}" if copy else ""
