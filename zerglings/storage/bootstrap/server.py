"""The CouchDB server itself: it answers, has its admin, and is a whole cluster."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from zerglings.storage.base import AccountRefused
from zerglings.storage.bootstrap.passwords import admin_entry
from zerglings.storage.bootstrap.runner import (
    BootstrapError,
    Misconfigured,
    NotYet,
    Refused,
    Run,
    Step,
)
from zerglings.storage.couchdb.account import Account
from zerglings.storage.couchdb.client import Answered, CouchDBClient, NoAnswer
from zerglings.storage.couchdb.store import MISSING_DATABASE

CALL_TIMEOUT = 10.0
"""Seconds that one request may wait; creating a database on a busy cluster takes some."""

SIGN_INS = 4
"""How often a password just set is tried: less than the five refusals that lock an account."""

NOT_COUCHDB = "what answers there is not CouchDB"
SYSTEM_DATABASES = ("_users", "_replicator")

BAD_REQUEST, UNAUTHORIZED, FORBIDDEN, NOT_FOUND, CONFLICT, PRECONDITION_FAILED = (
    400, 401, 403, 404, 409, 412,
)  # fmt: skip
_NO_SUCH_URL = (BAD_REQUEST, NOT_FOUND, 405)
"""How servers of other versions answer for a URL that they do not have."""


class Server:
    """A CouchDB server, asked as nobody, as its admin or as the service."""

    def __init__(
        self,
        client_of: Callable[[Account], CouchDBClient],
        admin: Account,
        service: Account,
        run: Run,
    ) -> None:
        self.admin = admin
        self.service = service
        self.run = run
        self._client_of = client_of
        self.password_is_known = False  # that the service's account has the configured one
        self.password_was_set = False  # by this run
        self.as_nobody = client_of(Account("", str))
        self.as_admin = client_of(admin)

    @property
    def has_separate_admin(self) -> bool:
        """Whether the service has an account of its own beside the admin's."""
        return self.admin.username != self.service.username

    def as_service(self) -> CouchDBClient:
        """Return a client that has not been refused yet."""
        return self._client_of(self.service.fresh())

    def ask(
        self,
        who: CouchDBClient,
        method: str,
        *path: str,
        body: object = None,
        params: dict[str, str] | None = None,
    ) -> Any:  # noqa: ANN401 - any JSON
        """Send a request and return the answer's JSON.

        Raises:
            Answered: the answer is CouchDB's own, not a success, and will stay so.
            NotYet: there is no answer, or one that may be another in a moment.
            Refused: the account is not accepted.
        """
        timeout = max(0.1, min(CALL_TIMEOUT, self.run.seconds_left))
        try:
            return who.request(method, list(path), timeout=timeout, body=body, params=params)
        except AccountRefused as error:
            why = error.__cause__
            reason = f": {why.reason.rstrip('.')}" if isinstance(why, Answered) else ""
            raise Refused(f"{error}{reason}") from error
        except NoAnswer as error:
            raise NotYet(str(error)) from error
        except Answered as answer:
            if answer.is_lock:
                who.account.forgive()
                raise NotYet(
                    f"CouchDB has locked the account {who.account.username!r} for some minutes "
                    "after refused sign-ins"
                ) from answer
            if answer.may_pass:
                raise NotYet(str(answer)) from answer
            raise

    def roles(self, who: CouchDBClient) -> list[str]:
        """Return the roles that the server gives to a client. Raises as ``ask`` does."""
        session = self.ask(who, "GET", "_session")
        try:
            return list(session["userCtx"]["roles"])
        except (KeyError, TypeError) as error:
            raise NotYet(NOT_COUCHDB) from error

    def major_version(self) -> int:
        """Return the major version of Apache CouchDB, 0 of what only speaks its protocol."""
        welcome = self.look() or {}
        number = str(welcome.get("version")).partition(".")[0]
        is_apache = welcome.get("couchdb") == "Welcome" and "express-pouchdb" not in welcome
        return int(number) if is_apache and number.isdecimal() else 0

    def look(self, *path: str, **params: str) -> dict[str, Any] | None:
        """Read an object as the admin; None where there is nothing."""
        try:
            found = self.ask(self.as_admin, "GET", *path, params=params)
        except Answered as answer:
            if answer.status == NOT_FOUND:
                return None
            raise BootstrapError(f"cannot read /{'/'.join(path)}: {answer}") from answer
        if not isinstance(found, dict):
            raise NotYet(NOT_COUCHDB)
        return found

    def change(
        self,
        method: str,
        *path: str,
        body: object = None,
        params: dict[str, str] | None = None,
        harmless: tuple[int, ...] = (),
    ) -> bool:
        """Change something as the admin; False if a ``harmless`` status says: no need to."""
        try:
            self.ask(self.as_admin, method, *path, body=body, params=params)
        except Answered as answer:
            if answer.status not in harmless:
                raise BootstrapError(f"cannot change /{'/'.join(path)}: {answer}") from answer
            return False
        return True


class ServerStep(Step):
    """A step that asks a server."""

    def __init__(self, server: Server) -> None:
        super().__init__()
        self.server = server


class Wait(ServerStep):
    """The server answers."""

    name = "wait"
    wants = "the server answers and, in a cluster, has synced with its seeds"
    carries_all = True

    def drift(self) -> str | None:
        """Ask whether it is up; servers before 2.0 are asked for their welcome."""
        try:
            status = self.server.ask(self.server.as_nobody, "GET", "_up")
        except Answered as answer:
            if answer.status == UNAUTHORIZED:  # it wants to know everybody: that is an answer
                return None
            self._await_welcome()
            return None
        if not isinstance(status, dict) or status.get("status") != "ok":
            raise NotYet(NOT_COUCHDB)
        return None

    def _await_welcome(self) -> None:
        try:
            welcome = self.server.ask(self.server.as_nobody, "GET")
        except Answered as answer:
            raise NotYet(str(answer)) from answer
        if not isinstance(welcome, dict) or not {"couchdb", "express-pouchdb"} & set(welcome):
            raise NotYet(NOT_COUCHDB)

    def act(self) -> str:
        """Never called: all there is to do is to wait."""
        raise BootstrapError("wait: there is nothing to do")


