"""Replication jobs: the documents in ``_replicator`` with which a region pulls from its peers.

Bootstrap writes one for each peer and database. CouchDB runs a job for each.

See https://docs.couchdb.org/en/stable/replication/replicator.html.
"""

from __future__ import annotations

import json

from zerglings.storage.couchdb.database import Database

REPLICATOR = "_replicator"

SCHEDULED = ("_scheduler", "docs", REPLICATOR)
"""Path under which CouchDB shows the states of the jobs."""

PREFIX = "overmind:"
"""Start of the ids of these documents: ``overmind:<database>:<peer>``."""

ENDED = ("failed", "completed")
"""States that last until the document is written again."""

CALL_TIMEOUT = 10.0
"""Timeout in seconds of each request about a replication."""


def job_id(database: str, peer: str) -> str:
    """Return the id of the document with which a database is replicated from a peer."""
    return f"{PREFIX}{database}:{peer}"


def database_of(id_: str) -> str:
    """Return the name of the database in the id of a document."""
    return id_.removeprefix(PREFIX).rpartition(":")[0]


def peer_of(id_: str) -> str:
    """Return the peer's name in the id of a document."""
    return id_.rpartition(":")[2]


def ids_from(prefix: str) -> dict[str, str]:
    """Return the parameters that restrict a list of documents to ids with a prefix."""
    return {"startkey": json.dumps(prefix), "endkey": json.dumps(f"{prefix}\ufff0")}


def checkpoint_id(target: Database, peer: str) -> str:
    """Return the id of the checkpoints of the job that replicates a peer into a database.

    Raises:
        StoreUnavailable: CouchDB has no such job, or cannot be read.
    """
    job = target.ask_server(
        *(*SCHEDULED, job_id(target.name, peer)), timeout=CALL_TIMEOUT, required_key="id"
    )
    return f"_local/{job['id']}".removesuffix("+continuous")
