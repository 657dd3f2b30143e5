"""Which steps there are for each store, in their order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from zerglings.storage.bootstrap.access import Retire, Security, User
from zerglings.storage.bootstrap.copies import Copies
from zerglings.storage.bootstrap.database import Database, Verify
from zerglings.storage.bootstrap.runner import Misconfigured, Run, Step
from zerglings.storage.bootstrap.server import Admin, Cluster, Server, Wait
from zerglings.storage.bootstrap.sqlite import File, Usable
from zerglings.storage.couchdb.account import Account
from zerglings.storage.couchdb.client import CouchDBClient
from zerglings.storage.couchdb.store import databases

STEPS: tuple[type[Step], ...] = (Wait, Admin, Cluster, User, Database, Security, Copies, Verify)
"""What CouchDB goes through, for help texts."""

REVS_LIMIT = 50
"""Revisions that CouchDB remembers of a document unless the operator chose otherwise."""


@dataclass(frozen=True, slots=True)
class CouchDBPlan:
    """What a CouchDB server is to become.

    Attributes:
        url: base URL of the server.
        admin: the server admin's account.
        service: the service's account; the admin's own if there is no other.
        database: name of the zerglings' database.
        nodes: how many nodes the cluster has, 1 for a single server.
        shards: ``q`` and ``n`` of new databases, as far as they were chosen.
        revs_limit: revisions to remember of each document.
        retired: an account to remove.
        writes: whether to verify by writing even if nothing was changed.
        waits: whether copies that are behind the others are waited for.
        authorities: a file of the certificates of those who may vouch for the server.
    """

    url: str
    admin: Account
    service: Account
    database: str
    nodes: int = 1
    shards: dict[str, int] | None = None
    revs_limit: int = REVS_LIMIT
    retired: str | None = None
    writes: bool = False
    waits: bool = False
    authorities: Path | None = None

    def steps(self, run: Run) -> list[Step]:
        """Return the steps in their order.

        Raises:
            Misconfigured: the account to remove is in use, or one account has two passwords.
        """
        if self.retired in (self.admin.username, self.service.username):
            raise Misconfigured(f"--retire: the account {self.retired!r} is in use")
        is_one = self.admin.username == self.service.username
        if is_one and self.admin.password != self.service.password:
            raise Misconfigured(
                f"{self.admin.variable}: is not {self.service.variable}, but both are for the "
                f"account {self.admin.username!r}"
            )
        client_of = partial(CouchDBClient, self.url, authorities=self.authorities)
        server = Server(client_of, self.admin, self.service, run)
        names = databases(self.database)
        database = Database(server, names, self.shards or {}, self.revs_limit)
        security = Security(server, names)
        steps: list[Step] = [
            Wait(server),
            Admin(server),
            Cluster(server, self.nodes),
            User(server),
            database,
            security,
            Copies(server, names, (database, security), waits=self.waits),
            Verify(server, names, writes=self.writes),
        ]
        return [*steps, Retire(server, self.retired)] if self.retired else steps


def sqlite_steps(path: Path) -> list[Step]:
    """Return the steps for the embedded store."""
    return [File(path), Usable(path)]


def chosen(steps: list[Step], names: Sequence[str]) -> list[Step]:
    """Return the steps that go by these names, all of them if there are none.

    An account to retire was asked for by name, so that step always stays.

    Raises:
        Misconfigured: none of the steps goes by one of these names.
    """
    known = [step.name for step in steps]
    for name in names:
        if name not in known:
            hint = "give the account with --retire" if name == Retire.name else ", ".join(known)
            raise Misconfigured(
                f"--only or OVERMIND_BOOTSTRAP_ONLY: there is no step {name!r} here: {hint}"
            )
    return [step for step in steps if not names or step.name in (*names, Retire.name)]