class Admin(ServerStep):
    """The server has an admin, and the configured account is one."""

    name = "admin"
    wants = "the server is not open to everybody, and the admin's account is accepted"
    carries_all = True

    def __init__(self, server: Server) -> None:
        super().__init__(server)
        self._sign_ins_left = 1

    def drift(self) -> str | None:
        """Look whether just anybody is admin, else whether the account is."""
        server = self.server
        if self._is_open():
            return "everybody is admin"
        if server.admin.is_anonymous:
            raise Misconfigured(f"{server.admin.variable}: not given, but the server has an admin")
        try:
            roles = server.roles(server.as_admin)
        except Refused as error:
            self._sign_ins_left -= 1
            if self._sign_ins_left > 0:
                server.as_admin.account.forgive()
                raise NotYet("CouchDB does not know its new admin yet") from error
            raise
        except Answered as answer:
            raise BootstrapError(f"cannot ask for a session: {answer}") from answer
        if "_admin" not in roles:
            raise Refused(f"{server.admin.who} is no server admin")
        return None

    def act(self) -> str | None:
        """Create the admin, on the URL of CouchDB 2 and later or else on that of 1.x."""
        server, account = self.server, self.server.admin
        if account.is_anonymous:
            raise Misconfigured(
                f"{account.variable}: not given, but everybody is admin on this server; "
                "it needs a password to be closed with"
            )
        self._sign_ins_left = SIGN_INS  # CouchDB takes a moment to know a new password
        name = account.username
        # Servers before 2.0, on the second URL, hash what they get before they answer.
        entry = admin_entry(account.password, self._version())
        for path, value in (
            (["_node", "_local", "_config"], entry),
            (["_config"], account.password),
        ):
            try:
                server.ask(server.as_nobody, "PUT", *path, "admins", name, body=value)
            except Answered as answer:
                if answer.status in _NO_SUCH_URL:
                    continue
                if answer.status == UNAUTHORIZED:
                    return None
                raise BootstrapError(f"cannot create the admin: {answer}") from answer
            return f"created the server admin {name!r}"
        raise BootstrapError("cannot create the admin: the server has no URL for that")

    def _version(self) -> str:
        try:
            welcome = self.server.ask(self.server.as_nobody, "GET")
        except Answered as answer:  # closed by another run in the meantime
            raise NotYet(str(answer)) from answer
        return str(welcome.get("version", "")) if isinstance(welcome, dict) else ""

    def _is_open(self) -> bool:
        try:
            return "_admin" in self.server.roles(self.server.as_nobody)
        except Answered as answer:
            if answer.status == UNAUTHORIZED:
                return False
            raise BootstrapError(f"cannot ask for a session: {answer}") from answer


class Cluster(ServerStep):
    """All nodes have joined, and the system databases exist on all of them."""

    name = "cluster"
    wants = "all nodes have joined, then the system databases exist"

    def __init__(self, server: Server, nodes: int) -> None:
        super().__init__(server)
        self._nodes = nodes

    def drift(self) -> str | None:
        """Look for the system databases; while there are none, for the nodes."""
        missing = [name for name in SYSTEM_DATABASES if self.server.look(name) is None]
        if not missing:
            return None  # finished once is finished, also while a node is away
        joined, known = self._nodes_joined_and_known()
        if known > self._nodes:
            raise Misconfigured(
                f"COUCHDB_CLUSTER_NODES: is {self._nodes}, but the cluster has {known} nodes"
            )
        if joined < self._nodes:
            raise NotYet(f"{joined} of {self._nodes} nodes have joined")
        return f"missing: {', '.join(missing)}"

    def act(self) -> str | None:
        """Finish the cluster; on a single node create the system databases."""
        if self._nodes > 1:
            # CouchDB 3.0 to 3.1.0 finish a cluster only at a node that has an identity, which the
            # first request for its welcome gives it.
            self.server.look()
            # A cluster that another run has just finished is answered with 400.
            body = {"action": "finish_cluster"}
            done = self.server.change("POST", "_cluster_setup", body=body, harmless=(BAD_REQUEST,))
            return f"finished the cluster of {self._nodes} nodes" if done else None
        for name in SYSTEM_DATABASES:
            self.server.change("PUT", name, harmless=(PRECONDITION_FAILED,))
        return "created the system databases"

    def _nodes_joined_and_known(self) -> tuple[int, int]:
        """Return how many nodes are connected, and how many belong to the cluster.

        A node that has a seed list counts all its seeds among ``cluster_nodes`` from its first
        moment; only ``all_nodes`` tells which of them are there.
        """
        try:
            membership = self.server.ask(self.server.as_admin, "GET", "_membership")
        except Answered as answer:
            if answer.status in _NO_SUCH_URL:  # before 2.0 there were no clusters
                return 1, 1
            raise BootstrapError(f"cannot read /_membership: {answer}") from answer
        try:
            known, connected = set(membership["cluster_nodes"]), set(membership["all_nodes"])
        except (KeyError, TypeError) as error:
            raise NotYet(NOT_COUCHDB) from error
        return len(known & connected), len(known)


def is_missing_database(answer: Answered) -> bool:
    """Whether an answer says that there is no such database, rather than no document."""
    return answer.status == NOT_FOUND and answer.reason in MISSING_DATABASE
