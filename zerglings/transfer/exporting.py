"""Exports a store: its zerglings, dead ones too, with their whole histories, and the keys.

The keys are the idempotency keys of bulk requests. The service may be running: each zergling is
exported in a state that it had during the export. That state is consistent, because the chunks of
its history never change. Dead zerglings that ``heal`` has removed are not exported.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import partial
from itertools import islice

from zerglings.domain.chunks import Chunk
from zerglings.domain.document_format import NotAZergling, encode
from zerglings.domain.zergling import Zergling
from zerglings.hive import idempotency
from zerglings.repository.archive import Archive
from zerglings.repository.chunk_store import CHUNKS_PER_READ, Incomplete, MissingChunk
from zerglings.repository.reading import Found, Reader
from zerglings.repository.retry_budget import BATCH_JOB_TIMEOUT
from zerglings.storage.base import Page, Store, StoreError
from zerglings.transfer.lineage import check_chunk, check_zergling
from zerglings.transfer.lines import ExportWriter, is_key
from zerglings.transfer.retrying import Pause, with_retries
from zerglings.transfer.tally import Tally

logger = logging.getLogger(__name__)

ZERGLINGS_PER_READ = 200
"""Number of zerglings to read with one call."""

PAGES_PER_COMPARISON = 10
"""Pages of ids to list before the store's copies are compared again."""


class Exporter:
    """Exports one store.

    ``skipped`` counts documents of other programs. ``damaged`` counts zerglings with an incomplete
    or inconsistent history: they are logged and not exported, because an import would reject them.

    Args:
        store: the source; rival revisions are merged there first.
        tail: minimum number of words that stay in a document when older ones move to chunks.
        pause: sleeps for a number of seconds.
    """

    def __init__(self, store: Store, tail: int, *, pause: Pause = time.sleep) -> None:
        self._store = store
        self._archive = Archive(store.history, tail)
        self._reader = Reader(store, self._archive)
        self._pause = pause
        self.skipped = 0
        self.damaged = 0

    def write(self, writer: ExportWriter, progress: Callable[[Tally], None]) -> None:
        """Write the zerglings after the last one in ``writer``, then all keys and the trailer.

        Raises:
            CopiesBehind: copies still lacked documents at the last retry, so lists may be
                incomplete.
            StoreError: the store still failed at the last retry. The export can be resumed.
        """
        after, more = writer.tally.last_id or None, True
        while more:
            ids, after = with_retries(partial(self._listed, after), self._pause)
            more = after is not None
            for start in range(0, len(ids), ZERGLINGS_PER_READ):
                self._write_all(ids[start : start + ZERGLINGS_PER_READ], writer)
                progress(writer.tally)
        self._write_keys(writer)
        writer.end()

    def _listed(self, after: str | None) -> tuple[list[str], str | None]:
        """List the ids of up to ``PAGES_PER_COMPARISON`` pages after an id.

        The copies are compared before and after, because lists are incomplete while a copy lacks
        documents. So the file is complete up to its last zergling, and can be resumed there.

        Returns:
            The ids, and the ``after`` of the next call, None at the end.
        """
        ids: list[str] = []
        self._store.check_copies(timeout=BATCH_JOB_TIMEOUT)
        for _ in range(PAGES_PER_COMPARISON):
            page = self._store.page(after, ZERGLINGS_PER_READ, timeout=BATCH_JOB_TIMEOUT)
            ids += [str(document["_id"]) for document in page.documents]
            after = page.after
            if after is None:
                break
        self._store.check_copies(timeout=BATCH_JOB_TIMEOUT)
        return ids, after

    def _write_keys(self, writer: ExportWriter) -> None:
        after: str | None = idempotency.PREFIX
        while after is not None:
            page = with_retries(partial(self._page_of_keys, after), self._pause)
            for record in page.documents:
                content = {name: record[name] for name in sorted(record) if name != "_rev"}
                if is_key(content):
                    writer.key(content)
                else:
                    self.skipped += 1
            after = page.after

    def _page_of_keys(self, after: str) -> Page:
        history, until = self._store.history, f"{idempotency.PREFIX}~"
        history.check_copies(timeout=BATCH_JOB_TIMEOUT)
        page = history.page(after, ZERGLINGS_PER_READ, until=until, timeout=BATCH_JOB_TIMEOUT)
        history.check_copies(timeout=BATCH_JOB_TIMEOUT)
        return page

    def _write_all(self, ids: Sequence[str], writer: ExportWriter) -> None:
        found = with_retries(lambda: self._read(ids), self._pause)
        for id_ in ids:
            zergling = found.get(id_)
            if isinstance(zergling, Zergling):
                self._write(zergling, writer)
            elif isinstance(zergling, StoreError):
                self._count_damaged(id_, zergling)
            else:
                self.skipped += 1

    def _read(self, ids: Sequence[str]) -> dict[str, Found]:
        found = self._reader.read(ids, timeout=BATCH_JOB_TIMEOUT)
        for zergling in found.values():
            if isinstance(zergling, StoreError) and not isinstance(zergling, Incomplete):
                raise zergling
        return found

    def _write(self, zergling: Zergling, writer: ExportWriter) -> None:
        try:
            chunks = with_retries(lambda: self._checked(zergling), self._pause)
        except (MissingChunk, NotAZergling) as error:
            self._count_damaged(zergling.id, error)
            return
        for chunk in chunks:
            writer.chunk(chunk)
        writer.zergling(encode(replace(zergling, revision=None)))

    def _checked(self, zergling: Zergling) -> Iterable[Chunk]:
        """Check a zergling's whole history; return its chunks, oldest first.

        Raises:
            MissingChunk: a chunk is missing.
            NotAZergling: the history is inconsistent.
            StoreUnavailable: the store does not answer.
        """
        if zergling.base.chunk is None:
            check_zergling(zergling, None)
            return ()
        walk = self._archive.newest_first(zergling, timeout=BATCH_JOB_TIMEOUT)
        newest = list(islice(walk, CHUNKS_PER_READ))
        check_zergling(zergling, newest[0])
        later = newest[0]
        for chunk in (*newest[1:], *walk):
            check_chunk(later, chunk)
            later = chunk
        check_chunk(later, None)
        if len(newest) < CHUNKS_PER_READ:
            return reversed(newest)
        return self._archive.oldest_first(zergling, 0, timeout=BATCH_JOB_TIMEOUT)

    def _count_damaged(self, zergling_id: str, error: Exception) -> None:
        self.damaged += 1
        logger.warning("Zergling %s is not exported: %s", zergling_id, error)
