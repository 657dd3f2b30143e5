"""Chunks: the oldest parts of a long history, each an immutable document of its own.

A document that holds a whole life costs more with every command, so its oldest part moves out. A
chunk's id names its content, so that writing it twice does no harm. Pure values, no store.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import orjson

from zerglings.document import NotAZergling, decode_pose, decode_words, encode_pose
from zerglings.storage.base import Document
from zerglings.zergling import Base, Pose, Request, Zergling, replay, requests_of

LARGEST_CHUNK = 1000
"""Words that a chunk holds at most, unless a single request has more."""


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

    def requests(self) -> tuple[Request, ...]:
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


def first_id(zergling_id: str) -> str:
    """Return an id below those of all chunks of a zergling."""
    return f"{zergling_id}:"


def last_id(zergling_id: str) -> str:
    """Return an id above those of all chunks of a zergling."""
    return f"{zergling_id};"


def shortened(zergling: Zergling, tail: int) -> tuple[Zergling, list[Chunk]]:
    """Move all but the newest ``tail`` words out of a history longer than twice that.

    Requests are never split, so more words may stay. A death stays where it is looked for.
    """
    if len(zergling.history) <= 2 * tail or zergling.is_dead:
        return zergling, []
    chunks: list[Chunk] = []
    base, position = zergling.base, 0
    for end in _cuts(zergling, len(zergling.history) - tail):
        words = zergling.history[position:end]
        chunk = Chunk(
            zergling_id=zergling.id,
            start=base.count,
            before=base.pose,
            after=replay(base.pose, words),
            words=words,
            request_ids=zergling.request_ids[position:end],
            previous=base.chunk,
        )
        chunks.append(chunk)
        base, position = Base(chunk.after, chunk.end, chunk.id), end
    shorter = replace(
        zergling,
        base=base,
        history=zergling.history[position:],
        request_ids=zergling.request_ids[position:],
    )
    return shorter, chunks


def _cuts(zergling: Zergling, limit: int) -> Sequence[int]:
    """Return where to cut: where requests begin, up to ``limit``, in chunks of some size."""
    cuts: list[int] = []
    start = end = 0
    for position in range(1, limit + 1):
        if not zergling.request_ids[position]:
            continue
        if position - start > LARGEST_CHUNK and end > start:
            cuts.append(end)
            start = end
        end = position
    return [*cuts, end] if end > start else cuts
