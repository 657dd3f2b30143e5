"""The older parts of histories: chunks in a store of their own, written once and never changed.

Walks from a zergling back to its spawn. What no zergling reaches (the chunk of a write that lost a
race) is passed over.
"""

from __future__ import annotations

import logging
import threading
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from zerglings.chunks import Chunk, first_id, last_id
from zerglings.document import NotAZergling
from zerglings.merging import Leaf
from zerglings.storage.base import Conflict, Document, Store, StoreError, StoreUnavailable
from zerglings.zergling import Base, Zergling, key_mark, replay

logger = logging.getLogger(__name__)

WORDS_REMEMBERED = 1000
"""How many of the newest words an idempotency key is looked for in, at least."""

PAGE = 20
"""Chunks to read at once: some thousands of words."""

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

    Every method may raise ``StoreUnavailable``; each ``timeout`` is in seconds for one store call.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._keys: OrderedDict[str, _Keys] = OrderedDict()
        self._lock = threading.Lock()

    def keep(self, chunks: Sequence[Chunk], *, timeout: float) -> None:
        """Store chunks; one that is there already has the same content.

        Raises:
            OutcomeUnknown: it is not certain that all are stored.
        """
        documents = {chunk.id: chunk.encode() for chunk in chunks}
        for result in self._store.put_many(list(documents.values()), timeout=timeout):
            if isinstance(result, StoreError) and not isinstance(result, Conflict):
                raise result

    def newest_first(self, zergling: Zergling, *, timeout: float) -> Iterator[Chunk]:
        """Yield the chunks before a zergling's kept history, back to its spawn."""
        wanted = zergling.base.chunk
        while wanted is not None:
            # From just above the wanted one down. A page comes from one copy of a cluster's
            # database and may lag, so what it lacks is asked for by name.
            page = self._store.page(
                f"{wanted}~", PAGE, until=first_id(zergling.id), descending=True, timeout=timeout
            )
            chunks = [_decoded(document) for document in page.documents]
            if all(chunk.id != wanted for chunk in chunks):
                chunks.insert(0, self._get(wanted, timeout))
            for chunk in chunks:
                if chunk.id == wanted:
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
                documents = found.get(chunk_id)
                yield _decoded(documents[0]) if documents else self._get(chunk_id, timeout)

    def id_under_key(self, zergling: Zergling, mark: str, *, timeout: float) -> str | None:
        """Return the id of the request with this key mark among the newest words, if any has it."""
        for request_id in zergling.request_ids:
            if key_mark(request_id) == mark:
                return request_id
        oldest = zergling.command_count - WORDS_REMEMBERED
        wanted = zergling.base.chunk
        while wanted is not None:
            keys = self._keys_of(zergling, wanted, timeout)
            if keys.end <= oldest:
                return None
            if mark in keys.ids:
                return keys.ids[mark]
            wanted = keys.previous
        return None

    def holds(self, zergling: Zergling, request_id: str, *, since: int, timeout: float) -> bool:
        """Whether a request is among the older words, those after the first ``since``."""
        if zergling.base.count <= since:
            return False
        for chunk in self.newest_first(zergling, timeout=timeout):
            if request_id in chunk.request_ids:
                return True
            if chunk.start <= since:
                break
        return False

    def completed(self, zergling: Zergling, tail: int, *, timeout: float) -> Zergling:
        """Return a zergling that the original service wrote with its base and spawn found again.

        Its history continues the newest chunk that leads to where it stands. A chunk that begins
        as the history does was cut from it by somebody who lost the race, and is none of its past.
        """
        if not zergling.is_stripped or len(zergling.history) < tail:
            return zergling
        after: str | None = last_id(zergling.id)
        while after is not None:
            page = self._store.page(
                after, PAGE, until=first_id(zergling.id), descending=True, timeout=timeout
            )
            for chunk in map(_decoded, page.documents):
                is_cut = chunk.words == zergling.history[: len(chunk.words)]
                if not is_cut and replay(chunk.after, zergling.history) == zergling.pose:
                    found = replace(zergling, base=Base(chunk.after, chunk.end, chunk.id))
                    *_, first = self.newest_first(found, timeout=timeout)
                    return replace(found, spawn=first.before)
            after = page.after
        return zergling

    def leaves(self, rivals: Sequence[Zergling], *, timeout: float) -> list[Leaf]:
        """Return rivals with their older requests, back to a chunk that all of them share."""
        leaves = [Leaf(zergling) for zergling in rivals]
        reached = [zergling.base for zergling in rivals]
        walks = [self.newest_first(zergling, timeout=timeout) for zergling in rivals]
        while len({base.chunk for base in reached}) > 1:
            deepest = max(range(len(rivals)), key=lambda number: reached[number].count)
            chunk = next(walks[deepest])
            reached[deepest] = Base(chunk.before, chunk.start, chunk.previous)
            leaf = leaves[deepest]
            leaves[deepest] = replace(leaf, older=chunk.requests() + leaf.older)
        return leaves

    def _get(self, chunk_id: str, timeout: float) -> Chunk:
        found = self._store.get_many([chunk_id], all_copies=True, timeout=timeout)
        if not found.get(chunk_id):
            raise MissingChunk(chunk_id)
        return _decoded(found[chunk_id][0])

    def _keys_of(self, zergling: Zergling, chunk_id: str, timeout: float) -> _Keys:
        with self._lock:
            if (known := self._keys.get(chunk_id)) is not None:
                self._keys.move_to_end(chunk_id)
                return known
        rest = replace(zergling, base=replace(zergling.base, chunk=chunk_id))
        found: list[_Keys] = []
        for chunk in self.newest_first(rest, timeout=timeout):
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


class MissingChunk(StoreUnavailable):
    """A part of a history is not where the next part says it is."""

    def __init__(self, chunk_id: str, why: str = "missing") -> None:
        super().__init__(f"the part {chunk_id!r} of a history is {why}")
        self.chunk_id = chunk_id


def _decoded(document: Document) -> Chunk:
    try:
        return Chunk.decode(document)
    except NotAZergling as error:
        raise MissingChunk(str(document.get("_id")), f"damaged: {error}") from error
