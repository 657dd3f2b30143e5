"""Copies that lack documents: of a node that was replaced by an empty one, or was away.

A list reads one copy of each shard, which may be such a copy. A node in maintenance mode is asked
for no list, and is filled by the others all the same.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from zerglings.storage.bootstrap.nodes import Copy, Nodes
from zerglings.storage.bootstrap.runner import NotYet, Step
from zerglings.storage.bootstrap.server import NOT_COUCHDB, NOT_FOUND, Server, ServerStep

SETTLING_TIME = 2.0
"""Seconds within which a healthy copy gets what another one has: several times what it takes."""

PAUSE = 0.1
"""Seconds between two looks at a copy meanwhile."""

MAINTENANCE = ("couchdb", "maintenance_mode")
"""The setting that takes a node out of service: ``"true"``. Of ``nolb`` operators make use."""


class Copies(ServerStep):
    """Each node's copies hold what the others hold, and whole nodes are in service.

    Args:
        server: where they are.
        databases: those of the service; while a node is in maintenance mode all are looked at.
        first: steps that have to hold in the copies of a node before it is put into service.
        waits: whether copies that are behind are waited for. Else they are a warning, because the
            service can work meanwhile.
    """

    name = "copies"
    wants = "all copies hold the same documents, and no node with whole copies is in maintenance"

    def __init__(
        self, server: Server, databases: tuple[str, ...], first: Sequence[Step], *, waits: bool
    ) -> None:
        super().__init__(server)
        self._first = first
        self._databases = databases
        self._waits = waits
        self._nodes = Nodes(server)
        self._short: list[str] = []  # databases with copies that lack documents
        self._is_pushed = False  # CouchDB may not begin by itself to fill a node that was slow

    def drift(self) -> str | None:
        """Count the documents of each copy."""
        whole = self._whole_in_maintenance()
        if whole:
            return f"in maintenance, with whole copies: {', '.join(whole)}"
        if self._waits and self.unseen:
            if self._short and not self._is_pushed:
                return "; ".join(self.unseen)
            raise NotYet("; ".join(self.unseen))
        return None

    def act(self) -> str | None:
        """Put nodes whose copies are whole into service; have CouchDB fill the others."""
        whole = self._whole_in_maintenance()
        if not whole and self._short:
            self._is_pushed = True
            for name in self._short:
                self.server.change("POST", name, "_sync_shards", body={}, harmless=(NOT_FOUND,))
            return f"had the copies filled of {', '.join(self._short)}"
        for step in self._first if whole and self._existing() else ():
            if step.drift() is not None:
                step.act()
        for node in whole:
            self.server.change("PUT", "_node", node, "_config", *MAINTENANCE, body="false")
        return f"ended the maintenance of {', '.join(whole)}" if whole else None

    def _whole_in_maintenance(self) -> list[str]:
        """Return the nodes that may end it; ``unseen`` tells what speaks against others."""
        self._nodes.unseen = self.unseen = []
        self._short = []
        if not self._nodes.are_separate():
            return []
        connected = sorted(self._nodes.connected())
        resting = [node for node in connected if self._nodes.setting(node, *MAINTENANCE) == "true"]
        names = self._nodes.databases() if resting else self._existing()
        copies = [copy for name in names for copy in self._nodes.copies(name) or ()]
        # Nodes in maintenance first: what the others hold later, they have to hold already.
        copies.sort(key=lambda copy: copy.node not in resting)
        seen, lacking = self._compared(copies)
        self._short = [name for name in names if any(copy.is_of(name) for copy in lacking)]
        behind = _uncertain(copies, seen, resting) | {copy.node for copy in lacking}
        for node in sorted({copy.node for copy in lacking}):
            number = sum(lacks for copy, lacks in lacking.items() if copy.node == node)
            self.unseen.append(f"the copies of the node {node} lack {number} documents")
        return [node for node in resting if node not in behind]

    def _existing(self) -> list[str]:
        return [name for name in self._databases if self.server.look(name) is not None]

    def _compared(self, copies: Sequence[Copy]) -> tuple[Collection[Copy], dict[Copy, int]]:
        """Return the copies that could be looked at, and how many documents some of them lack.

        What a copy lacks may be on its way to it. So it is looked at again, each time before the
        others are: writes that come meanwhile to all of them never make up for what it lacks.
        """
        counts = self._counts(copies)
        lacking = _lacking(counts, counts)
        deadline = time.monotonic() + SETTLING_TIME
        while lacking and time.monotonic() < deadline:
            time.sleep(PAUSE)
            shards = {copy.shard for copy in lacking}
            others = [copy for copy in copies if copy.shard in shards and copy not in lacking]
            counts |= self._counts([*lacking, *others])
            lacking = _lacking(counts, lacking)
        return counts, lacking

    def _counts(self, copies: Sequence[Copy]) -> dict[Copy, int]:
        return {copy: _count(info) for copy, info in self._nodes.read(copies)}


def _lacking(counts: Mapping[Copy, int], suspects: Iterable[Copy]) -> dict[Copy, int]:
    """Return how many documents the suspects lack of what the fullest copy holds."""
    most: dict[str, int] = {}
    for copy, count in counts.items():
        most[copy.shard] = max(most.get(copy.shard, 0), count)
    return {
        copy: most[copy.shard] - counts[copy]
        for copy in suspects
        if counts[copy] < most[copy.shard]
    }


def _uncertain(
    copies: Sequence[Copy], seen: Collection[Copy], resting: Collection[str]
) -> set[str]:
    """Return the nodes that lack a whole copy, or whose copies no node in service confirms."""
    unseen = [copy for copy in copies if copy not in seen]
    in_service = {copy.shard for copy in seen if copy.node not in resting}
    doubtful = {copy.shard for copy in unseen} - in_service
    return {copy.node for copy in unseen} | {copy.node for copy in copies if copy.shard in doubtful}


def _count(info: Any) -> int:  # noqa: ANN401 - any JSON
    """Return how many documents a copy has ever held, those deleted too."""
    try:
        return int(info["doc_count"]) + int(info["doc_del_count"])
    except (KeyError, TypeError, ValueError) as error:
        raise NotYet(NOT_COUCHDB) from error
