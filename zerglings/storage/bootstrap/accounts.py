"""Accounts in ``_users`` that have the service's role: comparing, creating and repairing them."""

from __future__ import annotations

from typing import Any

from zerglings.storage.bootstrap.passwords import password_matches
from zerglings.storage.bootstrap.runner import Misconfigured
from zerglings.storage.bootstrap.server import CONFLICT, NOT_FOUND, Server
from zerglings.storage.couchdb.account import Account
from zerglings.storage.couchdb.store import ROLE

_PASSWORD_FIELDS = (
    "password_scheme",
    "pbkdf2_prf",
    "salt",
    "iterations",
    "derived_key",
    "password_sha",
)


def user_id(name: str) -> str:
    """Return the id of an account's document in ``_users``."""
    return f"org.couchdb.user:{name}"


def roles_of(user: dict[str, Any]) -> list[Any]:
    """Return the roles of an account's document, none if it is malformed."""
    roles = user.get("roles")
    return roles if isinstance(roles, list) else []


def delete_conflicts(server: Server, path: list[str], conflicts: list[str]) -> int:
    """Delete conflicting revisions, which concurrent runs on several nodes can create.

    Returns:
        The number of revisions.
    """
    for revision in conflicts:
        _delete_revision(server, path, revision)
    return len(conflicts)


def delete_document(server: Server, path: list[str], document: dict[str, Any]) -> bool:
    """Delete a document that was read with its conflicts.

    Returns:
        False if another run has deleted or changed it.
    """
    delete_conflicts(server, path, document.get("_conflicts", []))
    return _delete_revision(server, path, str(document.get("_rev")))


def _delete_revision(server: Server, path: list[str], revision: str) -> bool:
    params = {"rev": revision}
    return server.change("DELETE", *path, params=params, harmless=(NOT_FOUND, CONFLICT))


class RoleAccount:
    """An account that should exist, with the configured password and the role.

    Args:
        server: the CouchDB server.
        account: name and password.
        warnings: gets a sentence if the password cannot be compared.

    Attributes:
        password_was_set: whether ``act`` has written the password.
    """

    def __init__(self, server: Server, account: Account, warnings: list[str]) -> None:
        self.password_was_set = False
        self._server = server
        self._account = account
        self._warnings = warnings
        self._path = ["_users", user_id(account.username)]

    def drift(self) -> str | None:
        """Compare the account's document with the configuration, without signing in.

        A sign-in with a password that is not set yet would fail. Many runs in parallel would then
        lock the account.

        Returns:
            A predicate for the account, such as "is missing"; None if it is as required.

        Raises:
            Misconfigured: there is no password.
        """
        if self._account.is_anonymous:
            raise Misconfigured(
                f"{self._account.variable}: not given, so the account "
                f"{self._account.username!r} cannot be created"
            )
        user = self._user()
        if user is None:
            return "is missing"
        if user.get("_conflicts"):
            return "has rival revisions, so CouchDB refuses it"
        if ROLE not in roles_of(user):
            return f"lacks the role {ROLE!r}"
        if not self._has_password(user):
            return "has a different password"
        return None

    def act(self) -> str | None:
        """Create the account, or set its password and role and keep everything else.

        Returns:
            A description of what was done, None if another run had done it already.
        """
        old = self._user()
        if old is not None and old.get("_conflicts"):
            number = delete_conflicts(self._server, self._path, old["_conflicts"])
            return f"removed rival revisions of the account: {number}"
        unchanged = {k: v for k, v in (old or {}).items() if k not in _PASSWORD_FIELDS}
        user = unchanged | {
            "name": self._account.username,
            "type": "user",
            "roles": [*(role for role in roles_of(unchanged) if role != ROLE), ROLE],
            "password": self._account.password,
        }
        if not self._server.change("PUT", *self._path, body=user, harmless=(CONFLICT,)):
            return None
        self.password_was_set = True
        return f"{'created' if old is None else 'updated'} the account {self._account.username!r}"

    def _user(self) -> dict[str, Any] | None:
        return self._server.look(*self._path, conflicts="true")

    def _has_password(self, user: dict[str, Any]) -> bool:
        matches = password_matches(user, self._account.password)
        if matches is None:
            scheme = user.get("password_scheme")
            self._warnings.append(f"cannot compare a password of the scheme {scheme!r}")
            return True
        return matches
