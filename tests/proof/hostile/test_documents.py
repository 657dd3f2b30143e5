"""Tests that malformed stored documents break no response and run no script in a browser."""

from __future__ import annotations

import json
import sqlite3
import uuid
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given

from tests.proof.hostile.budget import TRIED, tries
from tests.proof.hostile.documents import DOCUMENTS, IDS
from tests.proof.hostile.wsgi import Call, answer_to
from zerglings.domain.document_format import NotAZergling, decode, decode_summary, encode
from zerglings.domain.pose import Pose
from zerglings.domain.zergling import Zergling


@given(document=DOCUMENTS, document_id=IDS)
@tries(500)
def test_any_document_is_decoded_or_rejected(document: Any, document_id: Any) -> None:
    TRIED["documents decoded"] += 1
    whole = document | {"_id": document_id, "_rev": "1-a"}
    for read in (decode, decode_summary):
        with suppress(NotAZergling):
            read(whole)


@pytest.fixture(scope="module")
def stored(served: Path) -> Iterator[sqlite3.Connection]:
    file = sqlite3.connect(served / "overmind.sqlite3", isolation_level=None)
    yield file
    file.close()


def put(file: sqlite3.Connection, document: dict[str, Any]) -> None:
    """Write a document directly to the store, replacing all others."""
    zergling_id = document["_id"]
    file.execute("DELETE FROM documents")
    file.execute(
        "INSERT INTO documents (id, revision, body) VALUES (?, ?, ?)",
        (zergling_id, "1-a", json.dumps(document)),
    )


@given(document=DOCUMENTS)
@tries(60)
def test_no_document_causes_an_internal_error(stored: sqlite3.Connection, document: Any) -> None:
    TRIED["documents served"] += 1
    zergling_id = str(uuid.uuid4())
    put(stored, document | {"_id": zergling_id})
    path = f"/zerglings/{zergling_id}"
    for call in (
        Call("GET", "/zerglings/"),
        Call("GET", "/zerglings/?limit=1"),
        Call("GET", "/zerglings/", headers={"Accept": "text/html"}),
        Call("GET", path),
        Call("GET", path, headers={"Accept": "text/html"}),
        Call("GET", f"{path}/history"),
        Call("POST", path, b"MLR"),
        Call(
            "POST",
            "/swarm/commands",
            b'{"commands":[{"id":"%b","command":"M"}]}' % zergling_id.encode(),
        ),
        Call("DELETE", path),
    ):
        reply = answer_to(call)
        assert reply.status < 500 or reply.status == 503, (call, reply)
        if reply.media_type == "application/json" and reply.body:
            assert isinstance(reply.json, dict)
        assert b"<script>alert" not in reply.body or reply.media_type == "application/json"
        assert b'href="javascript:' not in reply.body


def test_a_valid_document_is_decoded_unchanged() -> None:
    zergling = Zergling.spawned(str(uuid.uuid4()), Pose(3, -4, "E"))
    assert decode(encode(zergling)).pose == zergling.pose
