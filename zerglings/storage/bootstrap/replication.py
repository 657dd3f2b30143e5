"""Bootstrap step for regions: CouchDB pulls both databases from the CouchDBs of other regions.

CouchDB itself runs the replications, one for each document in ``_replicator``. This step only
writes these documents. It connects to peers only if it is to compare with them, so that an
unreachable peer does not delay the start of a pod.

See https://docs.couchdb.org/en/stable/replication/replicator.html.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

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
from zerglings.storage.couchdb.account import Account
from zerglings.storage.couchdb.responses import ErrorResponse
from zerglings.storage.regions.exchange import Exchange
from zerglings.storage.regions.heartbeats import document_id
from zerglings.storage.regions.jobs import (
    PREFIX,
    REPLICATOR,
    SCHEDULED,
    ids_from,
    job_id,
    peer_of,
)

OPTIONS = {"continuous": True, "retries_per_request": 20}
"""Options of each replication.

With the default of 5 retries a replication crashes 8 seconds after its peer has become unreachable.
CouchDB then waits longer each time before it tries again, see ``LONG_HISTORY``. With 20 it survives
interruptions of about a minute, the limit that CouchDB has for all retries together.
"""

_RESTRICTIONS = ("cancel", "doc_ids", "filter", "query_params", "selector", "winning_revs_only")
"""Options with which a replication would not copy everything."""

_FROM_THE_START = (0, "0")
"""Values of ``since_seq`` with which a replication copies everything."""

_ENDED = ("failed", "completed")
"""States that last until the document is written again."""

_UNHEALTHY = ("crashing", "error", *_ENDED)


@dataclass(frozen=True, slots=True)
class Peers:
    """The CouchDBs of the other regions.

    Attributes:
        urls: their base URLs by name.
        account: the account for replication, which is the same in every region.
    """

    urls: Mapping[str, str]
    account: Account


class Replicate(ServerStep):
    """One continuous replication from each peer to each of the databases.

    Args:
        server: the CouchDB server.
        url: the server's base URL.
        databases: the databases, which have the same names in every region.
        peers: the other regions, None if there are none.
        exchanges: the replications to be compared with those of the peers.
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
    ) -> None:
        super().__init__(server)
        _, self._history = databases
        self._exchanges = exchanges
        names = "|".join(map(re.escape, databases))
        self._our_ids = re.compile(rf"{PREFIX}({names}):[a-z0-9-]{{1,63}}")
        self._wanted: dict[str, dict[str, Any]] = {}
        self._account: RoleAccount | None = None
        self._uses_tls = False
        self._nodes = Nodes(server)
        self._ended: list[str] = []  # ids of replications that have ended, to be restarted
        self._restarted: set[str] = set()  # ids of those that were restarted once in this run
        if peers is not None:
            self._wanted = _documents_of(peers, url, databases, owner=server.admin.username)
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
            found += [f"{id_} {what}" for what in _differences(documents.get(id_), wanted)]
        if self._account is not None:
            account = self._account.drift()
            found += [f"the account of the peers {account}"] if account else []
            self.warnings += unsuitable_settings(self._nodes, uses_tls=self._uses_tls)
            found += self._ended_replications()
            self.unseen += self._faults()
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
            if id_ in self._ended or any(_differences(documents.get(id_), wanted)):
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
        kept = {name: value for name, value in old.items() if _may_stay(name, value)}
        body = _merged(kept, wanted)
        if not self.server.change("PUT", REPLICATOR, id_, body=body, harmless=(CONFLICT,)):
            return None
        return f"{'created' if document is None else 'repaired'} {id_}"

    def _ended_replications(self) -> list[str]:
        """Return a sentence for each replication that has ended and was not restarted yet.

        A replication that is crashing is only reported, in ``unseen``: CouchDB starts it again.
        """
        self._ended = []
        found = []
        for id_, state, reason in self._unhealthy():
            sentence = f"{id_} is {state}: {reason}"
            if state in _ENDED and id_ not in self._restarted:
                self._ended.append(id_)
                found.append(sentence)
            else:
                self.unseen.append(sentence)
        return found

    def _unhealthy(self) -> Iterator[tuple[str, str, str]]:
        """Yield id, state and reason of each replication of this step that does not work."""
        found = self.server.look(*SCHEDULED, states=",".join(_UNHEALTHY))
        if found is None:  # CouchDB before 2.1
            return
        try:
            jobs = {job["doc_id"]: (job["state"], job["info"]) for job in found["docs"]}
        except (KeyError, TypeError) as error:
            raise NotYet(NOT_COUCHDB) from error
        for id_ in self._wanted:
            if id_ in jobs:
                state, info = jobs[id_]
                reason = info.get("error") if isinstance(info, dict) else info
                yield id_, str(state), str(reason or "CouchDB gives no reason")

    def _faults(self) -> Iterator[str]:
        """Yield a sentence for each fault that CouchDB does not report."""
        for exchange in self._exchanges:
            with suppress(StoreUnavailable):  # the state of the replication says what fails
                if fault := exchange.fault():
                    yield fault


def _documents_of(
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


def _differences(document: dict[str, Any] | None, wanted: dict[str, Any]) -> Iterator[str]:
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


def _merged(old: Any, wanted: Any) -> Any:  # noqa: ANN401 - any JSON
    """Return the wanted value with the additional fields of ``old``, at every level."""
    if not isinstance(old, dict) or not isinstance(wanted, dict):
        return wanted
    return old | {name: _merged(old.get(name), value) for name, value in wanted.items()}
