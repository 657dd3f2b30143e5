"""The format of an export: JSON Lines, written and read one line at a time.

The lines are, in this order:

- a header,
- one line for each zergling, in the order of ids, preceded by the chunks of its history,
- one line for each idempotency key of a bulk request,
- a trailer with counts and a hash, which detects truncated and damaged files.

Reading checks everything that can be checked without a store. No line has a ``_rev``: a revision
is valid only in the store that made it.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

import orjson

from zerglings.documents import Document
from zerglings.domain.chunks import Chunk
from zerglings.domain.document_format import NotAZergling, decode, encode
from zerglings.domain.zergling import Zergling
from zerglings.hive import idempotency
from zerglings.transfer.lineage import check_chunk, check_zergling
from zerglings.transfer.tally import CHUNK, KEY, KINDS, ZERGLING, Tally

FORMAT = "overmind-zerglings"
VERSION = 1

END = "end"
_HEADER_CONTENT = {"format": FORMAT, "version": VERSION}
_HEADER = orjson.dumps(_HEADER_CONTENT, option=orjson.OPT_APPEND_NEWLINE)

LONGEST_LINE = 64 * 2**20
"""Maximum size of a line in bytes. Every document that CouchDB accepts is shorter."""


class BadFile(Exception):
    """The file is not an export, or is damaged. The message has the line number."""

    def __init__(self, line: int, why: str) -> None:
        super().__init__(f"line {line}: {why}")


class CutFile(BadFile):
    """The file is valid so far but ends too early."""


_DIGEST = "[0-9a-f]{64}"
_KEY_FIELDS = {"_id": f"{idempotency.PREFIX}{_DIGEST}", "call": f"{_DIGEST}( {_DIGEST})*"}
"""Fields and patterns of an idempotency key's document."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A document with its kind, and the number and size in bytes of its line.

    ``zergling`` is the decoded zergling. It is None for chunks and keys, which go to the history
    database.
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


class ExportWriter:
    """Writes an export's lines. ``tally`` counts the lines so far, and is kept up to date."""

    def __init__(self, stream: BinaryIO, tally: Tally) -> None:
        self._stream = stream
        self.tally = tally
        if not tally.lines:
            self._write(_HEADER_CONTENT)

    def chunk(self, chunk: Chunk) -> None:
        """Write a chunk of the history of the next zergling."""
        self._write({CHUNK: chunk.encode()})
        self.tally.counts[CHUNK] += 1

    def zergling(self, document: Document) -> None:
        """Write a zergling's document, which must have no revision."""
        self._write({ZERGLING: document})
        self.tally.counts[ZERGLING] += 1
        self.tally.last_id = document["_id"]

    def key(self, document: Document) -> None:
        """Write an idempotency key's document, which must have no revision, after all zerglings."""
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
    """Yield the documents of an export; ``tally`` begins empty and is kept up to date.

    Raises:
        BadFile: the file is invalid. The entries yielded before may be damaged too.
        CutFile: the file ends too early.
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
    """Whether a document, without its revision, is an idempotency key's document."""
    values = [str(document.get(name)) for name in _KEY_FIELDS]
    is_good = all(map(re.fullmatch, _KEY_FIELDS.values(), values))
    return is_good and len(document) == len(values)


def whole_part(stream: BinaryIO) -> Tally | None:
    """Return the tally up to the last complete zergling of a cut export, None if it is complete.

    Raises:
        BadFile: the file is invalid, not only cut off.
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
    """Check that a file shorter than its first line is the start of a header."""
    stream.seek(0)
    start = stream.read(len(_HEADER))
    if not _HEADER.startswith(start):
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
    """Return a line's kind and its document."""
    try:
        content = orjson.loads(line)
    except orjson.JSONDecodeError as error:
        raise BadFile(number, f"not JSON ({error.msg})") from error
    if isinstance(content, dict) and len(content) == 1:
        ((kind, document),) = content.items()
        if kind in (*KINDS, END) and isinstance(document, dict):
            return kind, document
    raise BadFile(number, "neither a document of this format nor the trailer")


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
        raise NotAZergling("it has content that no export writes")
    return chunk


def _zergling(document: Document, newest: Chunk | None) -> Zergling:
    zergling = decode(document)
    check_zergling(zergling, newest)
    if zergling.revision is not None or encode(zergling) != document:
        raise NotAZergling("it has content that no export writes")
    return zergling


def _check_key(document: Document, newest: Chunk | None) -> None:
    if newest is not None:
        raise NotAZergling(_orphaned(newest))
    if not is_key(document):
        raise NotAZergling("it is not an idempotency key's document")


def _orphaned(chunk: Chunk) -> str:
    return f"the zergling is missing that the history part {chunk.id!r} belongs to"


def _check_end(stream: BinaryIO, tally: Tally, trailer: Document, newest: Chunk | None) -> None:
    number = tally.lines + 1
    if newest is not None:
        raise BadFile(number, _orphaned(newest))
    if trailer != tally.trailer():
        raise BadFile(
            number,
            f"the trailer does not match the lines before it, which have {tally}: the file was "
            "changed or is damaged",
        )
    if stream.readline(1):
        raise BadFile(number + 1, "something follows the trailer")
