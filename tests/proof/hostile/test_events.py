"""Tests that any Last-Event-ID, also an invalid one, starts a well-formed event stream."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import quote

from hypothesis import given
from hypothesis import strategies as st

from tests.proof.hostile.budget import TRIED, tries
from tests.proof.hostile.requests import NUMBERS, TEXT
from tests.proof.hostile.wsgi import Call, answer_to

BEGINNING = re.compile(rb"event: (ready|reset)\nid: [!-~]+\ndata: \{\}\n\n")
EVENTS = re.compile(rb"(event: [a-z]+\n(id: [!-~]+\n)?data: \{[^\n]*\}\n\n)+")
POSITIONS = st.one_of(
    st.text(TEXT, max_size=20),
    st.sampled_from(NUMBERS),
    st.integers().map(str),
    st.sampled_from(
        ("now", "0", "-1", "1-a", "9" * 4000, "null", '["x"]', "1\x80", "id: 3", "%00")
    ),
)


@given(position=POSITIONS)
@tries(100)
def test_any_last_event_id_starts_a_stream(served: Path, position: str) -> None:
    answer_to(Call("POST", "/zerglings/"))
    for call in (
        Call("GET", "/events", headers={"Last-Event-ID": position}),
        Call("GET", f"/events?since={quote(position, safe='')}"),
    ):
        TRIED["positions in the feed"] += 1
        reply = answer_to(call)
        assert (reply.status, reply.media_type) == (200, "text/event-stream")
        # A stream resumes at a position that was valid once, so events may come first.
        assert BEGINNING.match(reply.body) or EVENTS.fullmatch(reply.body)
