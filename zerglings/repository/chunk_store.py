"""Stores chunks of histories, and reads them along their links.

It neither reads nor writes the zerglings' own documents.

Chunks form a linked list from a zergling back to its spawn. Unreferenced chunks, which remain after
writes that lost a race, are ignored.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from zerglings.documents import Document
from zerglings.domain.chunks import Chunk, first_id, last_id
from zerglings.domain.document_format import NotAZergling
from zerglings.domain.zergling import Zergling
from zerglings.storage.base import (
    Conflict,
    OutcomeUnknown,
    Store,
    StoreError,
    StoreUnavailable,
)

CHUNKS_PER_READ = 20
"""Chunks to read with one call: up to about 20,000 words."""

WORDS_PER_WRITE = 50_000
"""Words to store with one call, about 900 KiB. A single chunk may have more."""


class Incomplete(StoreUnavailable):
    """A part of one zergling is missing. The others are not affected."""


class MissingChunk(Incomplete):
    """A chunk that a zergling or another chunk references is missing or damaged."""

    def __init__(self, chunk_id: str, why: str = "missing") -> None:
        super().__init__(f"the history chunk {chunk_id!r} is {why}")
        self.chunk_id = chunk_id


class DamagedChunk(MissingChunk):
    """A chunk cannot be decoded."""


class ChunkStore:
    """The chunks of all zerglings. Thread-safe.

    Each ``timeout`` is in seconds and applies to each store call. Every method raises
    ``StoreUnavailable`` if the store fails. The methods that read chunks raise ``MissingChunk`` if
    a chunk is missing or damaged.

    Args:
        store: holds the chunks.
    """

    def __init__(self, store: Store) -> None:
        self._store = store

    def store_chunks(self, chunks: Sequence[Chunk], *, timeout: float) -> None:
        """Store chunks on a majority of the store's copies.

        An existing chunk with the same content is written again. Its new revision prevents a
        concurrent ``heal`` from removing it as unreachable.

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
            if chunk.end > offset:
                ids.append(chunk.id)
            if chunk.start <= offset:
                break
        while ids:
            group, ids = ids[: -CHUNKS_PER_READ - 1 : -1], ids[:-CHUNKS_PER_READ]
            found = self._store.get_many(group, timeout=timeout)
            for chunk_id in group:
                documents = found.pop(chunk_id, None)
                yield _decode_chunk(documents[0] if documents else self._get(chunk_id, timeout))

    def has(self, chunk_id: str, *, timeout: float) -> bool:
        """Whether any copy of the store has a chunk."""
        found = self._store.get_many([chunk_id], all_copies=True, timeout=timeout)
        return bool(found.get(chunk_id))

    def known_from(self, zergling: Zergling, offset: int, *, timeout: float) -> int:
        """Return the number of the oldest word, from ``offset`` on, with no missing chunk after it.

        Raises:
            DamagedChunk: a chunk that is there cannot be decoded.
        """
        known = zergling.base.count
        try:
            for chunk in self.newest_first(zergling, timeout=timeout):
                known = chunk.start
                if known <= offset:
                    break
        except DamagedChunk:
            raise
        except MissingChunk:
            pass  # all before it is out of reach
        return max(known, offset)

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

    def _get(self, chunk_id: str, timeout: float) -> Document:
        found = self._store.get_many([chunk_id], all_copies=True, timeout=timeout)
        if not found.get(chunk_id):
            raise MissingChunk(chunk_id)
        return found[chunk_id][0]


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


def _decode_chunk(document: Document) -> Chunk:
    try:
        return Chunk.decode(document)
    except NotAZergling as error:
        raise DamagedChunk(str(document.get("_id")), f"damaged: {error}") from error
