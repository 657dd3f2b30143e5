"""Tests that the import reads a file as a valid export or rejects it, whatever its content."""

from __future__ import annotations

import io
from contextlib import suppress

import orjson
from hypothesis import given
from hypothesis import strategies as st

from tests.proof.hostile.budget import TRIED, tries
from tests.proof.hostile.documents import DOCUMENTS, IDS
from zerglings.transfer.lines import BadFile, entries, whole_part
from zerglings.transfer.tally import Tally

HEADER = b'{"format":"overmind-zerglings","version":1}\n'


def _line(kind: str, document: dict[str, object], document_id: object) -> bytes:
    with suppress(TypeError):  # an integer that no store could hold either
        return orjson.dumps(
            {kind: document | {"_id": document_id}}, option=orjson.OPT_APPEND_NEWLINE
        )
    return b"{}\n"


LINES = st.one_of(
    st.builds(_line, st.sampled_from(("zergling", "chunk", "key", "end", "")), DOCUMENTS, IDS),
    st.binary(max_size=30).map(lambda data: data + b"\n"),
    st.sampled_from(
        (
            *(
                b"[" * 5000 + b"\n",
                b'{"zergling":' * 2000 + b"\n",
                b"\n",
                b"null\n",
                b"{}\n",
                b"\x1f\x8b\n",
            ),
            *(b'{"end":{}}\n', b'{"end":null}\n', b'{"end":{"sha256":1,"lines":1e400}}\n', HEADER),
            *(
                b'{"zergling":null}\n',
                b'{"zergling":{},"chunk":{}}\n',
                b'{"zergling":{"_id":[]}}\n',
            ),
        )
    ),
)
FILES = st.builds(
    lambda header, lines: header + b"".join(lines),
    st.sampled_from((HEADER, HEADER, HEADER, b"", HEADER[:9], b"\xef\xbb\xbf" + HEADER)),
    st.lists(LINES, max_size=4),
)


@given(content=FILES)
@tries(300)
def test_a_file_is_imported_or_rejected(content: bytes) -> None:
    TRIED["files to import"] += 1
    with suppress(BadFile):
        for entry in entries(io.BytesIO(content), Tally()):
            assert entry.id
    with suppress(BadFile):
        whole_part(io.BytesIO(content))
