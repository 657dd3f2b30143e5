"""News of zerglings: what became of those that the store says were changed.

The store tells which, and each is then read anew, with its rivals settled, so what is told of one
never goes back. Knows nothing of who listens.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass

from zerglings.domain.document import is_zergling_id
from zerglings.domain.zergling import Zergling
from zerglings.repository.reading import Found, Reader
from zerglings.storage.base import Store, StoreError

logger = logging.getLogger(__name__)

SPAWNED, MOVED, DIED = "spawned", "moved", "died"


@dataclass(frozen=True, slots=True)
class Event:
    """What became of a zergling; of one whose document was removed only the id is left."""

    kind: str
    id: str
    zergling: Zergling | None

    @classmethod
    def of(cls, zergling_id: str, zergling: Zergling | None) -> Event:
        """Return what is to be told of a zergling, as it is found now."""
        if zergling is None or zergling.is_dead:
            return cls(DIED, zergling_id, zergling)
        return cls(MOVED if zergling.command_count else SPAWNED, zergling_id, zergling)


@dataclass(frozen=True, slots=True)
class ChangeBatch:
    """Some events, the place in the store's changes to go on from, and whether there is more."""

    events: list[Event]
    position: str
    has_more: bool = False


class ChangeEventReader:
    """Finds out what happened in one store. Safe to use from many threads at once.

    Args:
        store: where the zerglings are.
        reader: reads them, settled.
    """

    def __init__(self, store: Store, reader: Reader) -> None:
        self._store = store
        self._reader = reader

    def news(self, since: str | None, limit: int, *, timeout: float, wait: float) -> ChangeBatch:
        """Return what happened to up to ``limit`` zerglings after a position.

        The arguments are those of ``Store.changes``. A zergling that cannot be read is left out,
        until it is changed again.

        Raises:
            StoreUnavailable: the store did not tell.
            UnknownPosition: it cannot tell what happened after ``since``.
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
        while failed and len(failed) < before:  # many rivals take longer than one read may
            before = len(failed)
            found |= self._reader.read(failed, timeout=timeout)
            failed = _failed(failed, found)
        for id_ in failed:
            logger.warning("What happened to %s is not told: %s", id_, found[id_])
        return found


def _failed(ids: list[str], found: dict[str, Found]) -> list[str]:
    return [id_ for id_ in ids if isinstance(found.get(id_), StoreError)]
