"""Tests that damage to an export file is detected and reported with its line number."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from zerglings.domain.chunks import shorten
from zerglings.domain.document_format import encode
from zerglings.domain.pose import Pose
from zerglings.domain.zergling import CommandRequest, Zergling
from zerglings.transfer.lines import (
    BadFile,
    CutFile,
    Entry,
    ExportWriter,
    entries,
    whole_part,
)
from zerglings.transfer.tally import Tally

IDS = tuple(f"{digit * 8}-0000-4000-8000-000000000000" for digit in "1234")
TAIL = 5


def lived(zergling_id: str, commands: int) -> Zergling:
    zergling = Zergling.spawned(zergling_id, Pose(1, 2, "E"))
    requests = [CommandRequest(f"r{number}", ("M", "L")) for number in range(commands)]
    return zergling.merged_with(requests)


def written() -> bytes:
    """An export of four zerglings, two of which have chunks."""
    stream = io.BytesIO()
    writer = ExportWriter(stream, Tally())
    for number, zergling_id in enumerate(IDS):
        commands = 10 if number % 2 else number
        zergling, chunks = shorten(lived(zergling_id, commands), TAIL)
        assert len(chunks) == (2 if number % 2 else 0)
        for chunk in chunks:
            writer.chunk(chunk)
        writer.zergling(encode(zergling))
    for digit in "ab":
        writer.key({"_id": f"key:{digit * 64}", "call": "0" * 64})
    writer.end()
    return stream.getvalue()


FILE = written()
LINES = FILE.splitlines(keepends=True)
CHUNK, LATER_CHUNK, ZERGLING = 3, 4, 5
"""The line numbers of a zergling's history and of the zergling itself."""

LAST = len(LINES) - 3
"""The line number of the last zergling."""


def read(file: bytes) -> list[Entry]:
    return list(entries(io.BytesIO(file), Tally()))


def with_trailer(lines: list[bytes]) -> bytes:
    """Return lines with a matching trailer."""
    tally = Tally()
    for line in lines:
        tally.add(line)
    tally.counts.update(line[2 : line.index(b'"', 2)].decode() for line in lines)
    return b"".join(lines) + orjson.dumps({"end": tally.trailer()}) + b"\n"


def test_a_written_file_is_read_back() -> None:
    found = read(FILE)
    assert [entry.id for entry in found if entry.zergling is not None] == list(IDS)
    assert [entry.line for entry in found] == list(range(2, len(LINES)))
    assert with_trailer(LINES[:-1]) == FILE


@given(st.integers(0, len(FILE) - 1))
def test_every_truncation_is_detected(size: int) -> None:
    cut = FILE[:size]
    with pytest.raises(CutFile, match=rf"^line {cut.count(10) + 1}: "):
        read(cut)
    tally = whole_part(io.BytesIO(cut))
    assert tally is not None
    assert tally.size <= size
    assert FILE[: tally.size].endswith(b"\n") or not tally.size


@given(st.integers(0, len(FILE) - 2), st.integers(0, 255))
def test_every_changed_byte_is_detected(position: int, byte: int) -> None:
    if FILE[position] == byte:
        return
    with pytest.raises(BadFile, match=r"^line \d+: "):
        read(FILE[:position] + bytes([byte]) + FILE[position + 1 :])


def replaced(number: int, change: Callable[[dict[str, Any]], None]) -> bytes:
    """Return the file with a changed document in one line and a matching trailer."""
    lines = list(LINES[:-1])
    content = orjson.loads(lines[number - 1])
    ((kind, document),) = content.items()
    change(document)
    lines[number - 1] = orjson.dumps({kind: document}) + b"\n"
    return with_trailer(lines)


def without(*numbers: int) -> bytes:
    return with_trailer([line for n, line in enumerate(LINES[:-1], 1) if n not in numbers])


def update(**fields: object) -> Callable[[dict[str, Any]], None]:
    return lambda document: document.update(fields)


BAD = {
    "empty": (b"", 1, "cut off"),
    "not ours": (b'{"a": 1}\n', 1, "not the header"),
    "not JSON": (b"PK\x03\x04\n", 1, "not the header"),
    "a later version": (b'{"format":"overmind-zerglings","version":2}\n', 1, "version 2"),
    "a line that is not JSON": (LINES[0] + b"{\n", 2, "not JSON"),
    "a line that is no document": (LINES[0] + b"[]\n", 2, "neither a document"),
    "another kind": (LINES[0] + b'{"user":{}}\n', 2, "neither a document"),
    "no trailer": (b"".join(LINES[:-1]), len(LINES), "no trailer"),
    "a line left out": (b"".join(LINES[:1] + LINES[2:]), len(LINES) - 1, "trailer"),
    "something behind": (FILE + b"\n", len(LINES) + 1, "follows"),
    "a revision": (replaced(2, update(_rev="1-a")), 2, "no export writes"),
    "an unknown field": (replaced(2, update(colour="red")), 2, "no export writes"),
    "another id inside": (replaced(2, update(id="x")), 2, "no export writes"),
    "no id": (replaced(2, lambda document: document.pop("_id")), 2, "uuid"),
    "no zergling": (replaced(2, lambda document: document.clear()), 2, "uuid"),
    "another location": (replaced(2, update(location={"x": 9, "y": 9})), 2, "history does not"),
    "a changed chunk": (
        replaced(CHUNK, update(start=1)),
        CHUNK,
        "does not match the hash in its id",
    ),
    "a chunk left out": (without(CHUNK), CHUNK, "does not follow"),
    "the later chunk left out": (without(LATER_CHUNK), LATER_CHUNK, "does not continue"),
    "all chunks left out": (without(CHUNK, LATER_CHUNK), CHUNK, "is missing"),
    "the zergling left out": (without(ZERGLING), ZERGLING, "another zergling"),
    "the last zergling left out": (without(LAST), LAST, "is missing"),
    "the end left out": (with_trailer(LINES[: LAST - 1]), LAST, "is missing"),
    "a key twice": (with_trailer([*LINES[:-1], LINES[-2]]), len(LINES), "comes twice"),
    "a key too soon": (with_trailer([LINES[0], LINES[-2], LINES[1]]), 3, "comes twice"),
    "no key": (replaced(LAST + 1, update(call="x")), LAST + 1, "not an idempotency key"),
    "a key with a revision": (
        replaced(LAST + 1, update(_rev="1-a")),
        LAST + 1,
        "not an idempotency key",
    ),
    "a zergling twice": (with_trailer([*LINES[:2], LINES[1]]), 3, "comes twice"),
    "a chunk too late": (with_trailer([*LINES[:5], LINES[2]]), 6, "comes twice"),
}


@pytest.mark.parametrize("case", BAD)
def test_an_invalid_file_is_rejected_with_the_line_number(case: str) -> None:
    file, line, words = BAD[case]
    with pytest.raises(BadFile, match=rf"^line {line}: .*{words}"):
        read(file)


def test_only_a_file_truncated_at_its_end_can_be_resumed() -> None:
    with pytest.raises(BadFile):
        whole_part(io.BytesIO(FILE.replace(b'"M"', b'"X"', 1)))
    assert whole_part(io.BytesIO(FILE)) is None


@pytest.mark.parametrize("content", [b"my notes", b'{"format":"another"'])
def test_other_files_are_not_taken_for_the_beginning_of_an_export(content: bytes) -> None:
    assert whole_part(io.BytesIO(FILE[:5])) is not None
    with pytest.raises(BadFile, match="not an export"):
        whole_part(io.BytesIO(content))
