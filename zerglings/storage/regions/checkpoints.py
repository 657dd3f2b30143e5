"""Checkpoints: the local documents in which CouchDB stores how far a replication has come.

Source and target have one of the same id. The source's is written first.

See https://docs.couchdb.org/en/stable/replication/protocol.html#upload-batch-of-changed-documents.
"""

from __future__ import annotations

from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any

from zerglings.storage.couchdb.database import Database
from zerglings.storage.regions.jobs import CALL_TIMEOUT

START = "0"
"""The position before the first change."""


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """What one end of a replication has stored.

    Attributes:
        session: id of the run of the replication that has written it.
        position: position in the changes of the source.
        written: when, in seconds since 1970 by the clock of the CouchDB that replicates; 0 if that
            is not known.
    """

    session: str
    position: str
    written: float = 0


def checkpoints(database: Database) -> dict[str, Checkpoint]:
    """Return the checkpoints of all replications in which the database takes part, by id."""
    answer = database.ask(
        *("GET", "_local_docs"),
        timeout=CALL_TIMEOUT,
        params={"include_docs": "true"},
        required_key="rows",
    )
    documents = [row["doc"] for row in answer["rows"] if isinstance(row.get("doc"), dict)]
    return {
        str(document["_id"]): _checkpoint(document)
        for document in documents
        if "source_last_seq" in document
    }


def changes_after(database: Database, position: str) -> int:
    """Return the number of documents that were changed after a position.

    After a position of another database, that is the number of all documents.
    """
    answer = database.ask(
        *("GET", "_changes"),
        timeout=CALL_TIMEOUT,
        params={"since": position, "limit": "1"},
        required_key="pending",
    )
    return len(answer["results"]) + int(answer["pending"])


def last_position(database: Database) -> str:
    """Return the position after the last change."""
    answer = database.ask(
        *("GET", "_changes"),
        timeout=CALL_TIMEOUT,
        params={"since": "now", "limit": "1"},
        required_key="last_seq",
    )
    return str(answer["last_seq"])


def number_of(position: str) -> int:
    """Return the number in a position, which adds up those of all shards."""
    return int(position.partition("-")[0])


def is_older_copy(source: Database, target: Database, id_: str) -> bool:
    """Whether a source was replaced by an older copy of its files.

    New changes then get numbers that the target has already, so that it does not ask for them. This
    can be seen in two ways, until the source has as many changes as before: the target's checkpoint
    is newer, although the source's is written first; or it is beyond the source's last change. The
    second needs one copy of each shard, because each copy counts by itself.

    Args:
        source: the database that may be the source of the replication.
        target: the database that is then the target.
        id_: the id of both checkpoints.
    """
    newer, older = _read(target, id_), _read(source, id_)  # in this order: both may be written now
    is_newer = newer.written > older.written > 0
    return (is_newer or _is_beyond(newer.position, source)) and _knows(source, newer.position)


def _is_beyond(position: str, database: Database) -> bool:
    is_later = number_of(position) > number_of(last_position(database))
    return is_later and database.cluster(CALL_TIMEOUT).get("n") == 1


def _read(database: Database, id_: str) -> Checkpoint:
    document = database.ask(
        *("GET", *id_.split("/", 1)), timeout=CALL_TIMEOUT, required_key="source_last_seq"
    )
    return _checkpoint(document)


def _checkpoint(document: dict[str, Any]) -> Checkpoint:
    sessions = document.get("history") or [{}]
    return Checkpoint(
        session=str(document.get("session_id")),
        position=str(document["source_last_seq"]),
        written=_seconds(sessions[0].get("end_time")),
    )


def _seconds(date: object) -> float:
    try:
        return parsedate_to_datetime(str(date)).timestamp()
    except ValueError:
        return 0


def _knows(database: Database, position: str) -> bool:
    """Whether a position is one of this database, as opposed to one of another."""
    every = changes_after(database, START)  # first, so that new documents do not count
    return changes_after(database, position) < every
