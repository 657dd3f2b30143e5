"""Bootstrap steps for the CouchDB server: it answers, has an admin, and its cluster is complete."""

from __future__ import annotations

from zerglings.storage.bootstrap.passwords import admin_entry
from zerglings.storage.bootstrap.runner import BootstrapError, Misconfigured, NotYet, Refused
from zerglings.storage.bootstrap.server import (
    BAD_REQUEST,
    NOT_COUCHDB,
    NOT_FOUND,
    PRECONDITION_FAILED,
    SIGN_INS,
    UNAUTHORIZED,
    Server,
    ServerStep,
)
from zerglings.storage.couchdb.responses import ErrorResponse

SYSTEM_DATABASES = ("_users", "_replicator")

_NO_SUCH_URL = (BAD_REQUEST, NOT_FOUND, 405)
"""Statuses with which other versions of CouchDB answer to an unknown URL."""


class Wait(ServerStep):
    """The server answers and has synced with its seeds."""

    name = "wait"
    required_state = "the server answers and, in a cluster, has synced with its seeds"
    is_prerequisite = True

    def drift(self) -> str | None:
        """Read ``/_up``, or ``/`` on servers before 2.0."""
        try:
            status = self.server.ask(self.server.as_anonymous, "GET", "_up")
        except ErrorResponse as answer:
            if answer.status == UNAUTHORIZED:  # a server that requires sign-in is up
                return None
            self._check_welcome()
            return None
        if not isinstance(status, dict) or status.get("status") != "ok":
            raise NotYet(NOT_COUCHDB)
        return None

    def _check_welcome(self) -> None:
        try:
            welcome = self.server.ask(self.server.as_anonymous, "GET")
        except ErrorResponse as answer:
            raise NotYet(str(answer)) from answer
        if not isinstance(welcome, dict) or not {"couchdb", "express-pouchdb"} & set(welcome):
            raise NotYet(NOT_COUCHDB)

    def act(self) -> str:
        """Never called, because ``drift`` raises ``NotYet`` while the server is not ready."""
        raise BootstrapError("wait: there is nothing to do")


class Admin(ServerStep):
    """The server has an admin, and the configured account is one."""

    name = "admin"
    required_state = "the server is not open to everybody, and the admin's account is accepted"
    is_prerequisite = True

    def __init__(self, server: Server) -> None:
        super().__init__(server)
        self._sign_ins_left = 1

    def drift(self) -> str | None:
        """Check whether anonymous requests have admin rights, then whether the account has."""
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
                server.as_admin.account.reset()
                raise NotYet("CouchDB does not accept its new admin yet") from error
            raise
        except ErrorResponse as answer:
            raise BootstrapError(f"cannot read /_session: {answer}") from answer
        if "_admin" not in roles:
            raise Refused(f"{server.admin.description} is not a server admin")
        return None

    def act(self) -> str | None:
        """Create the admin through the URL of CouchDB 2 and later, else through that of 1.x."""
        server, account = self.server, self.server.admin
        if account.is_anonymous:
            raise Misconfigured(
                f"{account.variable}: not given, but everybody is admin on this server; "
                "a password is needed to close it"
            )
        self._sign_ins_left = SIGN_INS  # CouchDB may need a moment to accept a new password
        name = account.username
        # CouchDB 1.x, which has the second URL, hashes the password before it answers.
        entry = admin_entry(account.password, self._version())
        for path, value in (
            (["_node", "_local", "_config"], entry),
            (["_config"], account.password),
        ):
            try:
                server.ask(server.as_anonymous, "PUT", *path, "admins", name, body=value)
            except ErrorResponse as answer:
                if answer.status in _NO_SUCH_URL:
                    continue
                if answer.status == UNAUTHORIZED:
                    return None
                raise BootstrapError(f"cannot create the admin: {answer}") from answer
            return f"created the server admin {name!r}"
        raise BootstrapError("cannot create the admin: the server has no URL for that")

    def _version(self) -> str:
        try:
            welcome = self.server.ask(self.server.as_anonymous, "GET")
        except ErrorResponse as answer:  # another run has created the admin meanwhile
            raise NotYet(str(answer)) from answer
        return str(welcome.get("version", "")) if isinstance(welcome, dict) else ""

    def _is_open(self) -> bool:
        try:
            return "_admin" in self.server.roles(self.server.as_anonymous)
        except ErrorResponse as answer:
            if answer.status == UNAUTHORIZED:
                return False
            raise BootstrapError(f"cannot read /_session: {answer}") from answer


class Cluster(ServerStep):
    """All nodes have joined the cluster, and the system databases exist."""

    name = "cluster"
    required_state = "all nodes have joined, then the system databases exist"

    def __init__(self, server: Server, nodes: int) -> None:
        super().__init__(server)
        self._nodes = nodes

    def drift(self) -> str | None:
        """Check that the system databases exist; if not, check that all nodes have joined."""
        missing = [name for name in SYSTEM_DATABASES if self.server.look(name) is None]
        if not missing:
            return None  # a finished cluster is ready even while a node is disconnected
        joined, known = self._nodes_joined_and_known()
        if known > self._nodes:
            raise Misconfigured(
                f"COUCHDB_CLUSTER_NODES: is {self._nodes}, but the cluster has {known} nodes"
            )
        if joined < self._nodes:
            raise NotYet(f"{joined} of {self._nodes} nodes have joined")
        return f"missing: {', '.join(missing)}"

    def act(self) -> str | None:
        """Finish the cluster, or create the system databases on a single node."""
        if self._nodes > 1:
            # CouchDB 3.0 to 3.1.0 finishes a cluster only on a node that has a UUID, which the
            # first request for "/" creates.
            self.server.look()
            # CouchDB answers 400 if another run has just finished the cluster.
            body = {"action": "finish_cluster"}
            done = self.server.change("POST", "_cluster_setup", body=body, harmless=(BAD_REQUEST,))
            return f"finished the cluster of {self._nodes} nodes" if done else None
        for name in SYSTEM_DATABASES:
            self.server.change("PUT", name, harmless=(PRECONDITION_FAILED,))
        return "created the system databases"

    def _nodes_joined_and_known(self) -> tuple[int, int]:
        """Return how many nodes of the cluster are connected, and how many there are.

        ``all_nodes`` lists the nodes that are connected. ``cluster_nodes`` lists the members of the
        cluster; with a seed list it contains every seed from the start, connected or not.
        """
        try:
            membership = self.server.ask(self.server.as_admin, "GET", "_membership")
        except ErrorResponse as answer:
            if answer.status in _NO_SUCH_URL:  # CouchDB 1.x has no clusters
                return 1, 1
            raise BootstrapError(f"cannot read /_membership: {answer}") from answer
        try:
            known, connected = set(membership["cluster_nodes"]), set(membership["all_nodes"])
        except (KeyError, TypeError) as error:
            raise NotYet(NOT_COUCHDB) from error
        return len(known & connected), len(known)
