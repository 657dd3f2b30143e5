"""Bootstrap steps for access: the service's account and the databases' ``_security``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from zerglings.storage.bootstrap.accounts import (
    RoleAccount,
    delete_document,
    roles_of,
    user_id,
)
from zerglings.storage.bootstrap.nodes import Copy, Nodes, on_node
from zerglings.storage.bootstrap.runner import BootstrapError, Misconfigured, NotYet
from zerglings.storage.bootstrap.server import CONFLICT, NOT_COUCHDB, Server, ServerStep
from zerglings.storage.couchdb.store import ROLE, members_of, security_drift


class User(ServerStep):
    """The service's account exists, with the configured password and role.

    Without a separate admin account there is nothing to do: the service uses the admin's.
    """

    name = "user"
    required_state = (
        f"the service's account exists, has the role {ROLE!r} and the configured password"
    )

    def __init__(self, server: Server) -> None:
        super().__init__(server)
        self._account = RoleAccount(server, server.service, self.warnings)

    def drift(self) -> str | None:
        """Compare the account with the configuration, without signing in."""
        if not self.server.has_separate_admin:
            return None
        drift = self._account.drift()
        if drift is not None:
            return f"the account {drift}"
        self.server.password_is_known = True
        return None

    def act(self) -> str | None:
        """Create the account, or set its password and role and keep everything else."""
        done = self._account.act()
        self.server.password_was_set |= self._account.password_was_set
        return done


class Retire(ServerStep):
    """The account of ``--retire`` is removed."""

    name = "retire"
    required_state = "the account named by --retire is gone"

    def __init__(self, server: Server, retired: str) -> None:
        super().__init__(server)
        self._retired = retired
        self._was_found = False

    def drift(self) -> str | None:
        """Check whether the account exists; reject one without the service's role.

        A missing account is only a warning, because the command may be repeated. The warning shows
        a mistyped name.
        """
        user = self.server.look("_users", user_id(self._retired))
        if user is None:
            if not self._was_found:
                self.warnings.append(
                    f"there is no account {self._retired!r}: it was removed before, or the name is "
                    "wrong"
                )
            return None
        self._was_found = True
        if ROLE not in roles_of(user):
            raise Misconfigured(f"--retire: {self._retired!r} is not an account of this service")
        return f"the account {self._retired!r} still exists"

    def act(self) -> str:
        """Delete the account."""
        path = ["_users", user_id(self._retired)]
        user = self.server.look(*path, conflicts="true")
        if user is not None:
            delete_document(self.server, path, user)
        return f"removed the account {self._retired!r}"


class Security(ServerStep):
    """Only admins, the service's role and members added by operators may use the databases."""

    name = "security"
    required_state = (
        f"only admins, the role {ROLE!r} and members added by operators may use the databases"
    )

    def __init__(self, server: Server, databases: tuple[str, ...]) -> None:
        super().__init__(server)
        self._databases = databases
        self._nodes = Nodes(server)

    def drift(self) -> str | None:
        """Check ``_security`` of each database, on every node that can be queried."""
        self._nodes.unseen = self.unseen = []
        found = []
        for database in self._databases:
            security = self.server.look(database, "_security")
            if security is None:
                found.append(f"{database} is missing")
                continue
            by_copy = self._by_copy(database, security)
            preferred = _preferred([each for _, each in by_copy], shown=security)
            for copy, each in by_copy:
                drift = security_drift(each) or (each != preferred and "has a different _security")
                if drift:
                    found.append(f"{database} {drift}{on_node(copy)}")
        return "; ".join(dict.fromkeys(found)) or None

    def act(self) -> str | None:
        """Add the role to the members. This also closes a database that was open to everybody."""
        done = []
        for database in self._databases:
            security = self.server.look(database, "_security")
            if security is None:
                raise BootstrapError(f"{database} is missing; run the step 'database' first")
            by_copy = self._by_copy(database, security)
            target = _with_role(_preferred([each for _, each in by_copy], shown=security))
            for copy in [copy for copy, each in by_copy if each != target]:
                path = copy.path if copy else (database,)
                changed = self.server.change(
                    "PUT", *path, "_security", body=target, harmless=(CONFLICT,)
                )
                if changed and database not in done:
                    done.append(database)
        return f"closed {' and '.join(done)} to all but members" if done else None

    def _by_copy(
        self, database: str, security: dict[str, Any]
    ) -> list[tuple[Copy | None, dict[str, Any]]]:
        """Return each copy and its ``_security``.

        If copies cannot be queried, the only entry is ``(None, security)``.
        """
        copies = self._nodes.copies(database)
        if copies is None:
            return [(None, security)]
        by_copy = list(self._nodes.read(copies, "_security"))
        if not all(isinstance(each, dict) for _, each in by_copy):
            raise NotYet(NOT_COUCHDB)
        return [*by_copy]


def _preferred(objects: Sequence[dict[str, Any]], *, shown: dict[str, Any]) -> dict[str, Any]:
    """Return the ``_security`` that all copies should share.

    It is the most frequent one among those that admit the role, or among all if none does. Ties go
    to ``shown``.

    Args:
        objects: the copies' objects.
        shown: the object that CouchDB returns for the database.
    """
    candidates = [each for each in objects if security_drift(each) is None] or objects
    return max(candidates, key=lambda each: (candidates.count(each), each == shown), default=shown)


def _with_role(security: dict[str, Any]) -> dict[str, Any]:
    """Return ``security`` with the role among its members."""
    if security_drift(security) is None:
        return security
    members = members_of(security)
    members["roles"] = [*members["roles"], ROLE]
    return {key: value for key, value in security.items() if key != "readers"} | {
        "members": members
    }
