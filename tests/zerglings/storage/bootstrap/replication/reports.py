"""What CouchDB reports about its replications, as faults of a proxy."""

from __future__ import annotations

from tests.support.cluster import says
from tests.support.faults import Fault


def jobs(*found: tuple[str, str, object], times: int | None = None) -> Fault:
    """Answer with replications: for each the id of its document, its state and the reason."""
    docs = [
        {"doc_id": id_, "id": f"job of {id_}", "state": state, "info": info}
        for id_, state, info in found
    ]
    return Fault(says({"docs": docs}), lambda _, path: path.startswith("/_scheduler/docs"), times)


def tasks(*found: tuple[str, int]) -> Fault:
    """Answer with running replications, each with the number of documents that were refused."""
    running = [
        {"type": "replication", "replication_id": f"job of {id_}", "doc_write_failures": number}
        for id_, number in found
    ]
    other = {"type": "database_compaction", "database": "x"}
    return Fault(says([other, *running]), lambda _, path: path == "/_active_tasks")
