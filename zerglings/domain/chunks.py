"""Chunks: immutable documents that hold the oldest parts of a long history.

The longer a document, the more each command costs to store. So the oldest words move to chunks. A
chunk's id contains a hash of its content, so storing it twice is harmless.
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
from zerglings.domain.document_format import NotAZergling, decode_pose, decode_words, encode_pose
from zerglings.domain.pose import ORIGINAL_SPAWN, Pose, replay, visits
from zerglings.domain.zergling import DIED, Base, CommandRequest, Zergling, requests_of

LARGEST_CHUNK = 1000
"""Maximum number of words in a chunk. A chunk has more if the next suitable cut (see ``shorten``)
is farther away."""

CHUNKS_PER_SLICE = 4
"""Chunks to create or decode between two yields to other greenlets."""

LONG_HISTORY = 10_000
"""Number of words above which shortening a document takes a few hundredths of a second or more."""


@dataclass(frozen=True, slots=True)
class Chunk:
    """A part of a zergling's history.

    Args:
        zergling_id: whose history it is.
        start: number of words between the spawn and the chunk.
        before: the pose before the chunk's first word.
        after: the pose after its last word.
        words: the words.
        request_ids: parallel to them, as in ``Zergling``.
        previous: id of the chunk before this one, or None for the first.
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
        """Number of words between the spawn and the chunk's end."""
        return self.start + len(self.words)

    @property
    def id(self) -> str:
        """The document id: the zergling's id, ``start`` in 16 digits, and a hash of the content."""
        digest = hashlib.sha256(orjson.dumps(self._content(), option=orjson.OPT_SORT_KEYS))
        return f"{self.zergling_id}:{self.start:016d}:{digest.hexdigest()[:16]}"

    def requests(self) -> tuple[CommandRequest, ...]:
        """Return the requests that the chunk holds."""
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
            NotAZergling: the document is damaged or not a chunk.
        """
        start, previous = document.get("start"), document.get("chunk")
        if type(start) is not int or not (previous is None or isinstance(previous, str)):
            raise NotAZergling("the chunk has an invalid start or previous chunk")
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
            raise NotAZergling("the chunk's commands and commandIds do not match")
        if chunk.id != document.get("_id"):
            raise NotAZergling("the chunk's content does not match the hash in its id")
        return chunk


def needs_background_move(zergling: Zergling, tail: int) -> bool:
    """Whether shortening this zergling takes so long that other requests must not wait for it.

    This happens to documents of the original service, which never shortens them.

    Args:
        zergling: as it is stored.
        tail: words that stay in the document.
    """
    return len(zergling.history) > max(LONG_HISTORY, 4 * tail)


def first_id(zergling_id: str) -> str:
    """Return an id that sorts before those of all chunks of a zergling."""
    return f"{zergling_id}:"


def last_id(zergling_id: str) -> str:
    """Return an id that sorts after those of all chunks of a zergling."""
    return f"{zergling_id};"


def shorten(
    zergling: Zergling, tail: int, stored: int | None = None
) -> tuple[Zergling, list[Chunk]]:
    """Move the oldest words of a long history into chunks.

    Words are moved once the history has more than twice ``tail`` words. Requests are never split.
    The history of a dead zergling is shortened only if it is very long. The death stays in the
    document.

    The original service drops ``base`` when it rewrites a document. Afterwards only the pose before
    the first word, computed by undoing the history, shows that words were moved. So a cut is made
    where the pose differs from the pose at the base and from those at which histories begin. If
    there is no such position, a cut is made at any request once the history has more than four
    times ``tail`` words. The history of a zergling that lacks its base is shortened only if it is
    very long, because afterwards no chunk can be put before it.

    Args:
        zergling: the zergling to shorten.
        tail: minimum number of words that stay in the document.
        stored: number of words at the beginning of ``history`` that the stored document already
            has; None if all. Only these are moved: storing the others may fail, and a chunk must
            hold only commands that were executed.

    Returns:
        The zergling as its document should be, and the chunks to store before it.
    """
    if len(zergling.history) <= 2 * tail:
        return zergling, []
    if zergling.lacks_base and not needs_background_move(zergling, tail):
        return zergling, []
    if zergling.is_dead:
        if not needs_background_move(zergling, tail):
            return zergling, []
        death = zergling.history.index(DIED)
        stored = death if stored is None else min(stored, death)
    return split_at(zergling, _cut_positions(zergling, tail, stored))


def split_at(zergling: Zergling, cuts: Sequence[int]) -> tuple[Zergling, list[Chunk]]:
    """Move all words before the last cut into chunks. Each chunk ends at a cut.

    Args:
        zergling: the zergling to shorten.
        cuts: ascending indexes into ``history``, each at the beginning of a request.
    """
    chunks: list[Chunk] = []
    base, position = zergling.base, 0
    request_ids = tuple(zergling.request_ids)
    for end in _in_small_slices(cuts):
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
        lacks_base=False,
    )
    return shorter, chunks


def beginnings(zergling: Zergling) -> set[Pose]:
    """Return the poses at which a document must not begin, if possible, after a cut.

    A document of the original that begins at one of them may begin at a spawn.
    """
    return {zergling.base.pose, zergling.spawn, ORIGINAL_SPAWN}


def _in_small_slices(cuts: Sequence[int]) -> Iterator[int]:
    for part in in_slices(cuts, CHUNKS_PER_SLICE):
        yield from part


def _cut_positions(zergling: Zergling, tail: int, stored: int | None) -> Sequence[int]:
    """Return the indexes at which to cut, each at the beginning of a request.

    The positions depend on the oldest words, and hardly on the number of words after them. So
    competing attempts, which differ in their new words, usually create the same chunks.
    """
    length = len(zergling.history)
    last = length - tail if stored is None else min(stored, length - tail)
    request_ids = tuple(zergling.request_ids)
    request_starts = [n for part in in_slices(range(1, last + 1)) for n in part if request_ids[n]]
    unsuitable = visits(zergling.base.pose, zergling.history[:last], beginnings(zergling))
    candidates = [n for part in in_slices(request_starts) for n in part if n not in unsuitable]
    if not candidates and length > 4 * tail:
        candidates = request_starts
    cuts: list[int] = []
    start = used = 0
    while used < len(candidates) and length - start > 2 * tail:
        used = max(bisect_right(candidates, start + _chunk_size(length - start, tail)), used + 1)
        start = candidates[used - 1]
        cuts.append(start)
    return cuts


def _chunk_size(length: int, tail: int) -> int:
    """Return how many words to move out of a history of ``length`` words.

    Below ``LARGEST_CHUNK`` the size changes only when the length of the history doubles, so that
    competing attempts compute the same size.
    """
    if length >= LARGEST_CHUNK + tail:
        return LARGEST_CHUNK
    size = tail + 1
    while length >= 4 * size:
        size *= 2
    return size
