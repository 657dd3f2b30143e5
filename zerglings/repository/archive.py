"""The older parts of histories: chunks in a store of their own, whose content never changes.

Walks from a zergling back to its spawn. What no zergling reaches (the chunk of a write that lost a
race) is passed over.
"""

from __future__ import annotations

import logging
import threading
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice, takewhile

from zerglings.cooperative import in_slices
from zerglings.documents import Document
from zerglings.domain.chunks import CHUNKS_AT_ONCE, Chunk, first_id, is_long, last_id, shortened
from zerglings.domain.document import NotAZergling
from zerglings.domain.merging import Leaf
from zerglings.domain.shrinking import smaller
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
"""How many of the newest words an idempotency key is looked for in, at least."""

PAGE = 20
"""Chunks to read at once: some thousands of words."""

PORTION = 50_000
"""Words of chunks to store with one call, or the words of one: about 900 KiB."""

TAIL = SHORTEST_TAIL = 100
"""Words that a document keeps when its history is cut; the settings may say more, never less."""

WHOLE_CACHED = 2000
"""Revisions of the original's documents that a process remembers to have no chunks."""

KEYS_CACHED = 2000
"""Chunks whose keys a process remembers, some 10 KiB each at most; they never change."""


@dataclass(frozen=True, slots=True)
class _Keys:
    """What a search for a key needs of a chunk: the ids by key, and where to look next."""

    end: int
    ids: dict[str, str]
    previous: str | None


