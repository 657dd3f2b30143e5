"""The archive: the older parts of histories, as chunks in a store of their own.

Chunks form a linked list from a zergling back to its spawn. Unreferenced chunks, which remain after
writes that lost a race, are ignored.
"""

from __future__ import annotations

import logging
import threading
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from zerglings.cooperative import in_slices
from zerglings.documents import Document
from zerglings.domain.chunks import (
    CHUNKS_PER_SLICE,
    Chunk,
    first_id,
    last_id,
    needs_background_move,
    shorten,
)
from zerglings.domain.document_format import NotAZergling
from zerglings.domain.merging import Leaf
from zerglings.domain.shrinking import smaller_forms
from zerglings.domain.zergling import Base, CommandRequest, Zergling, key_mark
from zerglings.repository.retry_budget import TimeLeft
from zerglings.storage.base import (
    Conflict,
    OutcomeUnknown,
    Store,
    StoreError,
    StoreUnavailable,
    TooLarge,
)

logger = logging.getLogger(__name__)

WORDS_REMEMBERED = 1000
"""An idempotency key is recognised in at least this many of the newest words."""

CHUNKS_PER_READ = 20
"""Chunks to read with one call, up to some thousands of words."""

WORDS_PER_WRITE = 50_000
"""Words to store with one call, about 900 KiB. A single chunk may have more."""

TAIL = SHORTEST_TAIL = 100
"""Default and minimum of the words that stay in a document when its history is shortened."""

KEY_CACHE_SIZE = 2000
"""Chunks whose idempotency keys are cached, at most some 10 KiB each. Chunks never change, so the
entries never become stale."""


@dataclass(frozen=True, slots=True)
class _ChunkKeys:
    """A cached chunk: its end, its request ids by key mark, and the id of the chunk before it."""

    end: int
    ids: dict[str, str]
    previous: str | None


