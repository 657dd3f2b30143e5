"""The lines of an export: written, and read again with everything checked that they can tell.

A header, then a line for each document in the order of their ids, the chunks of a history before
the zergling that names them, after the zerglings the keys of whole-swarm calls, then a trailer with
counts and a hash, so that a file that was cut or damaged is known by itself. Never more than one
line is held. Knows nothing of stores.

No line holds a ``_rev``: a revision names a place in the tree of revisions of the store that made
it. Another store could not follow on it, and makes its own.
"""

from __future__ import annotations

import hashlib
import re
import zlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, BinaryIO

import orjson

from zerglings.documents import Document
from zerglings.domain.chunks import Chunk
from zerglings.domain.document import NotAZergling, decode, encode
from zerglings.domain.zergling import Zergling
from zerglings.hive import idempotency
from zerglings.transfer.lineage import check_chunk, check_zergling

FORMAT = "overmind-zerglings"
VERSION = 1

ZERGLING, CHUNK, KEY = KINDS = ("zergling", "chunk", "key")
END = "end"
_HEADER_CONTENT = {"format": FORMAT, "version": VERSION}
_HEADER = orjson.dumps(_HEADER_CONTENT, option=orjson.OPT_APPEND_NEWLINE)

LONGEST_LINE = 64 * 2**20
"""Bytes; a document that CouchDB takes is smaller."""


class BadFile(Exception):
    """The file is no export, or a damaged one; the text names the line."""

    def __init__(self, line: int, why: str) -> None:
        super().__init__(f"line {line}: {why}")


class CutFile(BadFile):
    """The file is good as far as it goes, but it does not go to the end."""


_KEY_NOTE = {"_id": rf"{idempotency.PREFIX}[0-9a-f]{{64}}", "call": "[0-9a-f]{64}"}


@dataclass(frozen=True, slots=True)
class Entry:
    """A document, what it is, and the number and bytes of its line.

    ``zergling`` is what a zergling's document describes, None for all others, which belong into the
    store beside.
    """

    line: int
    size: int
    kind: str
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
    counts: Counter[str] = field(default_factory=Counter)
    last_id: str = ""
    digest: Any = field(default_factory=hashlib.sha256)  # hashlib's type has no public name

    def copy(self) -> Tally:
        """Return the same, not affected by later lines."""
        return Tally(self.lines, self.size, self.counts.copy(), self.last_id, self.digest.copy())

    def add(self, line: bytes) -> None:
        """Count a line."""
        self.lines += 1
        self.size += len(line)
        self.digest.update(line)

    def trailer(self) -> Document:
        """Return what the last line says of all lines before it."""
        counts = {f"{kind}s": self.counts[kind] for kind in KINDS}
        return counts | {"sha256": self.digest.hexdigest()}

    def __str__(self) -> str:
        return counted(self.counts)


def counted(counts: Counter[str]) -> str:
    """Return numbers of documents by kind, for people."""
    said = f"{counts[ZERGLING]} zerglings and {counts[CHUNK]} parts of histories"
    return f"{said}, {counts[KEY]} keys" if counts[KEY] else said


class Writer:
    """Writes an export to a stream, going on after the lines of ``tally``, which it keeps up."""

    def __init__(self, stream: BinaryIO, tally: Tally) -> None:
        self._stream = stream
        self.tally = tally
        if not tally.lines:
            self._write(_HEADER_CONTENT)

    def chunk(self, chunk: Chunk) -> None:
        """Write a part of the history of the zergling that is to come."""
        self._write({CHUNK: chunk.encode()})
        self.tally.counts[CHUNK] += 1

    def zergling(self, document: Document) -> None:
        """Write a zergling's document, which has no revision."""
        self._write({ZERGLING: document})
        self.tally.counts[ZERGLING] += 1
        self.tally.last_id = document["_id"]

    def key(self, document: Document) -> None:
        """Write the note of a key, which has no revision; after the last zergling."""
        self._write({KEY: document})
        self.tally.counts[KEY] += 1
        self.tally.last_id = document["_id"]

    def end(self) -> None:
        """Write the trailer."""
        self._write({END: self.tally.trailer()})

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
        if kind == END:
            break
        zergling, owner = None, str(document.get("_id"))
        try:
            if kind == CHUNK:
                newest = _chunk(document, newest)
                owner = newest.zergling_id
            elif kind == ZERGLING:
                zergling, newest = _zergling(document, newest), None
            else:
                _check_key(document, newest)
        except NotAZergling as error:
            raise BadFile(number, f"{owner[:80]!r}: {error}") from error
        if owner <= tally.last_id:
            raise BadFile(number, f"{document['_id']!r} comes twice, or out of order")
        tally.add(line)
        tally.counts[kind] += 1
        if kind != CHUNK:
            tally.last_id = owner
        yield Entry(number, len(line), kind, document, zergling)
    _check_end(stream, tally, document, newest)


def is_key(document: Document) -> bool:
    """Whether a document, without its revision, is the note of a key."""
    values = [str(document.get(name)) for name in _KEY_NOTE]
    is_good = all(map(re.fullmatch, _KEY_NOTE.values(), values))
    return is_good and len(document) == len(values)


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
        if not tally.lines:
            _check_beginning(stream)
        return whole
    return None


def _check_beginning(stream: BinaryIO) -> None:
    """Refuse a file of less than a line that is not the beginning of an export."""
    stream.seek(0)
    begun = stream.read(len(_HEADER))
    if not _HEADER.startswith(begun):
        raise BadFile(1, "this is not an export")


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
        if kind in (*KINDS, END) and isinstance(document, dict):
            return kind, document
    raise BadFile(number, "no document of this format, nor the trailer")


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


def _check_key(document: Document, newest: Chunk | None) -> None:
    if newest is not None:
        raise NotAZergling(_orphaned(newest))
    if not is_key(document):
        raise NotAZergling("it is not the note of a key")


def _orphaned(chunk: Chunk) -> str:
    return f"the zergling of the part {chunk.id!r} of a history is missing"


def _check_end(stream: BinaryIO, tally: Tally, trailer: Document, newest: Chunk | None) -> None:
    number = tally.lines + 1
    if newest is not None:
        raise BadFile(number, _orphaned(newest))
    if trailer != tally.trailer():
        raise BadFile(
            number,
            f"the trailer tells of other lines than these {tally}: the file was changed or is "
            "damaged",
        )
    if stream.readline(1):
        raise BadFile(number + 1, "something follows the trailer")
