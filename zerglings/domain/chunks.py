"""Chunks: the oldest parts of a long history, each an immutable document of its own.

A document that holds a whole life costs more with every command, so its oldest part moves out. A
chunk's id names its content, so that writing it twice does no harm. Pure values, no store.
"""

from __future__ import annotations

import hashlib
from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import orjson

from zerglings.cooperative import in_slices
from zerglings.documents import Document
from zerglings.domain.document import NotAZergling, decode_pose, decode_words, encode_pose
from zerglings.domain.zergling import (
    DIED,
    Base,
    CommandRequest,
    Pose,
    Zergling,
    replay,
    requests_of,
    returns,
)

LARGEST_CHUNK = 1000
"""Words that a chunk holds at most, unless a single request has more."""

CHUNKS_AT_ONCE = 4
"""Chunks to make without giving way to others."""

LONG = 10_000
"""Words of a document that take some hundredths of a second to move out of it."""


@dataclass(frozen=True, slots=True)
class Chunk:
    """``words`` led from ``before`` to ``after``; ``start`` words of the life came before them.

    ``previous`` is the id of the chunk before this one, None for the first.
    """

    zergling_id: str
    start: int
    before: Pose
    after: Pose
    words: tuple[str, ...]
    request_ids: tuple[str, ...]
    previous: str | None

    @property
    def end(self) -> int:
        """How many words of the life there are up to the chunk's end."""
        return self.start + len(self.words)

    @property
    def id(self) -> str:
        """The document id: whose, from which word on (16 digits) and the content's hash."""
        digest = hashlib.sha256(orjson.dumps(self._content(), option=orjson.OPT_SORT_KEYS))
        return f"{self.zergling_id}:{self.start:016d}:{digest.hexdigest()[:16]}"

    def requests(self) -> tuple[CommandRequest, ...]:
        """Return the requests that the chunk is made of."""
        return tuple(requests_of(self.words, self.request_ids))

    def encode(self) -> Document:
        """Return the document to store."""
        return {"_id": self.id, **self._content()}

    def _content(self) -> Document:
        return {
            "start": self.start,
            "count": len(self.words),
            "before": encode_pose(self.before),
            "after": encode_pose(self.after),
            "commandIds": list(self.request_ids),
            "commands": list(self.words),
            "chunk": self.previous,
        }

    @classmethod
    def decode(cls, document: Mapping[str, Any]) -> Chunk:
        """Return the chunk that a document holds.

        Raises:
            NotAZergling: it holds none, or a damaged one.
        """
        start, previous = document.get("start"), document.get("chunk")
        if type(start) is not int or not (previous is None or isinstance(previous, str)):
            raise NotAZergling("the chunk has no start, or no chunk before it")
        chunk = cls(
            zergling_id=str(document.get("_id")).partition(":")[0],
            start=start,
            before=decode_pose(document.get("before"), "before"),
            after=decode_pose(document.get("after"), "after"),
            words=decode_words(document.get("commands"), "commands"),
            request_ids=decode_words(document.get("commandIds"), "commandIds"),
            previous=previous,
        )
        if len(chunk.words) != len(chunk.request_ids) or not all(chunk.request_ids[:1]):
            raise NotAZergling("the chunk's commands and ids do not fit together")
        if chunk.id != document.get("_id"):
            raise NotAZergling("the chunk's content is not what its id says")
        return chunk


def is_long(zergling: Zergling, tail: int) -> bool:
    """Whether a document has far more words than ``shortened`` would have left in it.

    That is what the original service wrote, which never moves anything out of its documents. To
    move so much takes longer than others may be kept waiting.
    """
    return len(zergling.history) > max(LONG, 4 * tail)


def first_id(zergling_id: str) -> str:
    """Return an id below those of all chunks of a zergling."""
    return f"{zergling_id}:"


def last_id(zergling_id: str) -> str:
    """Return an id above those of all chunks of a zergling."""
    return f"{zergling_id};"


def shortened(
    zergling: Zergling, tail: int, stored: int | None = None
) -> tuple[Zergling, list[Chunk]]:
    """Move the oldest words out of a history longer than twice ``tail``; no fewer than that stay.

    Only the first ``stored`` words are moved, all of them if that is None. The others may never get
    into the document, and a chunk that nobody reaches must hold nothing that did not happen.

    Requests are never split, so more words may stay. A death stays where it is looked for, and the
    dead as they are unless that would be too much for a document. Where
    the original service writes, a place is all that tells whether a history begins before or after
    a cut; so none is made where the zergling stands as it did at the beginning, unless the history
    is four times the tail already.
    """
    if len(zergling.history) <= 2 * tail:
        return zergling, []
    if zergling.is_dead:
        if not is_long(zergling, tail):
            return zergling, []
        death = zergling.history.index(DIED)
        stored = death if stored is None else min(stored, death)
    return cut_at(zergling, _cuts(zergling, tail, stored))


def cut_at(zergling: Zergling, cuts: Sequence[int]) -> tuple[Zergling, list[Chunk]]:
    """Move the words before the last of some places, at which requests begin, into chunks."""
    chunks: list[Chunk] = []
    base, position = zergling.base, 0
    request_ids = tuple(zergling.request_ids)
    for end in _few_at_a_time(cuts):
        words = zergling.history[position:end]
        chunk = Chunk(
            zergling_id=zergling.id,
            start=base.count,
            before=base.pose,
            after=replay(base.pose, words),
            words=words,
            request_ids=request_ids[position:end],
            previous=base.chunk,
        )
        chunks.append(chunk)
        base, position = Base(chunk.after, chunk.end, chunk.id), end
    shorter = replace(
        zergling,
        base=base,
        history=zergling.history[position:],
        request_ids=request_ids[position:],
    )
    return shorter, chunks


def _few_at_a_time(cuts: Sequence[int]) -> Iterator[int]:
    for some in in_slices(cuts, CHUNKS_AT_ONCE):
        yield from some


def _cuts(zergling: Zergling, tail: int, stored: int | None) -> Sequence[int]:
    """Return where to cut: where requests begin, before the tail, in chunks of some size.

    The place depends on the words from the base on, hardly on how many came since: of attempts that
    lost a race each finds the same one.
    """
    length = len(zergling.history)
    last = length - tail if stored is None else min(stored, length - tail)
    request_ids = tuple(zergling.request_ids)
    beginnings = [n for some in in_slices(range(1, last + 1)) for n in some if request_ids[n]]
    returned = returns(zergling.base.pose, zergling.history[:last])
    places = [n for some in in_slices(beginnings) for n in some if n not in returned]
    if not places and length > 4 * tail:
        places = beginnings
    cuts: list[int] = []
    start = used = 0
    while used < len(places) and length - start > 2 * tail:
        used = max(bisect_right(places, start + _size(length - start, tail)), used + 1)
        start = places[used - 1]
        cuts.append(start)
    return cuts


def _size(length: int, tail: int) -> int:
    """Return how many words to cut off so many; it changes only where these have doubled."""
    if length >= LARGEST_CHUNK + tail:
        return LARGEST_CHUNK
    size = tail + 1
    while length >= 4 * size:
        size *= 2
    return size
