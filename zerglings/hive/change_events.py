"""Change events: what happened to the zerglings that the store reports as changed.

The store reports ids. Each zergling is then read with its rivals merged, so a later event of a
zergling never shows an older state.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass

from zerglings.domain.document_format import is_zergling_id
from zerglings.domain.zergling import Zergling
from zerglings.repository.reading import Found, Reader
from zerglings.storage.base import Store, StoreError

logger = logging.getLogger(__name__)

KIND_SPAWNED, KIND_MOVED, KIND_DIED = "spawned", "moved", "died"


@dataclass(frozen=True, slots=True)
class Event:
    """What happened to a zergling.

    Args:
        kind: ``spawned``, ``moved`` or ``died``.
        id: the zergling's id.
        zergling: its current state, or None if its document was removed.
    """

    kind: str
    id: str
    zergling: Zergling | None

    @classmethod
    def of(cls, zergling_id: str, zergling: Zergling | None) -> Event:
        """Return the event for a zergling, given its current state."""
        if zergling is None or zergling.is_dead:
            return cls(KIND_DIED, zergling_id, zergling)
        return cls(KIND_MOVED if zergling.command_count else KIND_SPAWNED, zergling_id, zergling)


@dataclass(frozen=True, slots=True)
class ChangeBatch:
    """Events, the store position after them, and whether more are available at once."""

    events: list[Event]
    position: str
    has_more: bool = False


class ChangeEventReader:
    """Reads the change events of one store. Thread-safe.

    Args:
        store: reports changed ids.
        reader: reads the zerglings, with rivals merged.
    """

    def __init__(self, store: Store, reader: Reader) -> None:
        self._store = store
        self._reader = reader

    def changes_after(
        self, since: str | None, limit: int, *, timeout: float, wait: float
    ) -> ChangeBatch:
        """Return the events of up to ``limit`` zerglings that changed after a position.

        A zergling that cannot be read is left out until its next change, and logged. For the
        arguments see ``Store.changes``.

        Raises:
            StoreUnavailable: the store failed.
            UnknownPosition: the position ``since`` is invalid or no longer known.
        """
        changes = self._store.changes(since, limit, timeout=timeout, wait=wait)
        ids = list(filter(is_zergling_id, changes.ids))
        found = self._read(ids, timeout)
        events = [
            Event.of(id_, zergling)
            for id_ in ids
            if id_ in found and not isinstance(zergling := found[id_], StoreError)
        ]
        return ChangeBatch(events, changes.position, has_more=len(changes.ids) >= limit)

    def _read(self, ids: list[str], timeout: float) -> dict[str, Found]:
        found = self._reader.read(ids, timeout=timeout)
        failed, before = _failed(ids, found), len(ids) + 1
        while failed and len(failed) < before:  # finding many lost bases may exceed one timeout
            before = len(failed)
            found |= self._reader.read(failed, timeout=timeout)
            failed = _failed(failed, found)
        for id_ in failed:
            logger.warning("Left out the change event of %s: %s", id_, found[id_])
        return found


def _failed(ids: list[str], found: dict[str, Found]) -> list[str]:
    return [id_ for id_ in ids if isinstance(found.get(id_), StoreError)]
