"""The account for requests to CouchDB, with rate-limited retries of a rejected password.

CouchDB 3.4 locks an account after five failed sign-ins from one address. The lock applies to every
client at that address and to the correct password too. Therefore a rejected password is not sent
again with every request. If the password comes from a file, the file is read again after a
rejection.
"""

from __future__ import annotations

import base64
import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from requests.auth import AuthBase

from zerglings.storage.base import AccountRefused, StoreUnavailable

if TYPE_CHECKING:
    from requests import PreparedRequest

logger = logging.getLogger(__name__)

FIRST_RETRY_SECONDS = 1.0
"""Seconds before the first retry of a password that was accepted before or has just changed.

CouchDB may reject a new password at first, and any password while it starts.
"""

RETRY_SECONDS = 300.0
"""Seconds between all other retries: the time for which CouchDB counts a failed sign-in."""

LOCKED_RETRY_SECONDS = 10.0
"""Seconds between retries while CouchDB has locked the account. A lock lasts some minutes."""


class Account(AuthBase):
    """Signs requests with HTTP basic authentication, if there is a password.

    Args:
        username: the account's name.
        read_password: returns the password as configured now.
        variable: the environment variable of the password, for messages.
        clock: monotonic time in seconds.
    """

    def __init__(
        self,
        username: str,
        read_password: Callable[[], str],
        *,
        variable: str = "COUCHDB_PASSWORD",
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.username = username
        self.variable = variable
        self._read_password = read_password
        self._password = read_password()
        self._clock = clock
        self._lock = threading.Lock()
        self._until_accepted = threading.Lock()
        self._is_accepted = False
        self._allows_first_retry = False
        self._refusals = 0
        self._blocked_until = 0.0
        self._locked_until = 0.0

    def __call__(self, request: PreparedRequest) -> PreparedRequest:
        """Add the ``Authorization`` header to a request that is about to be sent.

        Raises:
            AccountRefused: CouchDB rejected this password recently, so the request is not sent.
            StoreUnavailable: CouchDB has locked the account, so the request is not sent.
        """
        if self._locked_until and self._clock() < self._locked_until:
            raise StoreUnavailable(self.lock_message)
        with self._lock:
            is_blocked = self._refusals > 0 and self._clock() < self._blocked_until
            if is_blocked and not self._reload_password():
                raise AccountRefused(self.refusal_message)
            authorization = self._authorization()
        if not self.is_anonymous:
            request.headers["Authorization"] = authorization
        return request

    def _authorization(self) -> str:
        credentials = base64.b64encode(f"{self.username}:{self._password}".encode()).decode()
        return f"Basic {credentials}"

    @property
    def password(self) -> str:
        """The current password."""
        return self._password

    @property
    def is_anonymous(self) -> bool:
        """Whether there is no password, so that requests are not signed."""
        return not self._password

    @property
    def description(self) -> str:
        """The account's name and the variables that configure it, for messages."""
        names = f"{self.variable.removesuffix('PASSWORD')}USERNAME and {self.variable}"
        return f"the account {self.username!r} (from {names})"

    @property
    def refusal_message(self) -> str:
        """The error message for a rejected sign-in."""
        return f"CouchDB refuses {self.description}"

    @property
    def lock_message(self) -> str:
        """The error message while CouchDB has locked the account."""
        return f"CouchDB has locked the account {self.username!r} for some minutes"

    def copy(self) -> Account:
        """Return a new object for the same account, without recorded rejections."""
        return Account(
            self.username, self._read_password, variable=self.variable, clock=self._clock
        )

    def reset(self) -> None:
        """Clear recorded rejections and locks, for callers that limit their retries themselves."""
        with self._lock:
            self._refusals, self._locked_until = 0, 0.0

    @contextmanager
    def serialize_until_accepted(self, timeout: float) -> Iterator[None]:
        """Serialize requests until CouchDB has accepted the password once.

        Otherwise many concurrent requests would send a wrong password at once and lock the account.

        Args:
            timeout: seconds to wait for the request of another thread.

        Raises:
            StoreUnavailable: the timeout expired.
        """
        if self._is_accepted or self.is_anonymous:
            yield
            return
        if not self._until_accepted.acquire(timeout=timeout):
            raise StoreUnavailable(f"CouchDB has not confirmed {self.description} yet")
        try:
            yield
        finally:
            self._until_accepted.release()

    def record_success(self) -> None:
        """Record that CouchDB accepted the account."""
        if self._refusals or self._locked_until or not self._is_accepted:
            with self._lock:
                self._refusals, self._locked_until = 0, 0.0
                self._is_accepted = self._allows_first_retry = True

    def record_refusal(self, authorization: str | None) -> bool:
        """Record a rejected sign-in; return whether there is a new password to retry with at once.

        Args:
            authorization: the ``Authorization`` header of the rejected request. If it is not that
                of the current password, the rejection is not recorded.
        """
        with self._lock:
            if authorization is not None and authorization != self._authorization():
                return True
            self._is_accepted = False
            if self._reload_password():
                return True
            self._refusals += 1
            is_first_retry = self._refusals == 1 and self._allows_first_retry
            self._blocked_until = self._clock() + (
                FIRST_RETRY_SECONDS if is_first_retry else RETRY_SECONDS
            )
            return False

    def record_lock(self) -> None:
        """Record that CouchDB has locked the account, whatever the password."""
        self._locked_until = self._clock() + LOCKED_RETRY_SECONDS

    def _reload_password(self) -> bool:
        """Read the password again; return whether it has changed."""
        try:
            password = self._read_password()
        except Exception as error:  # noqa: BLE001 - after any failure the old password stays in use
            logger.warning("The password cannot be read again: %s", error)
            return False
        if password == self._password:
            return False
        self._password, self._refusals, self._allows_first_retry = password, 0, True
        return True
