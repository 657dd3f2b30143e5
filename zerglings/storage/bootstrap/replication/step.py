"""Bootstrap step for regions: CouchDB pulls both databases from the CouchDBs of other regions.

CouchDB itself runs the replications, one for each document in ``_replicator``. This step only
writes these documents. It connects to peers only if it is to compare with them, so that an
unreachable peer does not delay the start of a pod.

See https://docs.couchdb.org/en/stable/replication/replicator.html.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from zerglings.storage.bootstrap.accounts import RoleAccount, delete_conflicts, delete_document
from zerglings.storage.bootstrap.nodes import Nodes
from zerglings.storage.bootstrap.replication.health import (
    Jobs,
    faults,
    jobs_of,
    not_started,
    refusals,
    unhealthy,
)
from zerglings.storage.bootstrap.replication.settings import unsuitable_settings
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
from zerglings.storage.regions.jobs import ENDED, PREFIX, REPLICATOR, ids_from, peer_of
from zerglings.storage.regions.replications import Peers, differences, documents_of, repaired

NO_REGION = (
    "OVERMIND_REGION is not given, so the lag between this region and the others is not measured, "
    "and /history fails while a part of a history has not arrived: give this command and the "
    "service the name under which the others list this region"
)


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
            if not peers.region:
                self.warnings.append(NO_REGION)

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
            jobs = jobs_of(
                self.server, self._wanted.keys(), expected=expected, limit=self._start_limit
            )
            if jobs is not None:
                found += self._ended_replications(jobs)
                self.unseen += not_started(expected, jobs) if self._start_limit else ()
                self.unseen += refusals(self.server, jobs)
            self.unseen += faults(self._exchanges, jobs)
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

    def _ended_replications(self, jobs: Jobs) -> list[str]:
        """Return a sentence for each replication that has ended and was not restarted yet.

        A replication that is crashing is only reported, in ``unseen``: CouchDB starts it again.
        """
        self._ended = []
        found = []
        for id_, state, reason in unhealthy(jobs):
            sentence = f"{id_} is {state}: {reason}"
            if state in ENDED and id_ not in self._restarted:
                self._ended.append(id_)
                found.append(sentence)
            else:
                self.unseen.append(sentence)
        return found
