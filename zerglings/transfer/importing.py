"""Importing: what a file of zerglings holds into a store, each read back and compared.

What is there and equal is left alone, so that an import may be run again. What is there and
different is never overwritten, and the dead are never revived.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace

from zerglings.documents import Document
from zerglings.domain.document import encode
from zerglings.repository.archive import Archive
from zerglings.repository.reading import Found, Reader
from zerglings.storage.base import OutcomeUnknown, Store, StoreError, StoreUnavailable
from zerglings.transfer.lines import Entry
from zerglings.transfer.retrying import CALL_TIMEOUT, Pause, Result, with_retries

BATCH = 200
BATCH_SIZE = 4 * 2**20
"""Documents, and about so many bytes, to write with one call."""

DIFFERENCES_TOLD = 5
"""How many of the documents that differ are named."""

Progress = Callable[[int], None]
"""Told how many bytes of the file are done with, since the last time."""


class Different(Exception):
    """The store has something else under ids of the file; ``ids`` are the first few."""

    def __init__(self, count: int, ids: Sequence[str]) -> None:
        super().__init__(f"{count} documents of the file differ from those in the store")
        self.ids = ids


@dataclass(slots=True)
class _Batch:
    """Some lines of the file, and what is known of their fate."""

    entries: list[Entry] = field(default_factory=list)
    is_in_doubt: bool = False
    new: list[Entry] | None = None

    @property
    def size(self) -> int:
        return sum(entry.size for entry in self.entries)


@dataclass(frozen=True, slots=True)
class _Look:
    """What a look at the store has shown of a batch."""

    missing: list[Entry]
    different: list[Entry]


class Importer:
    """Imports into one store. Every method may raise ``StoreError``; run again, it goes on.

    ``written`` and ``skipped`` count documents by their kind.

    Args:
        store: where they go; it is bootstrapped.
        tail: words that a document keeps when a settled history is shortened.
        pause: waits for so many seconds.
    """

    def __init__(self, store: Store, tail: int, *, pause: Pause = time.sleep) -> None:
        self._store = store
        self._reader = Reader(store, Archive(store.history, tail))
        self._pause = pause
        self.written: Counter[str] = Counter()
        self.skipped: Counter[str] = Counter()

    def compare(self, entries: Iterable[Entry], progress: Progress) -> bool:
        """Return whether the store has all of a whole file already; writes nothing of it.

        Raises:
            Different: something is.
        """
        is_complete, count = True, 0
        ids: list[str] = []
        for batch in _batches(entries):
            look = self._retried(batch, self._look)
            is_complete = is_complete and not look.missing
            count += len(look.different)
            ids += [entry.id for entry in look.different[: DIFFERENCES_TOLD - len(ids)]]
            progress(batch.size)
        if count:
            raise Different(count, ids)
        return is_complete

    def write(self, entries: Iterable[Entry], progress: Progress) -> None:
        """Store what is not there, read it back and compare it.

        Raises:
            Different: something is in the way of the batch that was to be written next.
        """
        for batch in _batches(entries):
            self._retried(batch, self._bring)
            written = Counter(entry.kind for entry in batch.new or ())
            self.written += written
            self.skipped += Counter(entry.kind for entry in batch.entries) - written
            progress(batch.size)

    def _retried(self, batch: _Batch, step: Callable[[_Batch], Result]) -> Result:
        return with_retries(lambda: step(batch), self._pause)

    def _bring(self, batch: _Batch) -> None:
        missing = self._missing(batch)
        if batch.new is None:
            batch.new = missing
        if not missing:
            return
        try:
            is_minority = self._put(missing)
        except OutcomeUnknown:
            batch.is_in_doubt = True
            raise
        batch.is_in_doubt = batch.is_in_doubt or is_minority
        if self._missing(batch):
            raise StoreUnavailable("what was written cannot be read back")

    def _missing(self, batch: _Batch) -> list[Entry]:
        look = self._look(batch)
        if look.different:
            ids = [entry.id for entry in look.different[:DIFFERENCES_TOLD]]
            raise Different(len(look.different), ids)
        return look.missing

    def _put(self, missing: Sequence[Entry]) -> bool:
        """Store parts of histories, then zerglings; return whether only a minority has some."""
        beside = [entry.document for entry in missing if entry.zergling is None]
        zerglings = [entry.document for entry in missing if entry.zergling is not None]
        is_minority = _put(self._store.history, beside)
        return _put(self._store, zerglings) or is_minority

    def _look(self, batch: _Batch) -> _Look:
        """Read what the store has of a batch; from all copies when a write is in doubt."""
        beside = [entry for entry in batch.entries if entry.zergling is None]
        zerglings = [entry for entry in batch.entries if entry.zergling is not None]
        stored = self._stored_beside([entry.id for entry in beside], batch)
        found = self._reader.read(
            [entry.id for entry in zerglings],
            timeout=CALL_TIMEOUT,
            all_copies=batch.is_in_doubt,
        )
        missing = [entry for entry in beside if not stored.get(entry.id)]
        different = [
            entry
            for entry in beside
            if any(_content(leaf) != entry.document for leaf in stored.get(entry.id, ()))
        ]
        for entry in zerglings:
            if entry.id not in found:
                missing.append(entry)
            elif not _is_equal(entry, found[entry.id]):
                different.append(entry)
        return _Look(missing, different)

    def _stored_beside(self, ids: Sequence[str], batch: _Batch) -> dict[str, list[Document]]:
        if not ids:
            return {}
        return self._store.history.get_many(ids, timeout=CALL_TIMEOUT, all_copies=batch.is_in_doubt)


def _put(store: Store, documents: Sequence[Document]) -> bool:
    """Store new documents; return whether a minority of copies has some of them.

    Raises:
        StoreError: what became of the first that was not stored.
    """
    results = store.put_many(documents, timeout=CALL_TIMEOUT) if documents else []
    is_minority = False
    for result in results:
        if isinstance(result, StoreError):
            raise result
        is_minority = is_minority or result.is_minority
    return is_minority


def _is_equal(entry: Entry, found: Found) -> bool:
    """Whether the store's zergling is the file's.

    One whose document was removed long after its death equals one that is dead in the file.

    Raises:
        StoreError: that cannot be told.
    """
    if isinstance(found, StoreError):
        raise found
    if found is None:
        return entry.zergling is not None and entry.zergling.is_dead
    return encode(replace(found, revision=None)) == entry.document


def _content(document: Document) -> Document:
    return {name: value for name, value in document.items() if name != "_rev"}


def _batches(entries: Iterable[Entry]) -> Iterator[_Batch]:
    batch, size = _Batch(), 0
    for entry in entries:
        batch.entries.append(entry)
        size += entry.size
        if len(batch.entries) >= BATCH or size >= BATCH_SIZE:
            yield batch
            batch, size = _Batch(), 0
    if batch.entries:
        yield batch
