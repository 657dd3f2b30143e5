"""Bootstrap step for regions: CouchDB pulls both databases from the CouchDBs of other regions.

CouchDB itself runs the replications, one for each document in ``_replicator``. This step only
writes these documents. It connects to peers only if it is to compare with them, so that an
unreachable peer does not delay the start of a pod.

See https://docs.couchdb.org/en/stable/replication/replicator.html.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Sequence, Set
from typing import Any

from zerglings.storage.base import StoreUnavailable
from zerglings.storage.bootstrap.accounts import RoleAccount, delete_conflicts, delete_document
from zerglings.storage.bootstrap.nodes import Nodes
from zerglings.storage.bootstrap.replicator_settings import unsuitable_settings
from zerglings.storage.bootstrap.runner import BootstrapError, NotYet, Refused
from zerglings.storage.bootstrap.server import (
    CONFLICT,
    FORBIDDEN,
    NOT_COUCHDB,
    NOT_FOUND,
    UNAUTHORIZED,
    Server,
    ServerStep,
)
from zerglings.storage.couchdb.responses import ErrorResponse
from zerglings.storage.regions.exchange import Exchange
from zerglings.storage.regions.heartbeats import document_id
from zerglings.storage.regions.jobs import PREFIX, REPLICATOR, SCHEDULED, ids_from, peer_of
from zerglings.storage.regions.replications import Peers, differences, documents_of, repaired

_ENDED = ("failed", "completed")
"""States that last until the document is written again."""

_UNHEALTHY = ("crashing", "error", *_ENDED)

START_LIMIT = 10.0
"""Seconds in which CouchDB starts replications. After its own start it first waits for 5 seconds;
when a node of a cluster has failed, the others take over its replications within about a minute."""

PAUSE = 0.2
"""Seconds between two looks at replications that have not started."""

Jobs = dict[str, dict[str, Any]]
"""What CouchDB's scheduler knows of replications, by the ids of their documents."""