class Archive:
    """The chunks of all zerglings. Safe to use from many threads at once.

    Every method but ``shortened`` may raise ``StoreUnavailable``; each ``timeout`` is in seconds
    for one store call.

    Args:
        store: where the chunks are.
        tail: words that a zergling's document keeps when its history is shortened.
    """

    def __init__(self, store: Store, tail: int = TAIL) -> None:
        self._store = store
        self._tail = tail
        self._keys: OrderedDict[str, _Keys] = OrderedDict()
        self._whole: OrderedDict[str, None] = OrderedDict()
        self._lock = threading.Lock()

    def shortened(
        self, zerglings: Sequence[Zergling], stored: Sequence[int], time_left: TimeLeft
    ) -> Sequence[Zergling]:
        """Move the oldest parts out of long histories; while that cannot be, they stay long.

        Of each no more is moved than the first words, so many as ``stored`` says.
        """
        pairs = [
            shortened(zergling, self._tail, known)
            for zergling, known in zip(zerglings, stored, strict=True)
        ]
        chunks = [chunk for _, cut in pairs for chunk in cut]
        if not chunks:
            return zerglings
        try:
            self.keep(chunks, timeout=time_left())
        except StoreError as error:
            if isinstance(error, TooLarge) and len(zerglings) > 1:  # it may be one part of one
                return [
                    shorter
                    for zergling, known in zip(zerglings, stored, strict=True)
                    for shorter in self.shortened([zergling], [known], time_left)
                ]
            logger.warning("Older history stays where it is for now: %s", error)
            return zerglings
        return [shorter for shorter, _ in pairs]

    def smaller(self, zergling: Zergling, stored: int) -> Iterator[tuple[Zergling, list[Chunk]]]:
        """Do as ``shrinking.smaller`` for what the store refuses as too large."""
        return smaller(zergling, min(self._tail, SHORTEST_TAIL), stored)

    def moved(self, zergling: Zergling, *, timeout: float) -> Zergling:
        """Move the oldest part out of a stored zergling's history, however long that takes.

        Raises:
            StoreUnavailable, OutcomeUnknown: it is not certain that all of it is there.
        """
        shorter, chunks = shortened(zergling, self._tail)
        self.keep(chunks, timeout=timeout)
        return shorter

    def is_long(self, zergling: Zergling) -> bool:
        """Whether so much is to be moved out of a document that others would have to wait."""
        return is_long(zergling, self._tail)

    def keep(self, chunks: Sequence[Chunk], *, timeout: float) -> None:
        """Store chunks, each with a majority.

        One that is there already has the same content; it gets a new revision, by which whoever
        would remove it as unreachable learns that it is wanted again.

        Raises:
            StoreUnavailable, OutcomeUnknown: it is not certain that a majority has all of them.
        """
        for portion in _portions(chunks):
            self._keep([chunk.encode() for chunk in portion], timeout)

    def _keep(self, chunks: Sequence[Document], timeout: float) -> None:
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
            raise StoreUnavailable("a part of a history was changed by somebody else just now")

    def _put(self, documents: Sequence[Document], timeout: float) -> list[str]:
        """Store documents and return the ids of those that somebody else has just stored."""
        conflicts = []
        results = self._store.put_many(documents, timeout=timeout) if documents else []
        for document, result in zip(documents, results, strict=True):
            if isinstance(result, Conflict):
                conflicts.append(document["_id"])
            elif isinstance(result, StoreError):
                raise result
            elif result.is_minority:
                raise OutcomeUnknown(
                    "only a minority of the store's copies has a part of a history"
                )
        return conflicts

    def newest_first(self, zergling: Zergling, *, timeout: float) -> Iterator[Chunk]:
        """Yield the chunks before a zergling's kept history, back to its spawn."""
        wanted = zergling.base.chunk
        while wanted is not None:
            # From just above the wanted one down. A page comes from one copy of a cluster's
            # database and may lag, so what it lacks is asked for by name.
            page = self._store.page(
                f"{wanted}~", PAGE, until=first_id(zergling.id), descending=True, timeout=timeout
            )
            documents = {document["_id"]: document for document in page.documents}
            del page
            if wanted not in documents:
                documents[wanted] = self._get(wanted, timeout)
            while wanted in documents:
                chunk = _decoded(documents[wanted])
                yield chunk
                wanted = chunk.previous

    def oldest_first(self, zergling: Zergling, offset: int, *, timeout: float) -> Iterator[Chunk]:
        """Yield the chunks that hold a zergling's words from the one numbered ``offset`` on."""
        ids = []
        for chunk in self.newest_first(zergling, timeout=timeout):
            if chunk.end <= offset:
                break
            ids.append(chunk.id)
        while ids:
            group, ids = ids[: -PAGE - 1 : -1], ids[:-PAGE]
            found = self._store.get_many(group, timeout=timeout)
            for chunk_id in group:
                documents = found.pop(chunk_id, None)
                yield _decoded(documents[0] if documents else self._get(chunk_id, timeout))

    def id_under_key(self, zergling: Zergling, mark: str, time_left: TimeLeft) -> str | None:
        """Return the id of the request with this key mark among the newest words, if any has it."""
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
        """Yield the ids of the requests behind the first ``since`` words, in no certain order."""
        yield from zergling.request_ids[max(0, since - zergling.base.count) :]
        if zergling.base.count > since:
            for chunk in self.newest_first(zergling, timeout=timeout):
                yield from chunk.request_ids[max(0, since - chunk.start) :]
                if chunk.start <= since:
                    break

    def completed(self, zergling: Zergling, *, timeout: float) -> Zergling:
        """Return a zergling that the original service wrote with its base and spawn found again.

        Its history continues the newest chunk that ends where it begins. Several that begin at the
        same place are attempts at one cut, made of the same words.
        """
        known_whole = f"{zergling.id}@{zergling.revision}"
        if not zergling.is_stripped or len(zergling.history) < min(self._tail, SHORTEST_TAIL):
            return zergling
        if known_whole in self._whole:
            return zergling
        ending = (
            chunk
            for chunk in self._all_newest_first(zergling.id, timeout)
            if chunk.after == zergling.base.pose
        )
        attempts = list(islice(ending, 1))
        attempts += takewhile(lambda chunk: chunk.start == attempts[0].start, ending)
        self._store.check_copies(timeout=timeout)  # a list that is short would cut its life short
        if not attempts:
            self._note_whole(known_whole)
            return zergling
        chunk = _continued(attempts, zergling.history)
        found = replace(zergling, base=Base(chunk.after, chunk.end, chunk.id))
        *_, first = self.newest_first(found, timeout=timeout)
        return replace(found, spawn=first.before)

    def _all_newest_first(self, zergling_id: str, timeout: float) -> Iterator[Chunk]:
        """Yield all chunks of a zergling, those too that it does not reach."""
        after: str | None = last_id(zergling_id)
        while after is not None:
            page = self._store.page(
                after, PAGE, until=first_id(zergling_id), descending=True, timeout=timeout
            )
            yield from map(_decoded, page.documents)
            after = page.after

    def _note_whole(self, mark: str) -> None:
        with self._lock:
            self._whole[mark] = None
            while len(self._whole) > WHOLE_CACHED:
                self._whole.popitem(last=False)

    def leaves(self, rivals: Sequence[Zergling], *, timeout: float) -> list[Leaf]:
        """Return rivals with their older requests, back to a chunk that all of them share."""
        reached = [zergling.base for zergling in rivals]
        passed: list[list[Chunk]] = [[] for _ in rivals]
        walks = [self.newest_first(zergling, timeout=timeout) for zergling in rivals]
        while len({base.chunk for base in reached}) > 1:
            deepest = max(range(len(rivals)), key=lambda number: reached[number].count)
            chunk = next(walks[deepest], None)
            if chunk is None:  # its base counts words that no chunk holds
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

    def _keys_of(self, zergling: Zergling, chunk_id: str, time_left: TimeLeft) -> _Keys:
        with self._lock:
            if (known := self._keys.get(chunk_id)) is not None:
                self._keys.move_to_end(chunk_id)
                return known
        rest = replace(zergling, base=replace(zergling.base, chunk=chunk_id))
        found: list[_Keys] = []
        for chunk in self.newest_first(rest, timeout=time_left()):
            if found and chunk.end <= zergling.command_count - WORDS_REMEMBERED:
                break
            found.append(self._remember(chunk))
        return found[0]

    def _remember(self, chunk: Chunk) -> _Keys:
        ids = {mark: id_ for id_ in chunk.request_ids if (mark := key_mark(id_)) is not None}
        keys = _Keys(chunk.end, ids, chunk.previous)
        with self._lock:
            self._keys[chunk.id] = keys
            while len(self._keys) > KEYS_CACHED:
                self._keys.popitem(last=False)
        return keys


