"""The lines of an export: written, and read again with everything checked that they can tell.

A header, then a line for each document in the order of the zerglings' ids, the chunks of a history
before the zergling that names them, then a trailer with counts and a hash, so that a file that was
cut or damaged is known by itself. Never more than one line is held. Knows nothing of stores.

No line holds a ``_rev``: a revision names a place in the tree of revisions of the store that made
it. Another store could not follow on it, and makes its own.
"""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, BinaryIO

import orjson

from zerglings.chunks import Chunk
from zerglings.document import NotAZergling, decode, encode
from zerglings.storage.base import Document
from zerglings.transfer.lineage import check_chunk, check_zergling
from zerglings.zergling import Zergling

FORMAT = "overmind-zerglings"
VERSION = 1

LONGEST_LINE = 64 * 2**20
"""Bytes; a document that CouchDB takes is smaller."""


class BadFile(Exception):
    """The file is no export, or a damaged one; the text names the line."""

    def __init__(self, line: int, why: str) -> None:
        super().__init__(f"line {line}: {why}")


class CutFile(BadFile):
    """The file is good as far as it goes, but it does not go to the end."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A document and the number of its line; ``zergling`` is None for a part of a history."""

    line: int
    size: int
    document: Document
    zergling: Zergling | None

    @property
    def id(self) -> str:
        """The document's id."""
        return str(self.document["_id"])


@dataclass(slots=True)
class Tally:
    """What the lines up to some place amount to."""

    lines: int = 0
    size: int = 0
    zerglings: int = 0
    chunks: int = 0
    last_id: str = ""
    digest: Any = field(default_factory=hashlib.sha256)  # hashlib's type has no public name

    def copy(self) -> Tally:
        """Return the same, not affected by later lines."""
        return Tally(
            self.lines, self.size, self.zerglings, self.chunks, self.last_id, self.digest.copy()
        )

    def add(self, line: bytes) -> None:
        """Count a line."""
        self.lines += 1
        self.size += len(line)
        self.digest.update(line)

    def trailer(self) -> Document:
        """Return what the last line says of all lines before it."""
        return {
            "zerglings": self.zerglings,
            "chunks": self.chunks,
            "sha256": self.digest.hexdigest(),
        }


class Writer:
    """Writes an export to a stream, going on after the lines of ``tally``, which it keeps up."""

    def __init__(self, stream: BinaryIO, tally: Tally) -> None:
        self._stream = stream
        self.tally = tally
        if not tally.lines:
            self._write({"format": FORMAT, "version": VERSION})

    def chunk(self, chunk: Chunk) -> None:
        """Write a part of the history of the zergling that is to come."""
        self._write({"chunk": chunk.encode()})
        self.tally.chunks += 1

    def zergling(self, document: Document) -> None:
        """Write a zergling's document, which has no revision."""
        self._write({"zergling": document})
        self.tally.zerglings += 1
        self.tally.last_id = document["_id"]

    def end(self) -> None:
        """Write the trailer."""
        self._write({"end": self.tally.trailer()})

    def _write(self, line: Document) -> None:
        data = orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE)
        self._stream.write(data)
        self.tally.add(data)


def entries(stream: BinaryIO, tally: Tally) -> Iterator[Entry]:
    """Yield the documents of a whole export, and keep ``tally`` of the lines so far.

    Raises:
        BadFile: it is none, or damaged; what came before is then not to be trusted either.
    """
    _check_header(_next_line(stream, tally), tally)
    newest: Chunk | None = None
    while True:
        line = _next_line(stream, tally, is_counted=False)
        number = tally.lines + 1
        kind, document = _parsed(line, number)
        if kind == "end":
            break
        try:
            if kind == "chunk":
                chunk = newest = _chunk(document, newest)
                zergling, is_late = None, chunk.zergling_id <= tally.last_id
            else:
                zergling, newest = _zergling(document, newest), None
                is_late = zergling.id <= tally.last_id
        except NotAZergling as error:
            raise BadFile(number, f"{str(document.get('_id'))[:80]!r}: {error}") from error
        if is_late:
            raise BadFile(number, f"{document['_id']!r} comes twice, or out of order")
        tally.add(line)
        if zergling is None:
            tally.chunks += 1
        else:
            tally.zerglings += 1
            tally.last_id = zergling.id
        yield Entry(number, len(line), document, zergling)
    _check_end(stream, tally, document, newest)


def whole_part(stream: BinaryIO) -> Tally | None:
    """Return what an export that was cut has up to its last whole zergling; None if it was not.

    Raises:
        BadFile: something other than its end is missing.
    """
    tally, whole = Tally(), Tally()
    try:
        for entry in entries(stream, tally):
            if entry.zergling is not None:
                whole = tally.copy()
    except CutFile:
        return whole
    return None


def _next_line(stream: BinaryIO, tally: Tally, *, is_counted: bool = True) -> bytes:
    number = tally.lines + 1
    try:
        line = stream.readline(LONGEST_LINE)
    except EOFError as error:
        raise CutFile(number, "the compressed file was cut off here") from error
    except (zlib.error, OSError) as error:
        raise BadFile(number, f"the file cannot be read ({error})") from error
    if not line:
        raise CutFile(number, "the file was cut off here: it has no trailer")
    if not line.endswith(b"\n"):
        if len(line) == LONGEST_LINE:
            raise BadFile(number, "the line is too long")
        raise CutFile(number, "the file was cut off in the middle of this line")
    if is_counted:
        tally.add(line)
    return line


def _parsed(line: bytes, number: int) -> tuple[str, Document]:
    """Return the kind of a line and the object that it holds."""
    try:
        content = orjson.loads(line)
    except orjson.JSONDecodeError as error:
        raise BadFile(number, f"not JSON ({error.msg})") from error
    if isinstance(content, dict) and len(content) == 1:
        ((kind, document),) = content.items()
        if kind in ("chunk", "zergling", "end") and isinstance(document, dict):
            return kind, document
    raise BadFile(number, "neither a zergling nor a part of a history nor the trailer")


def _check_header(line: bytes, tally: Tally) -> None:
    try:
        header = orjson.loads(line)
    except orjson.JSONDecodeError:
        header = None
    if not isinstance(header, dict) or header.get("format") != FORMAT:
        raise BadFile(tally.lines, "not the header of an export of zerglings")
    if header.get("version") != VERSION:
        version = str(header.get("version"))[:20]
        raise BadFile(tally.lines, f"version {version} of the format; this service reads {VERSION}")


def _chunk(document: Document, before: Chunk | None) -> Chunk:
    chunk = Chunk.decode(document)
    check_chunk(chunk, before)
    if chunk.encode() != document:
        raise NotAZergling("it holds something that no export writes")
    return chunk


def _zergling(document: Document, newest: Chunk | None) -> Zergling:
    zergling = decode(document)
    check_zergling(zergling, newest)
    if zergling.revision is not None or encode(zergling) != document:
        raise NotAZergling("it holds something that no export writes")
    return zergling


def _check_end(stream: BinaryIO, tally: Tally, trailer: Document, newest: Chunk | None) -> None:
    number = tally.lines + 1
    if newest is not None:
        raise BadFile(number, f"the zergling of the part {newest.id!r} of a history is missing")
    if trailer != tally.trailer():
        raise BadFile(
            number,
            f"the trailer tells of other lines than these {tally.zerglings} zerglings and "
            f"{tally.chunks} parts of histories: the file was changed or is damaged",
        )
    if stream.readline(1):
        raise BadFile(number + 1, "something follows the trailer")
