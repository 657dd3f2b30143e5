"""Finds out when one database has the changes of another one.

Each database numbers its changes by itself, and positions in the changes of several shards have no
order. So the changes after a position are listed once, and the other database is asked for them.
"""

from __future__ import annotations

from collections.abc import Collection

from zerglings.storage.regions.changes import Change, ChangeLog
from zerglings.storage.regions.jobs import CALL_TIMEOUT

PAGE = 1_000
"""Documents to list with one request, and changes to ask for."""

MAX_LISTED = 100_000
"""Changes to list at most: far more than are made between two checkpoints."""


class Delivery:
    """The changes that a source has when ``is_complete`` is first called, and a target must get.

    A document has arrived if the target knows all leaves, deleted ones too, that it had in the
    source at one moment since then. Later leaves count because CouchDB remembers a limited number
    of revisions: after many updates at once the target never learns the earlier leaf. A higher
    revision in the target does not count, because it may be a rival.

    Args:
        source: the changes of the source.
        target: the changes of the target.
    """

    def __init__(self, source: ChangeLog, target: ChangeLog) -> None:
        self._source = source
        self._target = target
        self._position: str | None = None
        # By document, for each moment at which it was listed, the leaves that the target lacked.
        self._missing: dict[str, list[set[Change]]] | None = None

    def is_complete(self, position: str) -> bool:
        """Whether the target has everything.

        The changes are listed again only after another position.

        Args:
            position: a position in the source's changes up to which the target has all of them.

        Raises:
            StoreUnavailable: one of the two cannot be read. Try again.
        """
        if position != self._position:
            self._list(position)
            self._position = position
        self._drop_arrived()
        return self._missing == {}

    def outstanding(self) -> str:
        """Return a phrase for what has not arrived."""
        if self._missing is None:
            return f"more than {MAX_LISTED} changes may be missing"
        return f"changed documents that are missing: {len(self._missing)}"

    def _list(self, position: str) -> None:
        """List the changes after a position. Documents that are not listed again have arrived."""
        listed = self._missing_after(position)
        if listed is None:
            return
        if self._missing is None:
            self._missing = {id_: [leaves] for id_, leaves in listed.items()}
        else:
            self._missing = {
                id_: [*moments, listed[id_]]
                for id_, moments in self._missing.items()
                if id_ in listed
            }

    def _missing_after(self, position: str) -> dict[str, set[Change]] | None:
        """Return the leaves after a position that the target lacks, by document.

        The result is None if there are more than ``MAX_LISTED`` changes.
        """
        missing: dict[str, set[Change]] = {}
        count = 0
        for changes in self._source.pages_after(position, PAGE, timeout=CALL_TIMEOUT):
            count += len(changes)
            if count > MAX_LISTED:
                return None
            for change in self._unknown(changes):
                missing.setdefault(change.document_id, set()).add(change)
        return missing

    def _drop_arrived(self) -> None:
        missing = self._missing or {}
        unknown = self._unknown(
            {change for moments in missing.values() for leaves in moments for change in leaves}
        )
        for id_, moments in list(missing.items()):
            if not all(leaves & unknown for leaves in moments):
                del missing[id_]

    def _unknown(self, changes: Collection[Change]) -> set[Change]:
        """Return those of the changes that the target does not know."""
        listed, unknown = list(changes), set()
        for start in range(0, len(listed), PAGE):
            unknown |= self._target.unknown(listed[start : start + PAGE], timeout=CALL_TIMEOUT)
        return unknown
