"""The stored form of a zergling: one JSON document that the original service can read as well.

The original service supports only ``id``, ``location``, ``facing`` and ``commandHistory``, and
drops all other fields when it writes. Decoding derives substitutes for them from these four.

Smaller forms are hardly cheaper to update: the ids in one string instead of a list, or fewer
commands, change CouchDB's processor time by less than a tenth.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple, overload

from zerglings.cooperative import in_slices
from zerglings.documents import Document
from zerglings.domain.pose import FACINGS, Pose, undo
from zerglings.domain.request_ids import DERIVED_ID_BYTES, DERIVED_ID_LENGTH
from zerglings.domain.zergling import COORDINATE_LIMIT, DIED, Base, Merged, Zergling

STORED_COORDINATE_LIMIT = COORDINATE_LIMIT + 10**9
"""Largest absolute coordinate in a stored document, in grid steps.

It exceeds the grid because the merge of two valid histories can end beyond the grid's edge.
"""


_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")


class NotAZergling(Exception):
    """The document does not describe a zergling. The text says why."""


class Summary(NamedTuple):
    """An entry of a list: a zergling's id and pose."""

    id: str
    pose: Pose


def is_zergling_id(text: str) -> bool:
    """Whether ``text`` is a lower-case uuid, as this service and the original create them."""
    return _UUID.fullmatch(text) is not None


def encode(zergling: Zergling) -> Document:
    """Return the document to store, with its keys in a fixed order.

    ``_rev`` is missing if the zergling was never stored; ``spawn`` and ``base`` if it lacks a base.
    """
    document: Document = {"_id": zergling.id}
    if zergling.revision is not None:
        document["_rev"] = zergling.revision
    document["id"] = zergling.id
    document |= encode_pose(zergling.pose)
    document["commandHistory"] = list(zergling.history)
    document["commandIds"] = list(zergling.request_ids)
    if not zergling.lacks_base:
        document["spawn"] = encode_pose(zergling.spawn)
        document["base"] = encode_pose(zergling.base.pose) | {
            "count": zergling.base.count,
            "chunk": zergling.base.chunk,
        }
        if zergling.merged is not None and zergling.keys_from < zergling.merged.start:
            document["merged"] = {"start": zergling.merged.start, "end": zergling.merged.end}
    return document


def decode_summary(document: Mapping[str, Any]) -> Summary | None:
    """Return the list entry of a zergling, or None if it is dead.

    Raises:
        NotAZergling: the document is damaged or describes something else.
    """
    zergling_id = _decode_id(document)
    pose = decode_pose(document, "the document")
    history = document.get("commandHistory")
    is_dead = isinstance(history, list) and DIED in history
    return None if is_dead else Summary(zergling_id, pose)


def decode(document: Mapping[str, Any]) -> Zergling:
    """Return the zergling that a document describes.

    Raises:
        NotAZergling: the document is damaged or describes something else.
    """
    zergling_id = _decode_id(document)
    pose = decode_pose(document, "the document")
    if pose.reach > STORED_COORDINATE_LIMIT:
        raise NotAZergling("its location is outside the grid")
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
        lacks_base=document.get("base") is None,
        merged=_decode_merged(document),
    )


def _decode_merged(document: Mapping[str, Any]) -> Merged | None:
    match document.get("merged"):
        case None:
            return None
        case {"start": int(start), "end": int(end)} if 0 <= start < end:
            return Merged(start, end)
        case _:
            raise NotAZergling("its merged is not a range of numbers")


def _decode_id(document: Mapping[str, Any]) -> str:
    zergling_id = document.get("_id")
    if not isinstance(zergling_id, str) or not is_zergling_id(zergling_id):
        raise NotAZergling("its id is not a lower-case uuid")
    return zergling_id


def encode_pose(pose: Pose) -> Document:
    """Return the JSON form of a pose, with the fields ``location`` and ``facing``."""
    return {"location": {"x": pose.x, "y": pose.y}, "facing": pose.facing}


def decode_pose(source: object, name: str) -> Pose:
    """Return the pose in the fields ``location`` and ``facing`` of a JSON object.

    Args:
        source: the JSON object.
        name: its name in error messages.

    Raises:
        NotAZergling: the fields are missing or invalid.
    """
    location = source.get("location") if isinstance(source, Mapping) else None
    if not isinstance(source, Mapping) or not isinstance(location, Mapping):
        raise NotAZergling(f"{name} has no location")
    x, y, facing = location.get("x"), location.get("y"), source.get("facing")
    if type(x) is not int or type(y) is not int:
        raise NotAZergling(f"the location of {name} is not a pair of integers")
    if facing not in FACINGS:
        raise NotAZergling(f"the facing of {name} is not one of {', '.join(FACINGS)}")
    return Pose(x, y, facing)


def decode_words(words: object, field: str) -> tuple[str, ...]:
    """Return a list of strings as a tuple.

    Args:
        words: the list.
        field: its name in error messages.

    Raises:
        NotAZergling: it is not a list of strings.
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
        raise NotAZergling("its base has an invalid count or chunk id")
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
    """Request ids for words that were stored without ids, one per word.

    Each id is a hash of the position and all words so far. Every reader derives the same ids, and
    histories with a common beginning have the same ids there. They are computed on first use,
    because most reads do not need them.
    """

    def __init__(self, history: Sequence[str]) -> None:
        self._history = history
        self._ids: tuple[str, ...] | None = None

    def __len__(self) -> int:
        return len(self._history)

    @overload
    def __getitem__(self, index: int) -> str: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[str, ...]: ...
    def __getitem__(self, index: int | slice) -> str | tuple[str, ...]:
        return self._all()[index]

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
    for part in in_slices(history):
        digests = []
        for word in part:
            data = word.encode()
            digest.update(b"%d:%d:%b;" % (position, len(data), data))
            digests.append(digest.digest()[:DERIVED_ID_BYTES] + _PADDING)
            position += 1
        text = base64.urlsafe_b64encode(b"".join(digests)).decode()
        for start in range(0, len(text), _PADDED_LENGTH):
            yield text[start : start + DERIVED_ID_LENGTH]


_PADDING = b"\0"
_PADDED_LENGTH = 12
"""Length of a padded id in base64.

With one byte of padding an id fills whole base64 groups, so one call encodes many ids.
"""