class Replicate(ServerStep):
    """One continuous replication from each peer to each of the databases.

    Args:
        server: the CouchDB server.
        url: the server's base URL.
        databases: the databases, which have the same names in every region.
        peers: the other regions, None if there are none.
        exchanges: the replications to be compared with those of the peers.
        start_limit: seconds to wait until CouchDB has started the replications, after which those
            that it has not started are reported; 0 to ignore them.
    """

    name = "replicate"
    required_state = "CouchDB replicates both databases from the peers of COUCHDB_PEERS"

    def __init__(
        self,
        server: Server,
        url: str,
        databases: tuple[str, ...],
        peers: Peers | None,
        exchanges: Sequence[Exchange] = (),
        start_limit: float = 0,
    ) -> None:
        super().__init__(server)
        _, self._history = databases
        self._exchanges = exchanges
        self._start_limit = start_limit
        names = "|".join(map(re.escape, databases))
        self._our_ids = re.compile(rf"{PREFIX}({names}):[a-z0-9-]{{1,63}}")
        self._wanted: dict[str, dict[str, Any]] = {}
        self._account: RoleAccount | None = None
        self._uses_tls = False
        self._nodes = Nodes(server)
        self._ended: list[str] = []  # ids of replications that have ended, to be restarted
        self._restarted: set[str] = set()  # ids of those that were restarted once in this run
        if peers is not None:
            self._wanted = documents_of(peers, url, databases, owner=server.admin.username)
            self._account = RoleAccount(server, peers.account, self.warnings)
            self._uses_tls = any(each.startswith("https:") for each in (url, *peers.urls.values()))

    def drift(self) -> str | None:
        """Compare the documents and the account with the configuration.

        ``unseen`` then lists the replications that do not work.
        """
        self._nodes.unseen = self.unseen = []
        documents = self._documents()
        found = [f"{id_} has no peer" for id_ in documents if id_ not in self._wanted]
        for id_, wanted in self._wanted.items():
            found += [f"{id_} {what}" for what in differences(documents.get(id_), wanted)]
        if self._account is not None:
            account = self._account.drift()
            found += [f"the account of the peers {account}"] if account else []
            self.warnings += unsuitable_settings(self._nodes, uses_tls=self._uses_tls)
            expected = documents.keys() & self._wanted.keys()
            if (jobs := self._jobs(expected)) is not None:
                found += self._ended_replications(jobs)
                self.unseen += self._not_started(expected, jobs)
                self.unseen += self._refusals(jobs)
            self.unseen += self._faults(jobs)
        return "; ".join(found) or None

    def act(self) -> str | None:
        """Create, repair and remove documents. Concurrent runs may do the same."""
        done = []
        if self._account is not None and self._account.drift() is not None:
            done.append(self._account.act())
        documents = self._documents()
        unwanted = {id_: each for id_, each in documents.items() if id_ not in self._wanted}
        for id_, document in unwanted.items():
            if delete_document(self.server, [REPLICATOR, id_], document):
                done.append(f"removed {id_}")
        for peer in sorted({peer_of(id_) for id_ in unwanted}):
            done.append(self._remove_heartbeat(peer))
        for id_, wanted in self._wanted.items():
            if id_ in self._ended or any(differences(documents.get(id_), wanted)):
                done.append(self._write(id_, documents.get(id_), wanted))
        self._restarted.update(self._ended)
        return "; ".join(filter(None, done)) or None

    def _documents(self) -> dict[str, dict[str, Any]]:
        """Return this step's documents for these databases by id."""
        path = REPLICATOR, "_all_docs"
        params = ids_from(PREFIX) | {"include_docs": "true", "conflicts": "true"}
        try:
            found = self.server.ask(self.server.as_admin, "GET", *path, params=params)
            rows = [(str(row["id"]), row["doc"]) for row in found["rows"]]
        except (KeyError, TypeError) as error:
            raise NotYet(NOT_COUCHDB) from error
        except ErrorResponse as answer:
            if answer.status == NOT_FOUND and not self._wanted:
                return {}
            if answer.status in (UNAUTHORIZED, FORBIDDEN):
                raise Refused(
                    f"{self.server.admin.description} is not a server admin, which the step "
                    f"{self.name!r} needs; give one in COUCHDB_ADMIN_USERNAME and "
                    "COUCHDB_ADMIN_PASSWORD"
                ) from answer
            raise BootstrapError(f"cannot read /{REPLICATOR}: {answer}") from answer
        return {
            id_: document
            for id_, document in rows
            if isinstance(document, dict) and self._our_ids.fullmatch(id_)
        }

    def _remove_heartbeat(self, peer: str) -> str | None:
        """Delete the heartbeat of a region that is no peer any more, so that its lag disappears."""
        path = [self._history, document_id(peer)]
        document = self.server.look(*path, conflicts="true")
        if document is None or not delete_document(self.server, path, document):
            return None
        return f"removed the heartbeat of {peer}"

    def _write(
        self, id_: str, document: dict[str, Any] | None, wanted: dict[str, Any]
    ) -> str | None:
        """Write a document; keep harmless fields that operators added.

        Without the state that CouchDB has added to the document of an ended replication, CouchDB
        starts it again.
        """
        old = document or {}
        if conflicts := old.get("_conflicts"):
            number = delete_conflicts(self.server, [REPLICATOR, id_], conflicts)
            return f"removed rival revisions of {id_}: {number}"
        body = repaired(old, wanted)
        if not self.server.change("PUT", REPLICATOR, id_, body=body, harmless=(CONFLICT,)):
            return None
        return f"{'created' if document is None else 'repaired'} {id_}"

    def _jobs(self, expected: Set[str]) -> Jobs | None:
        """Return the jobs of this step's replications, None before CouchDB 2.1.

        Waits for those of the ``expected`` documents, at most ``start_limit`` seconds.
        """
        end = time.monotonic() + min(self._start_limit, self.server.run.seconds_left)
        while True:
            found = self.server.look(*SCHEDULED)
            if found is None:
                return None
            try:
                jobs = {str(job["doc_id"]): job for job in found["docs"]}
            except (KeyError, TypeError) as error:
                raise NotYet(NOT_COUCHDB) from error
            if expected <= jobs.keys() or time.monotonic() >= end:
                return {id_: job for id_, job in jobs.items() if id_ in self._wanted}
            time.sleep(PAUSE)

    def _ended_replications(self, jobs: Jobs) -> list[str]:
        """Return a sentence for each replication that has ended and was not restarted yet.

        A replication that is crashing is only reported, in ``unseen``: CouchDB starts it again.
        """
        self._ended = []
        found = []
        for id_, state, reason in _unhealthy(jobs):
            sentence = f"{id_} is {state}: {reason}"
            if state in _ENDED and id_ not in self._restarted:
                self._ended.append(id_)
                found.append(sentence)
            else:
                self.unseen.append(sentence)
        return found

    def _not_started(self, expected: Set[str], jobs: Jobs) -> Iterator[str]:
        """Yield a sentence for each document that CouchDB has not made a job of."""
        if self._start_limit:
            for id_ in sorted(expected - jobs.keys()):
                yield f"{id_} is not started: CouchDB does not list it in /_scheduler/docs"

    def _refusals(self, jobs: Jobs) -> Iterator[str]:
        """Yield a sentence for each replication that lacks documents that CouchDB refused to store.

        ``/_scheduler/docs`` has their number, too, but not between the start of a replication and
        its next change.
        """
        try:
            tasks = self.server.ask(self.server.as_admin, "GET", "_active_tasks")
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

    def _faults(self, jobs: Jobs | None) -> Iterator[str]:
        """Yield a sentence for each fault that CouchDB does not report, or that cannot be known.

        A peer that does not answer is asked once. A comparison needs this region's job.
        """
        silent: set[str] = set()
        for exchange in self._exchanges:
            has_job = jobs is None or exchange.replication in jobs
            if not has_job or exchange.peer_name in silent:
                continue
            try:
                if fault := exchange.fault():
                    yield fault
            except StoreUnavailable as error:
                silent.add(exchange.peer_name)
                yield f"cannot be compared with peer {exchange.peer_name}: {error}"


def _unhealthy(jobs: Jobs) -> Iterator[tuple[str, str, str]]:
    """Yield id, state and reason of each replication that does not work."""
    for id_, job in jobs.items():
        if job.get("state") in _UNHEALTHY:
            info = job.get("info")
            reason = info.get("error") if isinstance(info, dict) else info
            yield id_, str(job["state"]), str(reason or "CouchDB gives no reason")
