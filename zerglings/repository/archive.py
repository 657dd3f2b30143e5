"""The archive: moves the older parts of histories into chunks, and finds requests in them."""

from __future__ import annotations

import logging
import threading
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import takewhile

from zerglings.cooperative import in_slices
from zerglings.domain.chunks import (
    CHUNKS_PER_SLICE,
    Chunk,
    first_id,
    needs_background_move,
    shorten,
)
from zerglings.domain.merging import Leaf
from zerglings.domain.request_ids import key_mark
from zerglings.domain.shrinking import smaller_forms
from zerglings.domain.zergling import Base, CommandRequest, Zergling
from zerglings.repository.chunk_store import ChunkStore, MissingChunk
from zerglings.repository.retry_budget import TimeLeft
from zerglings.storage.base import Store, StoreError, StoreUnavailable, TooLarge

logger = logging.getLogger(__name__)

TAIL = SHORTEST_TAIL = 100
"""Default and minimum of the words that stay in a document when its history is shortened."""

REMEMBERED_WORDS = 500_000
"""Maximum number of words in the chunks that are remembered for merges which took too long."""

KEY_CACHE_SIZE = 2000
"""Chunks whose idempotency keys are cached. An entry takes at most about 16 KiB for a chunk of
100 words, and 160 KiB for one of 1000. Chunks never change, so entries never become stale."""


@dataclass(frozen=True, slots=True)
class _ChunkKeys:
    """A cached chunk: its end, its request ids by key mark, and the id of the chunk before it."""

    end: int
    ids: dict[str, str]
    previous: str | None


@dataclass(slots=True, eq=False)
class _Walk:
    """A walk from a zergling back along its chunks. ``passed`` holds the chunks, newest first."""

    reached: Base
    zergling: Zergling
    chunks: Iterator[Chunk]
    passed: list[Chunk] = field(default_factory=list)

    def step(self) -> None:
        """Pass one chunk.

        Raises:
            MissingChunk: the chunk is missing, or the base counts words that no chunk holds.
        """
        chunk = next(self.chunks, None)
        if chunk is None:
            raise MissingChunk(f"{first_id(self.zergling.id)}?")
        self.reached = Base(chunk.before, chunk.start, chunk.previous)
        self.passed.append(chunk)


class _PassedChunks:
    """The chunks that unfinished walks have passed, by id. Thread-safe."""

    def __init__(self) -> None:
        self._chunks: OrderedDict[str, Chunk] = OrderedDict()
        self._words = 0
        self._lock = threading.Lock()

    def get(self, chunk_id: str) -> Chunk | None:
        with self._lock:
            return self._chunks.get(chunk_id)

    def add(self, chunks: Sequence[Chunk]) -> None:
        """Remember chunks, and forget the oldest ones beyond ``REMEMBERED_WORDS``."""
        with self._lock:
            for chunk in chunks:
                if chunk.id not in self._chunks:
                    self._chunks[chunk.id] = chunk
                    self._words += len(chunk.words)
            while self._words > REMEMBERED_WORDS:
                _, forgotten = self._chunks.popitem(last=False)
                self._words -= len(forgotten.words)


class Archive(ChunkStore):
    """Moves old words of zerglings into chunks, and searches their chunks. Thread-safe.

    Every method that calls the store, except ``shorten``, raises the errors of ``ChunkStore``.

    Args:
        store: holds the chunks.
        tail: words that stay in a document when its history is shortened.
    """

    def __init__(self, store: Store, tail: int = TAIL) -> None:
        super().__init__(store)
        self.tail = tail
        self._keys: OrderedDict[str, _ChunkKeys] = OrderedDict()
        self._passed = _PassedChunks()
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

    def words(
        self, zergling: Zergling, start: int, end: int, *, timeout: float
    ) -> Iterator[Sequence[str]]:
        """Yield the words from number ``start`` (inclusive) to ``end`` (exclusive), in parts."""
        kept_from = zergling.base.count
        if start < min(kept_from, end):
            older = self.oldest_first(zergling, start, timeout=timeout)
            for chunk in takewhile(lambda chunk: chunk.start < end, older):
                yield chunk.words[max(0, start - chunk.start) : end - chunk.start]
        if end > kept_from:
            yield zergling.history[max(0, start - kept_from) : end - kept_from]

    def find_keyed_id(self, zergling: Zergling, mark: str, time_left: TimeLeft) -> str | None:
        """Return the id of the request with this key mark, or None if it is not found.

        Only the words from ``Zergling.keys_from`` on are searched, and those of their chunks.
        """
        for request_id in zergling.request_ids:
            if key_mark(request_id) == mark:
                return request_id
        oldest = zergling.keys_from
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

    def load_leaves(self, rivals: Sequence[Zergling], time_left: TimeLeft) -> list[Leaf]:
        """Return rivals with their older requests, back to the newest chunk that all share.

        A rival is left out if one of these chunks is missing: replication can deliver a document
        before its chunks. At least one rival is returned, because a single one needs no chunk.

        The chunks that were read before an error are remembered. So when the time is up, the next
        call goes on where this one has stopped.

        Args:
            rivals: the rivals.
            time_left: the time for all store calls together, which can be many.
        """
        walks = [
            _Walk(zergling.base, zergling, self._walk(zergling, time_left)) for zergling in rivals
        ]
        try:
            while len({walk.reached.chunk for walk in walks}) > 1:
                deepest = max(walks, key=lambda walk: walk.reached.count)
                try:
                    deepest.step()
                except MissingChunk:
                    walks.remove(deepest)
        except StoreUnavailable:
            for walk in walks:
                self._passed.add(walk.passed)
            raise
        return [Leaf(walk.zergling, tuple(_requests_oldest_first(walk.passed))) for walk in walks]

    def _walk(self, zergling: Zergling, time_left: TimeLeft) -> Iterator[Chunk]:
        """Yield the chunks of a zergling, newest first.

        Chunks that an earlier call has read before its time was up come from memory.
        """
        wanted = zergling.base.chunk
        while wanted is not None and (chunk := self._passed.get(wanted)) is not None:
            yield chunk
            wanted = chunk.previous
        rest = replace(zergling, base=replace(zergling.base, chunk=wanted))
        for chunk in self.newest_first(rest, timeout=time_left()):
            yield chunk
            time_left()

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
            if found and chunk.end <= zergling.keys_from:
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


def _requests_oldest_first(newest_first: Sequence[Chunk]) -> Iterator[CommandRequest]:
    for part in in_slices(newest_first[::-1], CHUNKS_PER_SLICE):
        for chunk in part:
            yield from chunk.requests()
