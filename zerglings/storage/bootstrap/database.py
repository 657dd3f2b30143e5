"""Bootstrap steps for the databases: create them, and verify that the service can use them."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from zerglings.storage.bootstrap.access import User
from zerglings.storage.bootstrap.nodes import Copy, Nodes, on_node
from zerglings.storage.bootstrap.runner import BootstrapError, NotYet, Refused
from zerglings.storage.bootstrap.server import (
    BAD_REQUEST,
    FORBIDDEN,
    NOT_COUCHDB,
    NOT_FOUND,
    PRECONDITION_FAILED,
    SIGN_INS,
    UNAUTHORIZED,
    Server,
    ServerStep,
    is_missing_database,
)
from zerglings.storage.couchdb.client import CouchDBClient
from zerglings.storage.couchdb.responses import ErrorResponse

REVS_LIMIT = 50
"""Default number of revisions that CouchDB remembers per document.

If a copy misses more updates than that, its old revisions become rivals.
"""

REVS_LIMIT_ALONE = 10
"""The default if a database has a single copy. An update then costs CouchDB half as much."""

_ERLANG_CLAUSE_ERRORS = ("case_clause", "function_clause")


class DatabaseStep(ServerStep):
    """The databases exist, with a low ``_revs_limit``.

    Args:
        server: the CouchDB server.
        databases: names of the databases.
        shards: ``q`` and ``n`` of new databases, if the operator chose them.
        default_q: ``q`` of new databases otherwise; None leaves it to the server.
        revs_limit: number of revisions that CouchDB remembers per document, None for the default.
            The cost of an update grows with it: CouchDB's default of 1,000 makes updates 13 times
            slower.
    """

    name = "database"
    required_state = "the databases exist, with a low _revs_limit"

    def __init__(
        self,
        server: Server,
        databases: tuple[str, ...],
        shards: dict[str, int],
        default_q: int | None,
        revs_limit: int | None,
    ) -> None:
        super().__init__(server)
        self._databases = databases
        self._shards = shards
        self._for_new = shards if default_q is None else {"q": default_q} | shards
        self._revs_limit = revs_limit
        self._nodes = Nodes(server)

    def drift(self) -> str | None:
        """Check each database, on every node that can be queried."""
        self._nodes.unseen = self.unseen = []
        found = []
        for database in self._databases:
            info = self.server.look(database)
            if info is None:
                found.append(f"{database} is missing")
                continue
            self._compare_shards(database, info)
            found += [
                f"{database} has a _revs_limit of {limit}{on_node(copy)}"
                for copy, limit in self._wrong_limits(database)
            ]
        return "; ".join(dict.fromkeys(found)) or None

    def act(self) -> str | None:
        """Create missing databases and set the limits. Concurrent runs may do the same."""
        done = []
        for database in self._databases:
            if self.server.look(database) is None:
                params = {name: str(number) for name, number in self._for_new.items()}
                harmless = (PRECONDITION_FAILED,)
                if self.server.change("PUT", database, params=params, harmless=harmless):
                    done.append(f"created {database}")
            wrong = [copy for copy, _ in self._wrong_limits(database)]
            if not wrong:
                continue
            limit = self._wanted_limit(self._nodes.copies(database))
            for copy in wrong:
                path = copy.path if copy else (database,)
                self.server.change("PUT", *path, "_revs_limit", body=limit)
            done.append(f"set the _revs_limit of {database} to {limit}")
        return "; ".join(done) or None

    def _compare_shards(self, database: str, info: dict[str, Any]) -> None:
        has = info.get("cluster") or {}
        for name, wanted in self._shards.items():
            if name in has and has[name] != wanted:
                self.warnings.append(
                    f"{database} keeps its {name} of {has[name]}; "
                    f"COUCHDB_{name.upper()} is {wanted} and counts for new databases only"
                )

    def _wrong_limits(self, database: str) -> Iterator[tuple[Copy | None, object]]:
        """Yield copies with a different limit; None stands for all if they cannot be queried."""
        copies = self._nodes.copies(database)
        wanted = self._wanted_limit(copies)
        seen: Iterable[tuple[Copy | None, object]]
        if copies is None:
            seen = [(None, self._limit(database))]
        else:
            seen = self._nodes.read(copies, "_revs_limit")
        for copy, limit in seen:
            if copy and not isinstance(limit, int):
                raise NotYet(NOT_COUCHDB)
            if limit not in (None, wanted) and not self._may_stay(limit, wanted):
                yield copy, limit

    def _may_stay(self, limit: object, wanted: int) -> bool:
        """Whether an existing limit is kept: a default does not lower another default.

        A region whose peers were taken out for a while still needs its revisions.
        """
        is_default = self._revs_limit is None and isinstance(limit, int)
        return is_default and wanted < int(str(limit)) <= REVS_LIMIT

    def _wanted_limit(self, copies: list[Copy] | None) -> int:
        if self._revs_limit is not None:
            return self._revs_limit
        is_alone = copies is not None and len({copy.node for copy in copies}) == 1
        return REVS_LIMIT_ALONE if is_alone else REVS_LIMIT

    def _limit(self, database: str) -> int | None:
        """Return the database's limit, None if the server does not support limits."""
        try:
            limit = self.server.ask(self.server.as_admin, "GET", database, "_revs_limit")
        except ErrorResponse as answer:
            if is_missing_database(answer):
                raise NotYet(f"{database} does not exist yet") from answer
            if answer.status not in (BAD_REQUEST, NOT_FOUND):
                raise BootstrapError(f"cannot read the limit of {database}: {answer}") from answer
            self.warnings.append(
                "this server has no _revs_limit: zerglings with many moves become slow"
            )
            return None
        if not isinstance(limit, int):
            raise NotYet(NOT_COUCHDB)
        return limit


