"""Replication jobs: the documents in ``_replicator`` with which a region pulls from its peers.

Bootstrap writes one for each peer and database. CouchDB runs a job for each.

See https://docs.couchdb.org/en/stable/replication/replicator.html.
"""

from __future__ import annotations

import json

from zerglings.storage.base import NotBootstrapped
from zerglings.storage.couchdb.database import Database

REPLICATOR = "_replicator"

SCHEDULED = ("_scheduler", "docs", REPLICATOR)
"""Path under which CouchDB shows the states of the jobs."""

PREFIX = "overmind:"
"""Start of the ids of these documents: ``overmind:<database>:<peer>``."""

CALL_TIMEOUT = 10.0
"""Timeout in seconds of each request about a replication."""


def job_id(database: str, peer: str) -> str:
    """Return the id of the document with which a database is replicated from a peer."""
    return f"{PREFIX}{database}:{peer}"


def peer_of(id_: str) -> str:
    """Return the peer's name in the id of a document."""
    return id_.rpartition(":")[2]


def ids_from(prefix: str) -> dict[str, str]:
    """Return the parameters that restrict a list of documents to ids with a prefix."""
    return {"startkey": json.dumps(prefix), "endkey": json.dumps(f"{prefix}\ufff0")}


def replicating_peers(replicator: Database, database: str) -> set[str]:
    """Return the names of the peers from which bootstrap has had a database replicated.

    Args:
        replicator: the database ``_replicator``, with a server admin's account.
        database: the name of the replicated database.

    Bootstrap does not set up any before CouchDB 2, so such servers are not asked.

    Raises:
        StoreUnavailable: the documents cannot be read.
    """
    if not replicator.is_modern(CALL_TIMEOUT):
        return set()
    params = ids_from(job_id(database, ""))
    try:
        answer = replicator.ask(
            *("GET", "_all_docs"), timeout=CALL_TIMEOUT, params=params, required_key="rows"
        )
    except NotBootstrapped:
        return set()
    return {peer_of(str(row["id"])) for row in answer["rows"]}


def checkpoint_id(target: Database, peer: str) -> str:
    """Return the id of the checkpoints of the job that replicates a peer into a database.

    Raises:
        StoreUnavailable: CouchDB has no such job, or cannot be read.
    """
    job = target.ask_server(
        *(*SCHEDULED, job_id(target.name, peer)), timeout=CALL_TIMEOUT, required_key="id"
    )
    return f"_local/{job['id']}".removesuffix("+continuous")
