"""Rival revisions, as a cluster accepts them: written beside the current one, not after it."""

from __future__ import annotations

import uuid

from tests.support.backends import Backend, CouchDBServer
from tests.support.documents import SOON
from zerglings.document import encode
from zerglings.storage.base import Document
from zerglings.zergling import Zergling


def plant(backend: Backend, zergling: Zergling, *, after: str, generation: int = 0) -> str:
    """Store a zergling as a rival that followed the revision ``after``; return its revision.

    With a ``generation`` it followed by some revisions that nobody knows any more.
    """
    return plant_document(backend, encode(zergling), after=after, generation=generation)


def plant_document(backend: Backend, document: Document, *, after: str, generation: int = 0) -> str:
    parent, _, parent_hash = after.partition("-")
    generation = generation or int(parent) + 1
    digest = uuid.uuid4().hex
    unknown = [uuid.uuid4().hex for _ in range(generation - int(parent) - 1)]
    revision = f"{generation}-{digest}"
    ids = [digest, *unknown, parent_hash]
    rival = document | {"_rev": revision, "_revisions": {"start": generation, "ids": ids}}
    environment = backend.environment
    server = CouchDBServer(
        environment["COUCHDB_URL"], environment["COUCHDB_USERNAME"], environment["COUCHDB_PASSWORD"]
    )
    client = server.client()
    client.request(
        "POST",
        [environment["COUCHDB_DATABASE"], "_bulk_docs"],
        body={"docs": [rival], "new_edits": False},
        timeout=SOON,
    )
    client.close()
    return revision