class Archive:
    """The chunks of all zerglings. Thread-safe.

    Each ``timeout`` is in seconds and applies to each store call. Every method that calls the
    store, except ``shorten``, raises ``StoreUnavailable`` if the store fails, and ``MissingChunk``
    if a chunk is missing or damaged.

    Args:
        store: holds the chunks.
        tail: words that stay in a document when its history is shortened.
    """

    def __init__(self, store: Store, tail: int = TAIL) -> None:
        self._store = store
        self.tail = tail
        self._keys: OrderedDict[str, _ChunkKeys] = OrderedDict()
        self._lock = threading.Lock()

    def shorten(
        self, zerglings: Sequence[Zergling], stored: Sequence[int], time_left: TimeLeft
    ) -> Sequence[Zergling]:
        """Move the oldest words of long histories into chunks, and return the shortened zerglings.

        If the chunks cannot be stored, the histories stay long until a later write.

        Args:
            zerglings: what is about to be stored.
            stored: for each, how many words the stored document already has, see
                ``chunks.shorten``.
            time_left: the time for all store calls together.
        """
        pairs = [
            shorten(zergling, self.tail, known)
            for zergling, known in zip(zerglings, stored, strict=True)
        ]
        chunks = [chunk for _, cut in pairs for chunk in cut]
        if not chunks:
            return zerglings
        try:
            self.store_chunks(chunks, timeout=time_left())
        except StoreError as error:
            if isinstance(error, TooLarge) and len(zerglings) > 1:
                # Retry each alone, because the chunks of only one may be too large.
                return [
                    shorter
                    for zergling, known in zip(zerglings, stored, strict=True)
                    for shorter in self.shorten([zergling], [known], time_left)
                ]
            logger.warning("Could not move older commands into chunks, will retry: %s", error)
            return zerglings
        return [shorter for shorter, _ in pairs]

    def smaller_forms(
        self, zergling: Zergling, stored: int
    ) -> Iterator[tuple[Zergling, list[Chunk]]]:
        """Yield smaller forms of a zergling that is too large, see ``shrinking.smaller_forms``."""
        return smaller_forms(zergling, min(self.tail, SHORTEST_TAIL), stored)

    def move_history(self, zergling: Zergling, *, timeout: float) -> Zergling:
        """Store the oldest words of a stored zergling as chunks, and return the shortened zergling.

        This may take many seconds.

        Raises:
            StoreUnavailable, OutcomeUnknown: some chunks may not have been stored.
        """
        shorter, chunks = shorten(zergling, self.tail)
        self.store_chunks(chunks, timeout=timeout)
        return shorter

    def needs_background_move(self, zergling: Zergling) -> bool:
        """Whether shortening takes so long that other requests must not wait for it."""
        return needs_background_move(zergling, self.tail)

    def store_chunks(self, chunks: Sequence[Chunk], *, timeout: float) -> None:
        """Store chunks on a majority of the store's copies.

        An existing chunk with the same content is written again. Its new revision keeps ``heal``
        from removing it as unreachable.

        Raises:
            StoreUnavailable, OutcomeUnknown: some chunks may not be stored on a majority.
        """
        for batch in _write_batches(chunks):
            self._store_batch([chunk.encode() for chunk in batch], timeout)

    def _store_batch(self, chunks: Sequence[Document], timeout: float) -> None:
        documents = {chunk["_id"]: chunk for chunk in chunks}
        known = self._put(chunks, timeout)
        if not known:
            return
        found = self._store.get_many(known, timeout=timeout)
        again = [
            documents[id_] | {"_rev": leaf["_rev"]}
            for id_ in known
            for leaf in found.get(id_, [])[:1]
        ]
        if len(again) < len(known) or self._put(again, timeout):
            raise StoreUnavailable("a chunk of the history was changed at the same time")

    def _put(self, documents: Sequence[Document], timeout: float) -> list[str]:
        """Store documents, and return the ids of those that conflict with a concurrent write."""
        conflicts = []
        results = self._store.put_many(documents, timeout=timeout) if documents else []
        for document, result in zip(documents, results, strict=True):
            if isinstance(result, Conflict):
                conflicts.append(document["_id"])
            elif isinstance(result, StoreError):
                raise result
            elif result.is_minority:
                raise OutcomeUnknown(
                    "only a minority of the store's copies has a chunk of the history"
                )
        return conflicts

    def newest_first(self, zergling: Zergling, *, timeout: float) -> Iterator[Chunk]:
        """Yield the chunks of a zergling from the newest back to its spawn."""
        wanted = zergling.base.chunk
        while wanted is not None:
            # A page comes from one copy of a cluster's database and may lag, so a missing chunk is
            # read by its id. "~" sorts after all characters of an id.
            page = self._store.page(
                f"{wanted}~",
                CHUNKS_PER_READ,
                until=first_id(zergling.id),
                descending=True,
                timeout=timeout,
            )
            documents = {document["_id"]: document for document in page.documents}
            del page
            if wanted not in documents:
                documents[wanted] = self._get(wanted, timeout)
            while wanted in documents:
                chunk = _decode_chunk(documents[wanted])
                yield chunk
                wanted = chunk.previous

    def oldest_first(self, zergling: Zergling, offset: int, *, timeout: float) -> Iterator[Chunk]:
        """Yield the chunks that hold words from number ``offset`` on, oldest first."""
        ids = []
        for chunk in self.newest_first(zergling, timeout=timeout):
            if chunk.end <= offset:
                break
            ids.append(chunk.id)
        while ids:
            group, ids = ids[: -CHUNKS_PER_READ - 1 : -1], ids[:-CHUNKS_PER_READ]
            found = self._store.get_many(group, timeout=timeout)
            for chunk_id in group:
                documents = found.pop(chunk_id, None)
                yield _decode_chunk(documents[0] if documents else self._get(chunk_id, timeout))

    def find_keyed_id(self, zergling: Zergling, mark: str, time_left: TimeLeft) -> str | None:
        """Return the id of the request with this key mark, or None if it is not found.

        Only the newest words are searched, at least ``WORDS_REMEMBERED``.
        """
        for request_id in zergling.request_ids:
            if key_mark(request_id) == mark:
                return request_id
        oldest = zergling.command_count - WORDS_REMEMBERED
        wanted = zergling.base.chunk
        while wanted is not None:
            keys = self._keys_of(zergling, wanted, time_left)
            if keys.end <= oldest:
                return None
            if mark in keys.ids:
                return keys.ids[mark]
            wanted = keys.previous
        return None

    def ids_since(self, zergling: Zergling, since: int, *, timeout: float) -> Iterator[str]:
        """Yield, in any order, the ids of the requests after the first ``since`` words."""
        yield from zergling.request_ids[max(0, since - zergling.base.count) :]
        if zergling.base.count > since:
            for chunk in self.newest_first(zergling, timeout=timeout):
                yield from chunk.request_ids[max(0, since - chunk.start) :]
                if chunk.start <= since:
                    break

    def check_copies(self, *, timeout: float) -> None:
        """Check that every copy of the database is complete; otherwise lists may be incomplete.

        Raises:
            CopiesBehind: copies in service lack documents.
            StoreUnavailable: the copies could not be compared.
        """
        self._store.check_copies(timeout=timeout)

    def all_newest_first(self, zergling_id: str, *, timeout: float) -> Iterator[Chunk]:
        """Yield all chunks of a zergling by descending position, including unreferenced ones."""
        after: str | None = last_id(zergling_id)
        while after is not None:
            page = self._store.page(
                after,
                CHUNKS_PER_READ,
                until=first_id(zergling_id),
                descending=True,
                timeout=timeout,
            )
            yield from map(_decode_chunk, page.documents)
            after = page.after

    def load_leaves(self, rivals: Sequence[Zergling], *, timeout: float) -> list[Leaf]:
        """Return rivals with their older requests, back to the newest chunk that all share.

        Raises:
            MissingChunk: a chunk is missing, or a base counts words that no chunk holds.
        """
        reached = [zergling.base for zergling in rivals]
        passed: list[list[Chunk]] = [[] for _ in rivals]
        walks = [self.newest_first(zergling, timeout=timeout) for zergling in rivals]
        while len({base.chunk for base in reached}) > 1:
            deepest = max(range(len(rivals)), key=lambda number: reached[number].count)
            chunk = next(walks[deepest], None)
            if chunk is None:  # the base counts words that no chunk holds
                raise MissingChunk(f"{first_id(rivals[deepest].id)}?")
            reached[deepest] = Base(chunk.before, chunk.start, chunk.previous)
            passed[deepest].append(chunk)
        return [
            Leaf(zergling, tuple(_requests_oldest_first(chunks)))
            for zergling, chunks in zip(rivals, passed, strict=True)
        ]

    def _get(self, chunk_id: str, timeout: float) -> Document:
        found = self._store.get_many([chunk_id], all_copies=True, timeout=timeout)
        if not found.get(chunk_id):
            raise MissingChunk(chunk_id)
        return found[chunk_id][0]

    def _keys_of(self, zergling: Zergling, chunk_id: str, time_left: TimeLeft) -> _ChunkKeys:
        """Return the keys of one of a zergling's chunks.

        If they are not cached, read the chunk and all older ones that ``find_keyed_id`` may need.
        """
        with self._lock:
            if (known := self._keys.get(chunk_id)) is not None:
                self._keys.move_to_end(chunk_id)
                return known
        rest = replace(zergling, base=replace(zergling.base, chunk=chunk_id))
        found: list[_ChunkKeys] = []
        for chunk in self.newest_first(rest, timeout=time_left()):
            if found and chunk.end <= zergling.command_count - WORDS_REMEMBERED:
                break
            found.append(self._remember(chunk))
        return found[0]

    def _remember(self, chunk: Chunk) -> _ChunkKeys:
        ids = {mark: id_ for id_ in chunk.request_ids if (mark := key_mark(id_)) is not None}
        keys = _ChunkKeys(chunk.end, ids, chunk.previous)
        with self._lock:
            self._keys[chunk.id] = keys
            while len(self._keys) > KEY_CACHE_SIZE:
                self._keys.popitem(last=False)
        return keys


def _write_batches(chunks: Sequence[Chunk]) -> Iterator[list[Chunk]]:
    """Yield chunks in batches of up to ``WORDS_PER_WRITE`` words."""
    batch: list[Chunk] = []
    words = 0
    for chunk in chunks:
        if batch and words + len(chunk.words) > WORDS_PER_WRITE:
            yield batch
            batch, words = [], 0
        batch.append(chunk)
        words += len(chunk.words)
    if batch:
        yield batch


class MissingChunk(StoreUnavailable):
    """A chunk that a zergling or another chunk references is missing or damaged."""

    def __init__(self, chunk_id: str, why: str = "missing") -> None:
        super().__init__(f"the history chunk {chunk_id!r} is {why}")


def _requests_oldest_first(newest_first: Sequence[Chunk]) -> Iterator[CommandRequest]:
    for part in in_slices(newest_first[::-1], CHUNKS_PER_SLICE):
        for chunk in part:
            yield from chunk.requests()


def _decode_chunk(document: Document) -> Chunk:
    try:
        return Chunk.decode(document)
    except NotAZergling as error:
        raise MissingChunk(str(document.get("_id")), f"damaged: {error}") from error
