"""Writes conflicting revisions into CouchDB, as replication between cluster nodes does."""

from __future__ import annotations

import uuid

from tests.support.backends import Backend
from zerglings.documents import MERGED, Document
from zerglings.domain.document_format import encode
from zerglings.domain.zergling import Zergling


def plant(backend: Backend, zergling: Zergling, *, after: str, generation: int = 0) -> str:
    """Store a zergling as a conflicting child of revision ``after``; return its revision.

    With ``generation``, unknown revisions fill the gap between ``after`` and this one.
    """
    return plant_document(backend, encode(zergling), after=after, generation=generation)


def plant_merged(backend: Backend, zergling_id: str, *, after: str, generation: int = 0) -> str:
    """Delete the leaf ``after`` as the merge does in another region; return the new revision."""
    tombstone = {"_id": zergling_id, "_deleted": True, MERGED: True}
    return plant_document(backend, tombstone, after=after, generation=generation)


def plant_document(backend: Backend, document: Document, *, after: str, generation: int = 0) -> str:
    parent, _, parent_hash = after.partition("-")
    generation = generation or int(parent) + 1
    digest = uuid.uuid4().hex
    unknown = [uuid.uuid4().hex for _ in range(generation - int(parent) - 1)]
    revision = f"{generation}-{digest}"
    ids = [digest, *unknown, parent_hash]
    rival = document | {"_rev": revision, "_revisions": {"start": generation, "ids": ids}}
    body = {"docs": [rival], "new_edits": False}
    backend.server.ask("POST", backend.environment["COUCHDB_DATABASE"], "_bulk_docs", body=body)
    return revision
