"""Finds regions with which CouchDB replicates although ``COUCHDB_PEERS`` does not list them.

The documents in this region's ``_replicator`` show them. A region that replicates with a document
of its own is not found: it leaves only checkpoints here, which contain no address.

See https://docs.couchdb.org/en/stable/replication/replicator.html.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Set
from typing import Any
from urllib.parse import unquote, urlsplit

from zerglings.storage.base import NotBootstrapped
from zerglings.storage.couchdb.database import Database
from zerglings.storage.regions.jobs import CALL_TIMEOUT, ENDED, REPLICATOR, job_id, peer_of

_PORTS = {"http": 80, "https": 443}
"""Ports of URLs that give none."""


def unlisted_regions(
    replicator: Database, databases: Collection[str], peers: Mapping[str, str]
) -> set[str]:
    """Return the unlisted regions: their names, or which document replicates with them.

    Bootstrap sets up no replication before CouchDB 2, so such servers are not asked.

    Args:
        replicator: the database ``_replicator``, with a server admin's account.
        databases: the names of the databases, which are the same in every region.
        peers: the base URLs of the listed regions by name.

    Raises:
        StoreUnavailable: the documents cannot be read.
    """
    if not replicator.is_modern(CALL_TIMEOUT):
        return set()
    params = {"include_docs": "true"}
    try:
        answer = replicator.ask(
            *("GET", "_all_docs"), timeout=CALL_TIMEOUT, params=params, required_key="rows"
        )
    except NotBootstrapped:
        return set()
    own = tuple(job_id(database, "") for database in databases)
    listed = {_place(f"{url}/{REPLICATOR}")[0] for url in peers.values()}
    found = set()
    for row in answer["rows"]:
        id_, document = str(row["id"]), row.get("doc") or {}
        if id_.startswith(own):
            found |= {peer_of(id_)} - peers.keys()
        elif _is_between_regions(document, databases, listed):
            found.add(f"the CouchDB with which the document {id_!r} in _replicator replicates")
    return found


def _is_between_regions(
    document: Mapping[str, Any], databases: Collection[str], listed: Set[str]
) -> bool:
    """Whether a document replicates one of the databases to its namesake, and no end is listed.

    A replication that has ended does not count, nor one with a database of another name.
    """
    if document.get("_replication_state") in ENDED:
        return False
    source, database = _place(document.get("source"))
    target, copy = _place(document.get("target"))
    return database == copy and database in databases and not listed & {source, target}


def _place(endpoint: object) -> tuple[str, str]:
    """Return the server's base URL and the database of a source or target.

    The URL has no account, and always a port. Both are empty if the endpoint has no valid URL.
    """
    url = endpoint.get("url") if isinstance(endpoint, dict) else endpoint
    try:
        parts = urlsplit(str(url))
        port = parts.port or _PORTS.get(parts.scheme)
    except ValueError:
        return "", ""
    base, _, database = parts.path.rstrip("/").rpartition("/")
    return f"{parts.scheme}://{parts.hostname}:{port}{base}", unquote(database)
