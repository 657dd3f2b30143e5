"""Bootstrap step for complete copies: finds those that lack documents, and has CouchDB fill them.

A copy lacks documents if its node is new and empty, or was disconnected. Lists are read from one
copy of each shard, so they may be incomplete then. CouchDB reads no list from a node in maintenance
mode, but still fills its copies. So such a node is put into service once its copies are complete.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from zerglings.storage.bootstrap.nodes import Copy, Nodes
from zerglings.storage.bootstrap.runner import NotYet, Step
from zerglings.storage.bootstrap.server import NOT_COUCHDB, NOT_FOUND, Server, ServerStep

BOOTSTRAP_SETTLING_TIME = 2.0
"""Seconds to wait for documents on their way to a copy. A healthy copy needs far less."""

PAUSE = 0.1
"""Seconds between two counts during that time."""

MAINTENANCE = ("couchdb", "maintenance_mode")
"""The setting that takes a node out of service, with the value ``"true"``.

This step ignores nodes with the value ``"nolb"``, which operators use.
"""


class Copies(ServerStep):
    """All copies hold the same documents, and nodes with complete copies are in service.

    Args:
        server: the CouchDB server.
        databases: the service's databases. While a node is in maintenance mode, all databases of
            the cluster are checked instead.
        first: steps that are run, if they find drift, before a node is put into service.
        waits: whether to wait for incomplete copies. Otherwise they are only a warning, because the
            service works meanwhile.
    """

    name = "copies"
    required_state = (
        "all copies hold the same documents, and no node with complete copies is in maintenance"
    )

    def __init__(
        self, server: Server, databases: tuple[str, ...], first: Sequence[Step], *, waits: bool
    ) -> None:
        super().__init__(server)
        self._first = first
        self._databases = databases
        self._waits = waits
        self._nodes = Nodes(server)
        self._incomplete: list[str] = []  # databases with copies that lack documents
        # Whether CouchDB was told to fill them. It may not start by itself if the node was slow.
        self._was_told_to_fill = False

    def drift(self) -> str | None:
        """Count the documents of each copy."""
        complete = self._complete_in_maintenance()
        if complete:
            return f"in maintenance, with complete copies: {', '.join(complete)}"
        if self._waits and self.unseen:
            if self._incomplete and not self._was_told_to_fill:
                return "; ".join(self.unseen)
            raise NotYet("; ".join(self.unseen))
        return None

    def act(self) -> str | None:
        """Put nodes whose copies are complete into service; have CouchDB fill the others."""
        complete = self._complete_in_maintenance()
        if not complete and self._incomplete:
            self._was_told_to_fill = True
            for name in self._incomplete:
                self.server.change("POST", name, "_sync_shards", body={}, harmless=(NOT_FOUND,))
            return f"told CouchDB to fill the copies of {', '.join(self._incomplete)}"
        for step in self._first if complete and self._existing() else ():
            if step.drift() is not None:
                step.act()
        for node in complete:
            self.server.change("PUT", "_node", node, "_config", *MAINTENANCE, body="false")
        return f"ended the maintenance of {', '.join(complete)}" if complete else None

    def _complete_in_maintenance(self) -> list[str]:
        """Return the nodes in maintenance mode whose copies are complete.

        ``unseen`` then lists the incomplete copies of any node, and what could not be read.
        """
        self._nodes.unseen = self.unseen = []
        self._incomplete = []
        if not self._nodes.are_separate():
            return []
        connected = sorted(self._nodes.connected())
        in_maintenance = [
            node for node in connected if self._nodes.setting(node, *MAINTENANCE) == "true"
        ]
        names = self._nodes.databases() if in_maintenance else self._existing()
        copies = [copy for name in names for copy in self._nodes.copies(name) or ()]
        # Count the copies in maintenance first: a write between the counts can then make them look
        # incomplete, but never complete.
        copies.sort(key=lambda copy: copy.node not in in_maintenance)
        seen, incomplete = self._compared(copies)
        self._incomplete = [name for name in names if any(copy.is_of(name) for copy in incomplete)]
        behind = _uncertain(copies, seen, in_maintenance) | {copy.node for copy in incomplete}
        for node in sorted({copy.node for copy in incomplete}):
            number = sum(lacks for copy, lacks in incomplete.items() if copy.node == node)
            self.unseen.append(f"the copies of the node {node} lack {number} documents")
        return [node for node in in_maintenance if node not in behind]

    def _existing(self) -> list[str]:
        return [name for name in self._databases if self.server.look(name) is not None]

    def _compared(self, copies: Sequence[Copy]) -> tuple[Collection[Copy], dict[Copy, int]]:
        """Return the copies that could be counted, and how many documents incomplete ones lack.

        Missing documents may be on their way. So incomplete copies are counted again, each time
        before the other copies: otherwise writes to all copies could hide that some lack documents.
        """
        counts = self._counts(copies)
        incomplete = _missing_documents(counts, counts)
        deadline = time.monotonic() + BOOTSTRAP_SETTLING_TIME
        while incomplete and time.monotonic() < deadline:
            time.sleep(PAUSE)
            shards = {copy.shard for copy in incomplete}
            others = [copy for copy in copies if copy.shard in shards and copy not in incomplete]
            counts |= self._counts([*incomplete, *others])
            incomplete = _missing_documents(counts, incomplete)
        return counts, incomplete

    def _counts(self, copies: Sequence[Copy]) -> dict[Copy, int]:
        return {copy: _count(info) for copy, info in self._nodes.read(copies)}


def _missing_documents(counts: Mapping[Copy, int], suspects: Iterable[Copy]) -> dict[Copy, int]:
    """Return how many documents each suspect lacks compared with the fullest copy of its shard.

    Suspects that lack none are left out.
    """
    most: dict[str, int] = {}
    for copy, count in counts.items():
        most[copy.shard] = max(most.get(copy.shard, 0), count)
    return {
        copy: most[copy.shard] - counts[copy]
        for copy in suspects
        if counts[copy] < most[copy.shard]
    }


def _uncertain(
    copies: Sequence[Copy], seen: Collection[Copy], in_maintenance: Collection[str]
) -> set[str]:
    """Return the nodes whose copies cannot be shown to be complete.

    That is so if a copy on the node could not be read. It is also so if another copy of the same
    shard could not be read, and none was read from a node in service.
    """
    unseen = [copy for copy in copies if copy not in seen]
    in_service = {copy.shard for copy in seen if copy.node not in in_maintenance}
    doubtful = {copy.shard for copy in unseen} - in_service
    return {copy.node for copy in unseen} | {copy.node for copy in copies if copy.shard in doubtful}


def _count(info: Any) -> int:  # noqa: ANN401 - any JSON
    """Return how many documents a copy has ever held, including deleted ones."""
    try:
        return int(info["doc_count"]) + int(info["doc_del_count"])
    except (KeyError, TypeError, ValueError) as error:
        raise NotYet(NOT_COUCHDB) from error