class _HashRefused(NotYet):
    """CouchDB rejects the account although the stored password is the configured one."""


class Verify(ServerStep):
    """The service's account can sign in, read and write.

    The step always reads. It writes only if this run has changed something or ``writes`` is set.

    CouchDB may reject a stored hash of the correct password: its iterations are out of the server's
    bounds, or an older server does not support its scheme. The step then sets the password again,
    so that the server hashes it itself.
    """

    name = "verify"
    required_state = "the service's account can sign in, read and write"
    requires_previous = True

    def __init__(self, server: Server, databases: tuple[str, ...], *, writes: bool) -> None:
        super().__init__(server)
        self._databases = databases
        self._writes = writes
        self._has_written = False
        self._sign_ins = 0
        self._is_hash_refused = False
        self._was_set_again = False

    def drift(self) -> str | None:
        """Sign in and read."""
        self._is_hash_refused = False
        try:
            with self._signed_in() as client:
                for database in self._databases:
                    self._ask(client, "GET", database)
        except _HashRefused as error:
            self._is_hash_refused = True
            return str(error)
        if (self._writes or self.server.run.changed) and not self._has_written:
            return "writing is not verified yet"
        return None

    def act(self) -> str | None:
        """Write, read and delete a local document; or set the password again.

        Local documents appear in no list and in no change feed.
        """
        if self._is_hash_refused:
            self._sign_ins, self._was_set_again = 0, True
            return User(self.server).act()
        with self._signed_in() as client:
            for database in self._databases:
                path = [database, "_local", f"bootstrap-{uuid.uuid4()}"]
                written = self._ask(client, "PUT", *path, body={})
                if not isinstance(written, dict) or "rev" not in written:
                    raise NotYet(NOT_COUCHDB)
                self._ask(client, "GET", *path)
                self._ask(client, "DELETE", *path, params={"rev": written["rev"]})
        self._has_written = True
        return "wrote, read and deleted a local document"

    @contextmanager
    def _signed_in(self) -> Iterator[CouchDBClient]:
        """Yield a client that signs in as the service."""
        client = self.server.as_service()
        try:
            yield client
        except (Refused, NotYet) as error:
            if self.server.password_is_known and _is_about_the_account(error):
                self._handle_rejection(error)
            raise
        finally:
            client.close()

    def _handle_rejection(self, error: Refused | NotYet) -> None:
        """Handle a rejection of the account although the stored password is correct.

        CouchDB may need a moment to accept a new password, so the sign-in is repeated. The number
        of attempts, before and after the password is set again, stays below the limit that locks
        the account.
        """
        self._sign_ins += 1
        can_set_again = not self.server.password_was_set and not self._was_set_again
        max_sign_ins = SIGN_INS // 2 if can_set_again or self._was_set_again else SIGN_INS
        if self._sign_ins < max_sign_ins:
            raise NotYet(f"{error}, although it has this password") from error
        if can_set_again:
            raise _HashRefused(f"{error}, although it has this password") from error
        if isinstance(error, Refused):
            raise Refused(f"{error}, although its password was just set") from error

    def _ask(
        self,
        client: CouchDBClient,
        method: str,
        *path: str,
        body: object = None,
        params: dict[str, str] | None = None,
    ) -> Any:  # noqa: ANN401 - any JSON
        try:
            return self.server.ask(client, method, *path, body=body, params=params)
        except ErrorResponse as answer:
            if is_missing_database(answer):
                raise BootstrapError(
                    f"{path[0]} does not exist; run the step 'database'"
                ) from answer
            if answer.status in (UNAUTHORIZED, FORBIDDEN):
                reason = answer.reason.rstrip(".")
                raise Refused(
                    f"{client.account.description} may not use {path[0]}: {reason}"
                ) from answer
            raise BootstrapError(f"the service cannot use {path[0]}: {answer}") from answer


def _is_about_the_account(error: Refused | NotYet) -> bool:
    """Whether CouchDB rejected the account, or failed on an unknown password scheme.

    In the latter case it answers 500 with ``case_clause`` or ``function_clause``.
    """
    why = error.__cause__
    return isinstance(error, Refused) or (
        isinstance(why, ErrorResponse) and why.error in _ERLANG_CLAUSE_ERRORS
    )
