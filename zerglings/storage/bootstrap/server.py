"""A CouchDB server as the bootstrap steps use it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from zerglings.storage.base import AccountRefused
from zerglings.storage.bootstrap.runner import BootstrapError, NotYet, Refused, Run, Step
from zerglings.storage.couchdb.account import Account
from zerglings.storage.couchdb.client import CouchDBClient
from zerglings.storage.couchdb.responses import ErrorResponse, NoResponse
from zerglings.storage.couchdb.store import MISSING_DATABASE

ADMIN_REQUEST_TIMEOUT = 10.0
"""Timeout of a request in seconds. Creating a database on a busy cluster takes several."""

SIGN_INS = 4
"""Maximum number of sign-ins with a new password. Five failures lock an account."""

NOT_COUCHDB = "the server at this URL is not CouchDB"

BAD_REQUEST, UNAUTHORIZED, FORBIDDEN, NOT_FOUND, CONFLICT, PRECONDITION_FAILED = (
    400, 401, 403, 404, 409, 412,
)  # fmt: skip


class Server:
    """A CouchDB server, with clients for anonymous, admin and service requests.

    Args:
        create_client: returns a client for an account.
        admin: the server admin's account.
        service: the service's account, which may be the admin's.
        run: the current run, which limits all waits.
    """

    def __init__(
        self,
        create_client: Callable[[Account], CouchDBClient],
        admin: Account,
        service: Account,
        run: Run,
    ) -> None:
        self.admin = admin
        self.service = service
        self.run = run
        self._create_client = create_client
        self.password_is_known = False  # the stored hash matches the configured password
        self.password_was_set = False  # this run has set the service's password
        self.as_anonymous = create_client(Account("", str))
        self.as_admin = create_client(admin)

    @property
    def has_separate_admin(self) -> bool:
        """Whether the service's account differs from the admin's."""
        return self.admin.username != self.service.username

    def as_service(self) -> CouchDBClient:
        """Return a new client of the service's account, without recorded rejections."""
        return self._create_client(self.service.copy())

    def ask(
        self,
        client: CouchDBClient,
        method: str,
        *path: str,
        body: object = None,
        params: dict[str, str] | None = None,
    ) -> Any:  # noqa: ANN401 - any JSON
        """Send a request and return the JSON of the response.

        Raises:
            ErrorResponse: CouchDB answered with an error that a retry would not change.
            NotYet: there is no response, or a retry may succeed.
            Refused: CouchDB rejects the account.
        """
        timeout = max(0.1, min(ADMIN_REQUEST_TIMEOUT, self.run.seconds_left))
        try:
            return client.request(method, list(path), timeout=timeout, body=body, params=params)
        except AccountRefused as error:
            why = error.__cause__
            reason = f": {why.reason.rstrip('.')}" if isinstance(why, ErrorResponse) else ""
            raise Refused(f"{error}{reason}") from error
        except NoResponse as error:
            raise NotYet(str(error)) from error
        except ErrorResponse as answer:
            if answer.is_account_locked:
                client.account.reset()
                raise NotYet(
                    f"CouchDB has locked the account {client.account.username!r} for some minutes "
                    "after refused sign-ins"
                ) from answer
            # In rare cases CouchDB 3.5.2 answers a GET with 409 while a database is being created.
            if answer.is_transient or (method == "GET" and answer.status == CONFLICT):
                raise NotYet(str(answer)) from answer
            raise

    def roles(self, client: CouchDBClient) -> list[str]:
        """Return the roles of a client's account. Raises as ``ask`` does."""
        session = self.ask(client, "GET", "_session")
        try:
            return list(session["userCtx"]["roles"])
        except (KeyError, TypeError) as error:
            raise NotYet(NOT_COUCHDB) from error

    def major_version(self) -> int:
        """Return the major version of Apache CouchDB, 0 for compatible servers."""
        welcome = self.look() or {}
        number = str(welcome.get("version")).partition(".")[0]
        is_apache = welcome.get("couchdb") == "Welcome" and "express-pouchdb" not in welcome
        return int(number) if is_apache and number.isdecimal() else 0

    def look(self, *path: str, **params: str) -> dict[str, Any] | None:
        """Get an object as the admin; return None if it does not exist."""
        try:
            found = self.ask(self.as_admin, "GET", *path, params=params)
        except ErrorResponse as answer:
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
        """Send a write as the admin.

        Args:
            method: the HTTP method.
            path: path segments.
            body: JSON to send, None for no body.
            params: the query parameters.
            harmless: error statuses that mean that there is nothing left to do.

        Returns:
            False if the status was one of ``harmless``, else True.
        """
        try:
            self.ask(self.as_admin, method, *path, body=body, params=params)
        except ErrorResponse as answer:
            if answer.status not in harmless:
                raise BootstrapError(f"cannot change /{'/'.join(path)}: {answer}") from answer
            return False
        return True


class ServerStep(Step):
    """A step for the CouchDB server ``server``."""

    def __init__(self, server: Server) -> None:
        super().__init__()
        self.server = server


def is_missing_database(answer: ErrorResponse) -> bool:
    """Whether a response reports a missing database, as opposed to a missing document."""
    return answer.status == NOT_FOUND and answer.reason in MISSING_DATABASE
