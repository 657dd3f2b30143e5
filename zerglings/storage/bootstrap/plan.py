"""The bootstrap steps of each store, in order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from zerglings.storage.bootstrap.access import Retire, Security, User
from zerglings.storage.bootstrap.cluster import Admin, Cluster, Wait
from zerglings.storage.bootstrap.copies import Copies
from zerglings.storage.bootstrap.database import REVS_LIMIT, DatabaseStep, Verify
from zerglings.storage.bootstrap.replication.refetch import Refetch
from zerglings.storage.bootstrap.replication.step import Replicate
from zerglings.storage.bootstrap.runner import Misconfigured, Run, Step
from zerglings.storage.bootstrap.server import Server
from zerglings.storage.bootstrap.sqlite import File, Usable
from zerglings.storage.couchdb.account import Account
from zerglings.storage.couchdb.client import CouchDBClient
from zerglings.storage.couchdb.store import database_names
from zerglings.storage.regions.exchange import Exchange
from zerglings.storage.regions.replications import Peers

STEPS: tuple[type[Step], ...] = (
    Wait, Admin, Cluster, User, DatabaseStep, Security, Copies, Replicate, Verify,
)  # fmt: skip
"""The steps for CouchDB, for help texts."""


@dataclass(frozen=True, slots=True)
class CouchDBPlan:
    """The desired state of a CouchDB server.

    Attributes:
        url: base URL of the server.
        admin: the server admin's account.
        service: the service's account; the admin's if there is no other.
        database: name of the main database.
        nodes: number of nodes in the cluster, 1 for a single server.
        shards: ``q`` and ``n`` of new databases, if they were chosen.
        revs_limit: number of revisions to remember per document, None for the default.
        retired: name of an account to remove.
        writes: whether to verify with a write even if nothing was changed.
        waits: whether to wait for copies that lack documents.
        ca_file: PEM file of the certificate authorities to trust, None for the public ones.
        peers: the other regions' CouchDBs, None if there are none.
        exchanges: the replications to be compared with those of the peers.
        start_limit: seconds to wait until CouchDB has started all replications, 0 to ignore that.
        refetches: whether the replications are to compare everything once more.
    """

    url: str
    admin: Account
    service: Account
    database: str
    nodes: int = 1
    shards: dict[str, int] | None = None
    revs_limit: int | None = None
    retired: str | None = None
    writes: bool = False
    waits: bool = False
    ca_file: Path | None = None
    peers: Peers | None = None
    exchanges: Sequence[Exchange] = ()
    start_limit: float = 0
    refetches: bool = False

    def steps(self, run: Run) -> list[Step]:
        """Return the steps in order.

        Raises:
            Misconfigured: the account to remove is in use, one account has two passwords, or the
                peers' account has another purpose too.
        """
        self._check_accounts()
        create_client = partial(CouchDBClient, self.url, ca_file=self.ca_file)
        server = Server(create_client, self.admin, self.service, run)
        names = database_names(self.database)
        # On one node, a second shard brings no benefit and makes each update more expensive.
        default_q = 1 if self.nodes == 1 else None
        # Other regions have copies too, which may miss updates.
        limit = self.revs_limit or (REVS_LIMIT if self.peers is not None else None)
        database = DatabaseStep(server, names, self.shards or {}, default_q, limit)
        security = Security(server, names)
        replicate = Refetch if self.refetches else Replicate
        steps: list[Step] = [
            Wait(server),
            Admin(server),
            Cluster(server, self.nodes),
            User(server),
            database,
            security,
            Copies(server, names, (database, security), waits=self.waits),
            replicate(server, self.url, names, self.peers, self.exchanges, self.start_limit),
            Verify(server, names, writes=self.writes),
        ]
        return [*steps, Retire(server, self.retired)] if self.retired else steps

    def _check_accounts(self) -> None:
        in_use = [self.admin.username, self.service.username]
        if self.peers is not None:
            if self.peers.account.username in in_use:
                raise Misconfigured(
                    "COUCHDB_PEERS_USERNAME: is the account of the service or of the admin; "
                    "give one of its own, which this command creates"
                )
            in_use.append(self.peers.account.username)
        if self.retired in in_use:
            raise Misconfigured(f"--retire: the account {self.retired!r} is in use")
        is_same_account = self.admin.username == self.service.username
        if is_same_account and self.admin.password != self.service.password:
            raise Misconfigured(
                f"{self.admin.variable}: differs from {self.service.variable}, but both are for "
                f"the account {self.admin.username!r}"
            )


def sqlite_steps(path: Path) -> list[Step]:
    """Return the steps for the embedded store."""
    return [File(path), Usable(path)]


def chosen(steps: list[Step], names: Sequence[str]) -> list[Step]:
    """Return the steps with these names, all of them if ``names`` is empty.

    The step for ``--retire`` always stays, because that option requests it.

    Raises:
        Misconfigured: there is no step of one of these names.
    """
    known = [step.name for step in steps]
    for name in names:
        if name not in known:
            hint = "give the account with --retire" if name == Retire.name else ", ".join(known)
            raise Misconfigured(
                f"--only or OVERMIND_BOOTSTRAP_ONLY: there is no step {name!r} here: {hint}"
            )
    return [step for step in steps if not names or step.name in (*names, Retire.name)]
