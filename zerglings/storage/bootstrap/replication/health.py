"""Finds replications that do not work.

CouchDB's scheduler and its active tasks show most of them. Only a comparison with the peer shows
one whose source or target was restored.

See https://docs.couchdb.org/en/stable/replication/replicator.html.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence, Set
from typing import Any

from zerglings.storage.base import StoreUnavailable
from zerglings.storage.bootstrap.runner import BootstrapError, NotYet
from zerglings.storage.bootstrap.server import NOT_COUCHDB, Server
from zerglings.storage.couchdb.responses import ErrorResponse
from zerglings.storage.regions.exchange import Exchange
from zerglings.storage.regions.jobs import ENDED, SCHEDULED

_UNHEALTHY = ("crashing", "error", *ENDED)

START_LIMIT = 10.0
"""Seconds in which CouchDB starts replications. After its own start it first waits for 5 seconds;
when a node of a cluster has failed, the others take over its replications within about a minute."""

PAUSE = 0.2
"""Seconds between two looks at replications that have not started."""

Jobs = dict[str, dict[str, Any]]
"""What CouchDB's scheduler knows of replications, by the ids of their documents."""


def jobs_of(
    server: Server, documents: Set[str], *, expected: Set[str], limit: float
) -> Jobs | None:
    """Return the jobs of these documents, None before CouchDB 2.1.

    Waits for those of the ``expected`` documents, at most ``limit`` seconds.
    """
    end = time.monotonic() + min(limit, server.run.seconds_left)
    while True:
        found = server.look(*SCHEDULED)
        if found is None:
            return None
        try:
            jobs = {str(job["doc_id"]): job for job in found["docs"]}
        except (KeyError, TypeError) as error:
            raise NotYet(NOT_COUCHDB) from error
        if expected <= jobs.keys() or time.monotonic() >= end:
            return {id_: job for id_, job in jobs.items() if id_ in documents}
        time.sleep(PAUSE)


def unhealthy(jobs: Jobs) -> Iterator[tuple[str, str, str]]:
    """Yield id, state and reason of each replication that does not work."""
    for id_, job in jobs.items():
        if job.get("state") in _UNHEALTHY:
            info = job.get("info")
            reason = info.get("error") if isinstance(info, dict) else info
            yield id_, str(job["state"]), str(reason or "CouchDB gives no reason")


def not_started(expected: Set[str], jobs: Jobs) -> Iterator[str]:
    """Yield a sentence for each document that CouchDB has not made a job of."""
    for id_ in sorted(expected - jobs.keys()):
        yield f"{id_} is not started: CouchDB does not list it in /_scheduler/docs"


def refusals(server: Server, jobs: Jobs) -> Iterator[str]:
    """Yield a sentence for each replication that lacks documents that CouchDB refused to store.

    ``/_scheduler/docs`` has their number, too, but not between the start of a replication and its
    next change.
    """
    try:
        tasks = server.ask(server.as_admin, "GET", "_active_tasks")
        refused = {task.get("replication_id"): task.get("doc_write_failures") for task in tasks}
    except ErrorResponse as answer:
        raise BootstrapError(f"cannot read /_active_tasks: {answer}") from answer
    except (AttributeError, TypeError) as error:
        raise NotYet(NOT_COUCHDB) from error
    for id_, job in jobs.items():
        if number := refused.get(job.get("id")):
            yield (
                f"{id_} lacks documents that CouchDB refused (doc_write_failures: {number}): "
                "see 'Refused documents' in docs/regions.md"
            )


def faults(exchanges: Sequence[Exchange], jobs: Jobs | None) -> Iterator[str]:
    """Yield a sentence for each fault that CouchDB does not report, or that cannot be known.

    A peer that does not answer is asked once. A comparison needs this region's job.
    """
    silent: set[str] = set()
    for exchange in exchanges:
        has_job = jobs is None or exchange.replication in jobs
        if not has_job or exchange.peer_name in silent:
            continue
        try:
            if fault := exchange.fault():
                yield fault
        except StoreUnavailable as error:
            silent.add(exchange.peer_name)
            yield f"cannot be compared with peer {exchange.peer_name}: {error}"