def _portions(chunks: Sequence[Chunk]) -> Iterator[list[Chunk]]:
    """Yield chunks in the portions that are stored with one call."""
    portion: list[Chunk] = []
    words = 0
    for chunk in chunks:
        if portion and words + len(chunk.words) > PORTION:
            yield portion
            portion, words = [], 0
        portion.append(chunk)
        words += len(chunk.words)
    if portion:
        yield portion


class MissingChunk(StoreUnavailable):
    """A part of a history is not where the next part says it is."""

    def __init__(self, chunk_id: str, why: str = "missing") -> None:
        super().__init__(f"the part {chunk_id!r} of a history is {why}")


def _requests_oldest_first(newest_first: Sequence[Chunk]) -> Iterator[CommandRequest]:
    for some in in_slices(newest_first[::-1], CHUNKS_AT_ONCE):
        for chunk in some:
            yield from chunk.requests()


def _continued(attempts: Sequence[Chunk], history: tuple[str, ...]) -> Chunk:
    """Return which of several attempts at a cut a history goes on from.

    Every attempt holds words of the same life, so a short one can only be it where the history
    begins with what a long one has beyond it.
    """
    longest = max(attempts, key=lambda chunk: chunk.end)
    return next(
        chunk
        for chunk in sorted(attempts, key=lambda chunk: chunk.end)
        if (chunk.words + history)[: len(longest.words)] == longest.words
    )


def _decoded(document: Document) -> Chunk:
    try:
        return Chunk.decode(document)
    except NotAZergling as error:
        raise MissingChunk(str(document.get("_id")), f"damaged: {error}") from error
