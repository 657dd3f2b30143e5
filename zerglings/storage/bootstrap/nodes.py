"""Access to the individual nodes of a cluster and their copies of a database's shards.

CouchDB stores ``_revs_limit`` and ``_security`` in each copy. For the cluster it answers with the
value of one copy. A node that is disconnected during a change keeps the old value. Since version 3
a server admin can reach every node through any other, at ``/_node/<name>/…``.
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
from zerglings.storage.couchdb.responses import ErrorResponse

FIRST_WITH_NODES = 3
"""First major version in which a node's own copies can be read."""

SILENCE_LIMIT = 10.0
"""Seconds to wait for a connected node that does not answer; after that it counts as
disconnected."""


@dataclass(frozen=True, slots=True)
class Copy:
    """One node's copy of one shard of a database."""

    node: str
    shard: str

    def is_of(self, database: str) -> bool:
        """Whether this is a copy of a shard of ``database``."""
        return self.shard.split("/", 2)[2].rpartition(".")[0] == database

    @property
    def path(self) -> tuple[str, ...]:
        """Path of the copy's HTTP API, through any node."""
        return "_node", self.node, self.shard


class Nodes:
    """Reads the copies of each node in the cluster of ``server``.

    ``unseen`` lists, one sentence each, what could not be read. Callers reset it.
    """

    def __init__(self, server: Server) -> None:
        self._server = server
        self._silent_since: dict[str, float] = {}
        self.unseen: list[str] = []

    def are_separate(self) -> bool:
        """Whether the server supports requests to individual nodes."""
        return self._server.major_version() >= FIRST_WITH_NODES

    def copies(self, database: str) -> list[Copy] | None:
        """Return all copies of a database's shards, None if single nodes cannot be queried.

        Raises:
            NotYet: the server's node has no entry for the database yet.
        """
        if not self.are_separate():
            return None
        layout = self._server.look("_node", "_local", "_dbs", database)
        if layout is None:
            raise NotYet(f"the node does not know the shards of {database} yet")
        return list(copies_of(database, layout))

    def databases(self) -> list[str]:
        """Return the names of all databases of the cluster."""
        found = self._server.look("_node", "_local", "_dbs", "_all_docs")
        try:
            ids = [row["id"] for row in (found or {})["rows"]]
        except (KeyError, TypeError) as error:
            raise NotYet(NOT_COUCHDB) from error
        return [name for name in ids if not name.startswith("_design/")]

    def read(self, copies: Iterable[Copy], *path: str) -> Iterator[tuple[Copy, Any]]:
        """Yield each copy and its response to a GET of ``path``; add failed copies to ``unseen``.

        Raises:
            NotYet: a connected node does not answer, and ``SILENCE_LIMIT`` has not passed yet.
            BootstrapError: a node rejects the admin's account.
        """
        connected = self.connected()
        for copy in copies:
            if copy.node not in connected:
                self._note(f"the node {copy.node} is away")
                continue
            try:
                yield copy, self._get(copy.node, copy.shard, *path)
            except _NodeSilent as unseen:
                self._note(str(unseen))
            except ErrorResponse as answer:
                self._note(f"the node {copy.node} has no copy of {copy.shard} yet: {answer}")

    def setting(self, node: str, section: str, name: str) -> object:
        """Return a setting of a connected node, None if it is not set or the node is silent."""
        try:
            return self._get(node, "_config", section, name)
        except _NodeSilent as unseen:
            self._note(str(unseen))
        except ErrorResponse:
            pass
        return None

    def connected(self) -> set[str]:
        """Return the names of the connected nodes."""
        membership = self._server.look("_membership")
        names = (membership or {}).get("all_nodes")
        if not isinstance(names, list):
            raise NotYet(NOT_COUCHDB)
        return set(names)

    def _get(self, node: str, *path: str) -> object:
        """Send a GET to a connected node.

        Raises:
            ErrorResponse: the node does not have the requested resource.
            NotYet, BootstrapError: see ``read``.
            _NodeSilent: the node did not answer for ``SILENCE_LIMIT`` seconds.
        """
        server = self._server
        try:
            answer = server.ask(server.as_admin, "GET", "_node", node, *path)
        except NotYet as error:
            self._raise_silent(node, error)
        except ErrorResponse as error:
            if error.status == NOT_FOUND:
                raise
            if error.status in (UNAUTHORIZED, FORBIDDEN):
                raise BootstrapError(f"cannot query the node {node}: {error}") from error
            self._raise_silent(node, error)  # a starting node may answer 409
        self._silent_since.pop(node, None)
        return answer

    def _raise_silent(self, node: str, error: Exception) -> NoReturn:
        """Raise ``NotYet`` for a node that does not answer, and ``_NodeSilent`` after the limit."""
        since = self._silent_since.setdefault(node, time.monotonic())
        if time.monotonic() - since < SILENCE_LIMIT:
            raise NotYet(f"the node {node}: {error}") from error
        raise _NodeSilent(f"the node {node} does not answer: {error}") from error

    def _note(self, sentence: str) -> None:
        if sentence not in self.unseen:
            self.unseen.append(sentence)


class _NodeSilent(Exception):
    """A node has not answered for ``SILENCE_LIMIT`` seconds."""


def copies_of(database: str, layout: dict[str, Any]) -> Iterator[Copy]:
    """Yield the copies that a document of the database ``_dbs`` lists.

    Raises:
        NotYet: ``layout`` is not such a document.
    """
    try:
        suffix = bytes(layout["shard_suffix"]).decode()
        for node, ranges in sorted(layout["by_node"].items()):
            for shard in ranges:
                yield Copy(node, f"shards/{shard}/{database}{suffix}")
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise NotYet(NOT_COUCHDB) from error


def on_node(copy: Copy | None) -> str:
    """Return " on <node>" for messages, or "" for None, which stands for all copies."""
    return f" on {copy.node}" if copy else ""
