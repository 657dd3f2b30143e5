"""The documents in ``_replicator`` that have CouchDB replicate from other regions.

These functions know what the documents must contain, and connect to no server.

See https://docs.couchdb.org/en/stable/replication/replicator.html.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from zerglings.storage.couchdb.account import Account
from zerglings.storage.regions.jobs import job_id

OPTIONS = {"continuous": True, "retries_per_request": 20}
"""Options of each replication.

With the default of 5 retries a replication crashes 8 seconds after its peer has become unreachable.
CouchDB then waits longer each time before it tries again, see ``bootstrap.replication.settings``.
With 20 it survives interruptions of about a minute, the limit that CouchDB has for all retries
together.
"""

_RESTRICTIONS = ("cancel", "doc_ids", "filter", "query_params", "selector", "winning_revs_only")
"""Options with which a replication would not copy everything."""

_FROM_THE_START = (0, "0")
"""Values of ``since_seq`` with which a replication copies everything."""


@dataclass(frozen=True, slots=True)
class Peers:
    """The CouchDBs of the other regions, as this region knows them.

    Attributes:
        region: the name under which they list this region, empty if it is not given.
        urls: their base URLs by name.
        account: the account for replication, which is the same in every region.
    """

    region: str
    urls: Mapping[str, str]
    account: Account


def documents_of(
    peers: Peers, url: str, databases: tuple[str, ...], *, owner: str
) -> dict[str, dict[str, Any]]:
    """Return the required documents by id.

    CouchDB shows the passwords in a document to admins and to its ``owner``.
    """
    basic = {"username": peers.account.username, "password": peers.account.password}

    def endpoint(base: str, database: str) -> dict[str, Any]:
        return {"url": f"{base}/{quote(database, safe='')}", "auth": {"basic": basic}}

    return {
        job_id(database, peer): {
            "source": endpoint(base, database),
            "target": endpoint(url, database),
            "owner": owner,
            **OPTIONS,
        }
        for database in databases
        for peer, base in peers.urls.items()
    }


def differences(document: dict[str, Any] | None, wanted: dict[str, Any]) -> Iterator[str]:
    """Yield a predicate for each difference of a document. It contains no values."""
    if document is None:
        yield "is missing"
        return
    if document.get("_conflicts"):
        yield "has rival revisions"
    for name, value in wanted.items():
        if not _contains(document.get(name), value):
            yield f"has a different {name}"
    for name, value in document.items():
        if _is_restriction(name, value):
            yield f"has the option {name}"


def repaired(document: dict[str, Any], wanted: dict[str, Any]) -> dict[str, Any]:
    """Return the wanted document with the harmless fields that operators added."""
    return _merged({name: each for name, each in document.items() if _may_stay(name, each)}, wanted)


def _is_restriction(name: str, value: object) -> bool:
    return name in _RESTRICTIONS or (name == "since_seq" and value not in _FROM_THE_START)


def _may_stay(name: str, value: object) -> bool:
    """Whether a repaired document keeps a field: not CouchDB's own, such as the job's state."""
    return name == "_rev" or not (name.startswith("_") or _is_restriction(name, value))


def _contains(found: object, wanted: object) -> bool:
    """Whether a value is the wanted one; objects may have more fields."""
    if not isinstance(wanted, dict):
        return found == wanted
    return isinstance(found, dict) and all(
        _contains(found.get(name), value) for name, value in wanted.items()
    )


def _merged(old: dict[str, Any], wanted: dict[str, Any]) -> dict[str, Any]:
    """Return the wanted object with the additional fields of ``old``, at every level."""
    merged = old | wanted
    for name, value in wanted.items():
        if isinstance(value, dict) and isinstance(known := old.get(name), dict):
            merged[name] = _merged(known, value)
    return merged
