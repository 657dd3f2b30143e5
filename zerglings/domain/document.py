"""The stored form of a zergling: one JSON document, also readable by the original service.

The original service knows only ``id``, ``location``, ``facing`` and ``commandHistory`` and drops
everything else when it writes; what it dropped is worked out again here. Knows nothing of stores.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple, overload

from zerglings.cooperative import in_slices
from zerglings.documents import Document
from zerglings.domain.zergling import (
    COORDINATE_LIMIT,
    DERIVED_ID_BYTES,
    DERIVED_ID_LENGTH,
    DIED,
    FACINGS,
    Base,
    Pose,
    Zergling,
    undo,
)

FARTHEST = COORDINATE_LIMIT + 10**9
"""Largest absolute coordinate of a stored zergling, in grid steps.

Merging two histories, each of which kept to the grid, can lead a little over its edge.
"""


_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")


class NotAZergling(Exception):
    """A document of the database that does not describe a zergling; the text says why."""


class Summary(NamedTuple):
    """Which zergling stands where: all that a list shows."""

    id: str
    pose: Pose


def is_zergling_id(text: str) -> bool:
    """Whether ``text`` is an id as this service and the original make them: a lower-case uuid."""
    return _UUID.fullmatch(text) is not None


def encode(zergling: Zergling) -> Document:
    """Return the document to store; keys always in the same order, ``_rev`` only if it has one."""
    document: Document = {"_id": zergling.id}
    if zergling.revision is not None:
        document["_rev"] = zergling.revision
    document["id"] = zergling.id
    document |= encode_pose(zergling.pose)
    document["commandHistory"] = list(zergling.history)
    document["commandIds"] = list(zergling.request_ids)
    document["spawn"] = encode_pose(zergling.spawn)
    document["base"] = encode_pose(zergling.base.pose) | {
        "count": zergling.base.count,
        "chunk": zergling.base.chunk,
    }
    return document


def decode_summary(document: Mapping[str, Any]) -> Summary | None:
    """Return what a list shows of a living zergling, None of a dead one.

    Raises:
        NotAZergling: the document is something else, or damaged.
    """
    zergling_id = _decode_id(document)
    pose = decode_pose(document, "the document")
    history = document.get("commandHistory")
    is_dead = isinstance(history, list) and DIED in history
    return None if is_dead else Summary(zergling_id, pose)


def decode(document: Mapping[str, Any]) -> Zergling:
    """Return the zergling that a document describes.

    Raises:
        NotAZergling: the document is something else, or damaged.
    """
    zergling_id = _decode_id(document)
    pose = decode_pose(document, "the document")
    if pose.reach > FARTHEST:
        raise NotAZergling("it is off the grid")
    history = decode_words(document.get("commandHistory") or [], "commandHistory")
    request_ids = _decode_request_ids(document, history)
    base = _decode_base(document, pose, history)
    spawn = document.get("spawn")
    return Zergling(
        id=zergling_id,
        pose=pose,
        spawn=base.pose if spawn is None else decode_pose(spawn, "spawn"),
        base=base,
        history=history,
        request_ids=request_ids,
        revision=document.get("_rev"),
        is_stripped="commandIds" not in document or "base" not in document,
    )


def _decode_id(document: Mapping[str, Any]) -> str:
    zergling_id = document.get("_id")
    if not isinstance(zergling_id, str) or not is_zergling_id(zergling_id):
        raise NotAZergling("its id is not a lower-case uuid")
    return zergling_id


def encode_pose(pose: Pose) -> Document:
    """Return a pose as every document holds it."""
    return {"location": {"x": pose.x, "y": pose.y}, "facing": pose.facing}


def decode_pose(holder: object, where: str) -> Pose:
    """Return the pose that ``holder``, known to people as ``where``, describes.

    Raises:
        NotAZergling: it describes none.
    """
    location = holder.get("location") if isinstance(holder, Mapping) else None
    if not isinstance(holder, Mapping) or not isinstance(location, Mapping):
        raise NotAZergling(f"{where} has no location")
    x, y, facing = location.get("x"), location.get("y"), holder.get("facing")
    if type(x) is not int or type(y) is not int:
        raise NotAZergling(f"the location of {where} is not a pair of integers")
    if facing not in FACINGS:
        raise NotAZergling(f"the facing of {where} is none of {', '.join(FACINGS)}")
    return Pose(x, y, facing)


def decode_words(words: object, field: str) -> tuple[str, ...]:
    """Return a list of strings as a tuple.

    Raises:
        NotAZergling: it is something else.
    """
    if not isinstance(words, Sequence) or isinstance(words, str):
        raise NotAZergling(f"{field} is not a list")
    if not set(map(type, words)) <= {str}:
        raise NotAZergling(f"{field} holds something other than strings")
    return tuple(words)


def _decode_base(document: Mapping[str, Any], pose: Pose, history: Sequence[str]) -> Base:
    base = document.get("base")
    if base is None:
        return Base(undo(pose, history))
    base_pose = decode_pose(base, "base")
    count, chunk = base.get("count"), base.get("chunk")
    if type(count) is not int or count < 0 or not (chunk is None or isinstance(chunk, str)):
        raise NotAZergling("its base has no count of commands or no chunk id")
    return Base(base_pose, count, chunk)


def _decode_request_ids(document: Mapping[str, Any], history: Sequence[str]) -> Sequence[str]:
    if "commandIds" not in document:
        return DerivedIds(history)
    request_ids = decode_words(document["commandIds"], "commandIds")
    if len(request_ids) != len(history):
        raise NotAZergling("commandIds and commandHistory differ in length")
    if request_ids and not request_ids[0]:
        raise NotAZergling("commandIds begins in the middle of a request")
    return request_ids


class DerivedIds(Sequence[str]):
    """Ids for words stored without any: one a word, from its position and all words so far.

    Every reader derives the same ids, so histories that share a beginning share its ids too. They
    are worked out when they are first asked for, as who only looks at a zergling needs none.
    """

    def __init__(self, history: Sequence[str]) -> None:
        self._history = history
        self._ids: tuple[str, ...] | None = None

    def __len__(self) -> int:
        return len(self._history)

    @overload
    def __getitem__(self, place: int) -> str: ...
    @overload
    def __getitem__(self, place: slice) -> tuple[str, ...]: ...
    def __getitem__(self, place: int | slice) -> str | tuple[str, ...]:
        return self._all()[place]

    def __iter__(self) -> Iterator[str]:
        return iter(self._all())

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and self._all() == tuple(other)

    def __hash__(self) -> int:
        return hash(self._all())

    def _all(self) -> tuple[str, ...]:
        if self._ids is None:
            self._ids = tuple(_ids_from_history(self._history))
        return self._ids


def _ids_from_history(history: Sequence[str]) -> Iterator[str]:
    digest, position = hashlib.sha256(), 0
    for some in in_slices(history):
        digests = []
        for word in some:
            data = word.encode()
            digest.update(b"%d:%d:%b;" % (position, len(data), data))
            digests.append(digest.digest()[:DERIVED_ID_BYTES] + _PADDING)
            position += 1
        text = base64.urlsafe_b64encode(b"".join(digests)).decode()
        for start in range(0, len(text), _PADDED_LENGTH):
            yield text[start : start + DERIVED_ID_LENGTH]


_PADDING = b"\0"
_PADDED_LENGTH = 12
"""With one more byte a digest ends where a group of base64 does, so many are encoded at once."""
