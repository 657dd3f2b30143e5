"""What must be so on a CouchDB server before the service can work, as bootstrap steps."""

from __future__ import annotations

from typing import Any

from zerglings.storage.account import Account
from zerglings.storage.base import AccountRefused
from zerglings.storage.bootstrap import BootstrapError, NotYet, Refused, Step
from zerglings.storage.couchdb import MISSING_DATABASE
from zerglings.storage.couchdb_client import Answered, CouchDBClient, NoAnswer

CALL_TIMEOUT = 10.0
"""Seconds that one request may wait; creating a database on a busy cluster takes some."""

_UNSUPPORTED = (400, 404, 405)
"""How servers of other versions answer the configuration URL that they do not have."""

_FILE_EXISTS = 412


def couchdb_steps(url: str, account: Account, database: str) -> list[Step]:
    """Return the steps for a server, its admin account and the zerglings' database."""
    client = CouchDBClient(url, account)
    anonymous = CouchDBClient(url, Account("", str))
    return [Wait(anonymous), Admin(client, anonymous), Database(client, database)]


def ask(client: CouchDBClient, method: str, *path: str, body: object = None) -> Any:  # noqa: ANN401
    """Send a request.

    Raises:
        Answered: the answer is CouchDB's own, not a success, and will stay so.
        NotYet: there is no answer, or one that may be another in a moment.
        Refused: the account is not accepted.
    """
    try:
        return client.request(method, list(path), timeout=CALL_TIMEOUT, body=body)
    except AccountRefused as error:
        raise Refused(str(error)) from error
    except NoAnswer as error:
        raise NotYet(str(error)) from error
    except Answered as answer:
        if _may_pass(answer):
            raise NotYet(str(answer)) from answer
        raise


def _may_pass(answer: Answered) -> bool:
    """Whether waiting may help: a server that starts, is raced or has locked us out for a while."""
    is_foreign = not answer.error  # a proxy's page, or something else on the port
    is_locked = answer.status == 403 and "locked" in answer.reason
    return is_foreign or is_locked or answer.status in (408, 429) or answer.status >= 500


class Wait(Step):
    """The server answers."""

    name = "wait"

    def __init__(self, anonymous: CouchDBClient) -> None:
        self._anonymous = anonymous

    def drift(self) -> str | None:
        """Ask for the server's welcome; until it comes, wait."""
        try:
            welcome = ask(self._anonymous, "GET")
        except Answered as answer:
            if answer.status == 401:  # it wants to know everybody: that is an answer
                return None
            raise NotYet(str(answer)) from answer
        if not isinstance(welcome, dict) or not {"couchdb", "express-pouchdb"} & set(welcome):
            raise NotYet("what answers there is not CouchDB")
        return None

    def act(self) -> str:
        """Never called: all there is to do is to wait."""
        raise BootstrapError("wait: there is nothing to do")


class Admin(Step):
    """The server has an admin, and the configured account is one."""

    name = "admin"

    def __init__(self, client: CouchDBClient, anonymous: CouchDBClient) -> None:
        self._client = client
        self._anonymous = anonymous
        self._has_acted = False

    def drift(self) -> str | None:
        """Look whether just anybody is admin, else whether the account is."""
        session = ask(self._anonymous, "GET", "_session")
        if "_admin" in session["userCtx"]["roles"]:
            return "everybody is admin"
        try:
            session = ask(self._client, "GET", "_session")
        except Refused as error:
            if self._has_acted:  # CouchDB takes a moment to know a new password
                raise NotYet(str(error)) from error
            raise
        if "_admin" not in session["userCtx"]["roles"]:
            raise Refused(
                f"the account {self._client.account.username!r} is no server admin: "
                "look at COUCHDB_ADMIN_USERNAME and COUCHDB_ADMIN_PASSWORD"
            )
        return None

    def act(self) -> str:
        """Create the admin, on the URL of CouchDB 2 and later or else on that of 1.x."""
        account = self._client.account
        if account.is_anonymous:
            raise BootstrapError(
                "everybody is admin on this server, and no password is given to close it: "
                "set COUCHDB_PASSWORD or COUCHDB_ADMIN_PASSWORD"
            )
        self._has_acted = True
        for path in (["_node", "_local", "_config"], ["_config"]):
            try:
                ask(
                    self._anonymous, "PUT", *path, "admins", account.username, body=account.password
                )
            except Answered as answer:
                if answer.status in _UNSUPPORTED:
                    continue
                if answer.status == 401:
                    return "another was faster"
                raise BootstrapError(f"cannot create the admin: {answer}") from answer
            return f"created the admin {account.username!r}"
        raise BootstrapError("cannot create the admin: the server has no configuration URL")


class Database(Step):
    """The database exists."""

    name = "database"

    def __init__(self, client: CouchDBClient, database: str) -> None:
        self._client = client
        self._database = database

    def drift(self) -> str | None:
        """Look for the database."""
        try:
            ask(self._client, "GET", self._database)
        except Answered as answer:
            if answer.reason in MISSING_DATABASE:
                return f"{self._database} is missing"
            raise BootstrapError(f"cannot look at {self._database}: {answer}") from answer
        return None

    def act(self) -> str:
        """Create the database; that somebody else has just done so is as good."""
        try:
            ask(self._client, "PUT", self._database)
        except Answered as answer:
            if answer.status != _FILE_EXISTS:
                raise BootstrapError(f"cannot create {self._database}: {answer}") from answer
        return f"created {self._database}"
