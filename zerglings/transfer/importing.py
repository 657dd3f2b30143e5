"""Imports an export into a store, and verifies each document by reading it back.

Documents that the store already has are skipped, so an import can be run again. Documents that
differ are never overwritten, and dead zerglings are never revived.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace

from zerglings.documents import Document
from zerglings.domain.document_format import encode
from zerglings.repository.archive import Archive
from zerglings.repository.reading import Found, Reader
from zerglings.repository.retry_budget import BATCH_JOB_TIMEOUT
from zerglings.storage.base import OutcomeUnknown, Store, StoreError, StoreUnavailable
from zerglings.transfer.lines import Entry
from zerglings.transfer.retrying import Pause, Result, with_retries

BATCH = 200
BATCH_SIZE = 4 * 2**20
"""Limits of one write: documents, and bytes (approximate)."""

NAMED_DIFFERENCES = 5
"""Maximum number of ids of differing documents that an error lists."""

Progress = Callable[[int], None]
"""Called with the number of bytes that were processed since the last call."""


class Different(Exception):
    """The store has different documents under ids of the file; ``ids`` are the first few."""

    def __init__(self, count: int, ids: Sequence[str]) -> None:
        super().__init__(f"{count} documents of the file differ from those in the store")
        self.ids = ids


@dataclass(slots=True)
class _Batch:
    """Consecutive entries of the file, and the state of their import.

    ``is_in_doubt``: a write may have reached some copies only, so all copies have to be read.
    ``new``: the entries that the store did not have before the first attempt, None until then.
    """

    entries: list[Entry] = field(default_factory=list)
    is_in_doubt: bool = False
    new: list[Entry] | None = None

    @property
    def size(self) -> int:
        return sum(entry.size for entry in self.entries)


@dataclass(frozen=True, slots=True)
class _Comparison:
    """The entries of a batch that the store lacks, or has with different content."""

    missing: list[Entry]
    different: list[Entry]


class Importer:
    """Imports into one store. If a method raises ``StoreError``, it can be called again.

    ``written`` and ``skipped`` count documents by their kind.

    Args:
        store: the target, already bootstrapped.
        tail: minimum number of words that stay in a document when older ones move to chunks.
        pause: sleeps for a number of seconds.
    """

    def __init__(self, store: Store, tail: int, *, pause: Pause = time.sleep) -> None:
        self._store = store
        self._reader = Reader(store, Archive(store.history, tail))
        self._pause = pause
        self.written: Counter[str] = Counter()
        self.skipped: Counter[str] = Counter()

    def compare(self, entries: Iterable[Entry], progress: Progress) -> bool:
        """Return whether the store already has all entries, without writing any.

        Raises:
            Different: the store has other documents under some of the ids.
        """
        is_complete, count = True, 0
        ids: list[str] = []
        for batch in _batches(entries):
            comparison = self._retried(batch, self._compare)
            is_complete = is_complete and not comparison.missing
            count += len(comparison.different)
            ids += [entry.id for entry in comparison.different[: NAMED_DIFFERENCES - len(ids)]]
            progress(batch.size)
        if count:
            raise Different(count, ids)
        return is_complete

    def write(self, entries: Iterable[Entry], progress: Progress) -> None:
        """Write the missing entries batch by batch; read each batch back and compare it.

        Raises:
            Different: the store has other documents under some ids of the next batch.
        """
        for batch in _batches(entries):
            self._retried(batch, self._write_batch)
            written = Counter(entry.kind for entry in batch.new or ())
            self.written += written
            self.skipped += Counter(entry.kind for entry in batch.entries) - written
            progress(batch.size)

    def _retried(self, batch: _Batch, step: Callable[[_Batch], Result]) -> Result:
        return with_retries(lambda: step(batch), self._pause)

    def _write_batch(self, batch: _Batch) -> None:
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
        comparison = self._compare(batch)
        if comparison.different:
            ids = [entry.id for entry in comparison.different[:NAMED_DIFFERENCES]]
            raise Different(len(comparison.different), ids)
        return comparison.missing

    def _put(self, missing: Sequence[Entry]) -> bool:
        """Write chunks and keys, then the zerglings that refer to them.

        Returns:
            Whether some document reached only a minority of its copies.
        """
        others = [entry.document for entry in missing if entry.zergling is None]
        zerglings = [entry.document for entry in missing if entry.zergling is not None]
        is_minority = _put(self._store.history, others)
        return _put(self._store, zerglings) or is_minority

    def _compare(self, batch: _Batch) -> _Comparison:
        """Compare a batch with the store; read all copies if a write is in doubt."""
        others = [entry for entry in batch.entries if entry.zergling is None]
        zerglings = [entry for entry in batch.entries if entry.zergling is not None]
        stored = self._stored_in_history([entry.id for entry in others], batch)
        found = self._reader.read(
            [entry.id for entry in zerglings],
            timeout=BATCH_JOB_TIMEOUT,
            all_copies=batch.is_in_doubt,
        )
        missing = [entry for entry in others if not stored.get(entry.id)]
        different = [
            entry
            for entry in others
            if any(_without_revision(leaf) != entry.document for leaf in stored.get(entry.id, ()))
        ]
        for entry in zerglings:
            if entry.id not in found:
                missing.append(entry)
            elif not _is_equal(entry, found[entry.id]):
                different.append(entry)
        return _Comparison(missing, different)

    def _stored_in_history(self, ids: Sequence[str], batch: _Batch) -> dict[str, list[Document]]:
        if not ids:
            return {}
        return self._store.history.get_many(
            ids, timeout=BATCH_JOB_TIMEOUT, all_copies=batch.is_in_doubt
        )


def _put(store: Store, documents: Sequence[Document]) -> bool:
    """Write new documents; return whether some reached only a minority of their copies.

    Raises:
        StoreError: the error of the first document that was not stored.
    """
    results = store.put_many(documents, timeout=BATCH_JOB_TIMEOUT) if documents else []
    is_minority = False
    for result in results:
        if isinstance(result, StoreError):
            raise result
        is_minority = is_minority or result.is_minority
    return is_minority


def _is_equal(entry: Entry, found: Found) -> bool:
    """Whether the store's zergling equals the file's.

    A zergling that died and whose document was removed (``found`` is None) equals any dead one.

    Raises:
        StoreError: the zergling could not be read.
    """
    if isinstance(found, StoreError):
        raise found
    if found is None:
        return entry.zergling is not None and entry.zergling.is_dead
    return encode(replace(found, revision=None)) == entry.document


def _without_revision(document: Document) -> Document:
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
