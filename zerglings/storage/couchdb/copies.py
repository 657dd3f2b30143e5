"""Counts the documents in each copy of a CouchDB database, without the rights of an admin.

CouchDB reads a list or the changes from one copy of each shard, whichever answers first. The only
way to choose the copy is a position in the changes, because it names the copies that it belongs to.
So this module builds the position before the first change of a copy, and CouchDB returns the number
of changes after it. A position is a list in Erlang's external format
(https://www.erlang.org/doc/apps/erts/erl_ext_dist); each entry has a node, a range and a number.
"""

from __future__ import annotations

import base64
import time
import zlib
from collections.abc import Iterable, Sequence

from zerglings.storage.base import StoreUnavailable
from zerglings.storage.couchdb.database import Database
from zerglings.storage.couchdb.responses import ErrorResponse

LISTING_SETTLING_TIME = 1.0
"""Seconds to wait for documents on their way to a copy before a list counts as incomplete. A
healthy copy needs far less."""

PAUSE = 0.05
"""Seconds between two counts during that time."""

Layer = tuple[tuple[str, str], ...]
"""One copy of each shard, as pairs of its hash range in CouchDB's notation and its node."""

_COMPRESSED = b"\x50"
_VERSION, _TUPLE, _LIST, _NIL, _ATOM = b"\x83", b"\x68", b"\x6c", b"\x6a", b"\x77"
_BYTE, _INTEGER, _BIG = b"\x61", b"\x62", b"\x6e"


class CopyCounter:
    """Compares the copies of one database. Safe to use from many threads at once."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def missing_documents(self, timeout: float) -> int | None:
        """Implement ``Store.missing_documents``."""
        end = time.monotonic() + timeout
        if not self._database.is_modern(timeout):
            return None
        layers = self._layers(timeout)
        if len(layers) < 2:
            return None
        counts = self._counts(layers, end)
        if len(counts) <= len(layers) // 2:
            raise StoreUnavailable(f"only {len(counts)} of {len(layers)} copies can be compared")
        # Only documents of the first count must be in every copy: later ones may be on their way.
        most = max(counts.values())
        settled = time.monotonic() + min(LISTING_SETTLING_TIME, timeout / 2)
        while behind := [layer for layer, count in counts.items() if count < most]:
            if time.monotonic() >= settled:
                break
            time.sleep(PAUSE)
            counts = self._counts(behind, end)
        return sum(most - counts[layer] for layer in behind)

    def _layers(self, timeout: float) -> list[Layer]:
        """Return all copies, in groups that hold each shard once.

        If one shard has more copies than another, a copy of the other is in several groups.
        """
        info = self._database.ask("GET", "_shards", timeout=timeout, required_key="shards")
        shards = info["shards"]
        if not shards or not all(shards.values()):
            raise StoreUnavailable("CouchDB names no copies")
        copies = max(len(nodes) for nodes in shards.values())
        return [
            tuple(
                (range_, sorted(nodes)[number % len(nodes)])
                for range_, nodes in sorted(shards.items())
            )
            for number in range(copies)
        ]

    def _counts(self, layers: Iterable[Layer], end: float) -> dict[Layer, int]:
        counts = {layer: self._count(layer, end) for layer in layers}
        return {layer: count for layer, count in counts.items() if count is not None}

    def _count(self, layer: Layer, end: float) -> int | None:
        """Return how many documents a layer holds, including deleted ones.

        Returns None if a node of the layer is disconnected or in maintenance mode. CouchDB then
        fails, or counts another copy, which the position in its response shows.
        """
        if (left := end - time.monotonic()) <= 0:
            raise StoreUnavailable("the copies could not be compared in time")
        params = {"since": beginning_of(layer), "limit": "1"}
        try:
            answer = self._database.ask(
                "GET", "_changes", timeout=left, params=params, required_key="pending"
            )
        except StoreUnavailable as error:
            if _is_out_of_service(error):
                return None
            raise
        pending, rows, position = (answer.get(key) for key in ("pending", "results", "last_seq"))
        if not isinstance(pending, int) or not isinstance(rows, list):
            raise StoreUnavailable("CouchDB does not tell how many changes there are")
        names = _names_in(str(position))
        if not all(node.encode() in names for _, node in layer):
            return None
        return len(rows) + pending


def _is_out_of_service(error: StoreUnavailable) -> bool:
    cause = error.__cause__
    return isinstance(cause, ErrorResponse) and cause.error == "nodedown"


def _names_in(position: str) -> bytes:
    """Return the term in a position, uncompressed; it holds the names of the nodes that answered.

    Raises:
        StoreUnavailable: the position cannot be decoded.
    """
    opaque = position.partition("-")[2]
    try:
        term = base64.urlsafe_b64decode(opaque + "=" * (-len(opaque) % 4))
        return zlib.decompress(term[6:]) if term[1:2] == _COMPRESSED else term
    except (ValueError, zlib.error) as error:
        raise StoreUnavailable("CouchDB's position in the changes cannot be read") from error


def beginning_of(layer: Iterable[tuple[str, str]]) -> str:
    """Return the position before the first change of a layer."""
    places = [
        _tuple(
            [_atom(node), _list([_number(int(end, 16)) for end in range_.split("-")]), _number(0)]
        )
        for range_, node in layer
    ]
    return "0-" + base64.urlsafe_b64encode(_VERSION + _list(places)).decode().rstrip("=")


def _tuple(parts: Sequence[bytes]) -> bytes:
    return _TUPLE + bytes([len(parts)]) + b"".join(parts)


def _list(parts: Sequence[bytes]) -> bytes:
    return _LIST + len(parts).to_bytes(4) + b"".join(parts) + _NIL


def _atom(name: str) -> bytes:
    data = name.encode()
    return _ATOM + bytes([len(data)]) + data


def _number(value: int) -> bytes:
    """Return a whole number of up to 32 bits in the shortest form, as Erlang itself writes it."""
    if value < 2**8:
        return _BYTE + bytes([value])
    if value < 2**31:
        return _INTEGER + value.to_bytes(4)
    return _BIG + b"\x04\x00" + value.to_bytes(4, "little")
