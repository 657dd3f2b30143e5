"""Who may use the databases: the service's own account, and nobody whom no one let in."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from zerglings.storage.bootstrap.nodes import Copy, Nodes, on_node
from zerglings.storage.bootstrap.passwords import password_matches
from zerglings.storage.bootstrap.runner import BootstrapError, Misconfigured, NotYet
from zerglings.storage.bootstrap.server import (
    CONFLICT,
    NOT_COUCHDB,
    NOT_FOUND,
    Server,
    ServerStep,
)
from zerglings.storage.couchdb.store import ROLE, members_of, security_drift

_PASSWORD_FIELDS = (
    "password_scheme",
    "pbkdf2_prf",
    "salt",
    "iterations",
    "derived_key",
    "password_sha",
)


def user_id(name: str) -> str:
    """Return the document id of an account in ``_users``."""
    return f"org.couchdb.user:{name}"


def _roles(user: dict[str, Any]) -> list[Any]:
    roles = user.get("roles")
    return roles if isinstance(roles, list) else []


class User(ServerStep):
    """The service has an account of its own, not an admin's."""

    name = "user"
    wants = f"the service's account exists, has the role {ROLE!r} and the configured password"

    def drift(self) -> str | None:
        """Compare the account with what is configured, without signing in.

        A sign-in with a password that is yet to be changed would count as refused, and fifty of
        them at once would lock the account.
        """
        if not self.server.has_separate_admin:
            return None
        if self.server.service.is_anonymous:
            raise Misconfigured(
                f"{self.server.service.variable}: not given, so the account "
                f"{self.server.service.username!r} cannot be made"
            )
        user = self._user()
        if user is None:
            return "the account is missing"
        if user.get("_conflicts"):
            return "the account has rival revisions, with which CouchDB does not let it in"
        if ROLE not in _roles(user):
            return f"the account lacks the role {ROLE!r}"
        if not self._has_password(user):
            return "the account has another password"
        self.server.password_is_known = True
        return None

    def act(self) -> str | None:
        """Create the account or bring it to the configured password; keep whatever else it has."""
        account = self.server.service
        path = ["_users", user_id(account.username)]
        old = self._user()
        if old is not None and old.get("_conflicts"):
            return self._settle(path, old["_conflicts"])
        kept = {k: v for k, v in (old or {}).items() if k not in _PASSWORD_FIELDS}
        user = kept | {
            "name": account.username,
            "type": "user",
            "roles": [*(role for role in _roles(kept) if role != ROLE), ROLE],
            "password": account.password,
        }
        if not self.server.change("PUT", *path, body=user, harmless=(CONFLICT,)):
            return None
        self.server.password_was_set = True
        return f"{'created' if old is None else 'updated'} the account {account.username!r}"

    def _settle(self, path: list[str], rivals: list[str]) -> str:
        """Remove the revisions that lost, which runs on several nodes of a cluster can leave."""
        for revision in rivals:
            params = {"rev": revision}
            self.server.change("DELETE", *path, params=params, harmless=(NOT_FOUND, CONFLICT))
        return f"removed rival revisions of the account: {len(rivals)}"

    def _user(self) -> dict[str, Any] | None:
        path = ["_users", user_id(self.server.service.username)]
        return self.server.look(*path, conflicts="true")

    def _has_password(self, user: dict[str, Any]) -> bool:
        matches = password_matches(user, self.server.service.password)
        if matches is None:
            scheme = user.get("password_scheme")
            self.warnings.append(f"cannot compare a password of the scheme {scheme!r}")
            return True
        return matches


class Retire(ServerStep):
    """An account that the service no longer uses is gone."""

    name = "retire"
    wants = "the account named by --retire is gone"

    def __init__(self, server: Server, retired: str) -> None:
        super().__init__(server)
        self._retired = retired
        self._was_there = False

    def drift(self) -> str | None:
        """Look for the account; one without the role is none of the service's.

        One that is gone already is no error, as the command may be repeated; but the name may be a
        wrong one, and the account that was meant still be good.
        """
        user = self.server.look("_users", user_id(self._retired))
        if user is None:
            if not self._was_there:
                self.warnings.append(
                    f"there is no account {self._retired!r}: it was retired before, or the name is "
                    "wrong"
                )
            return None
        self._was_there = True
        if ROLE not in _roles(user):
            raise Misconfigured(f"--retire: {self._retired!r} is no account of this service")
        return f"the account {self._retired!r} still exists"

    def act(self) -> str:
        """Remove the account."""
        path = ["_users", user_id(self._retired)]
        user = self.server.look(*path)
        if user is not None:
            params = {"rev": user["_rev"]}
            self.server.change("DELETE", *path, params=params, harmless=(NOT_FOUND, CONFLICT))
        return f"removed the account {self._retired!r}"


class Security(ServerStep):
    """The databases are open to the service's role and to those whom operators added."""

    name = "security"
    wants = f"only admins, the role {ROLE!r} and members added by operators may use the databases"

    def __init__(self, server: Server, databases: tuple[str, ...]) -> None:
        super().__init__(server)
        self._databases = databases
        self._nodes = Nodes(server)

    def drift(self) -> str | None:
        """Look at who may read and write, on each node that can be asked."""
        self._nodes.unseen = self.unseen = []
        found = []
        for database in self._databases:
            security = self.server.look(database, "_security")
            if security is None:
                found.append(f"{database} is missing")
                continue
            seen = self._seen(database, security)
            best = _best([other for _, other in seen], shown=security)
            for place, other in seen:
                drift = security_drift(other) or (other != best and "has another _security")
                if drift:
                    found.append(f"{database} {drift}{on_node(place)}")
        return "; ".join(dict.fromkeys(found)) or None

    def act(self) -> str | None:
        """Add the role to the members, which also closes a database that had none."""
        done = []
        for database in self._databases:
            security = self.server.look(database, "_security")
            if security is None:
                raise BootstrapError(f"{database} is missing; run the step 'database' first")
            seen = self._seen(database, security)
            wanted = _closed(_best([other for _, other in seen], shown=security))
            for place in [place for place, other in seen if other != wanted]:
                path = place.path if place else (database,)
                changed = self.server.change(
                    "PUT", *path, "_security", body=wanted, harmless=(CONFLICT,)
                )
                if changed and database not in done:
                    done.append(database)
        return f"closed {' and '.join(done)} to all but members" if done else None

    def _seen(
        self, database: str, security: dict[str, Any]
    ) -> list[tuple[Copy | None, dict[str, Any]]]:
        """Return what each copy says; None for all at once, where none can be asked."""
        copies = self._nodes.copies(database)
        if copies is None:
            return [(None, security)]
        seen = list(self._nodes.read(copies, "_security"))
        if not all(isinstance(other, dict) for _, other in seen):
            raise NotYet(NOT_COUCHDB)
        return [*seen]


def _best(objects: Sequence[dict[str, Any]], *, shown: dict[str, Any]) -> dict[str, Any]:
    """Return the object that all copies should share.

    Of those that admit the role, else of all, it is the most frequent one; of equally frequent
    ones that which CouchDB shows. Without any it is the latter too.
    """
    candidates = [each for each in objects if security_drift(each) is None] or objects
    return max(candidates, key=lambda each: (candidates.count(each), each == shown), default=shown)


def _closed(security: dict[str, Any]) -> dict[str, Any]:
    """Return the object with the role among its members."""
    if security_drift(security) is None:
        return security
    members = members_of(security)
    members["roles"] = [*members["roles"], ROLE]
    return {key: value for key, value in security.items() if key != "readers"} | {
        "members": members
    }
