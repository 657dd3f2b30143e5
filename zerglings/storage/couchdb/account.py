"""The account that the service shows to CouchDB, slow to knock again with a refused password.

CouchDB 3.4 locks an account after five refused sign-ins from one address, for everybody behind that
address and for the right password too. So a refused password is not sent again at the rate of
the requests, and a password that comes from a file is read again when it was refused.
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

SECOND_TRY = 1.0
"""Seconds until a password that was good before, or was just changed, is sent a second time.

CouchDB may not know a new password for a moment, nor an old one while it starts.
"""

LATER_TRIES = 300.0
"""Seconds between all other tries: as long as CouchDB counts a refusal against the account."""

LOCK_REST = 10.0
"""Seconds between two tries while CouchDB has locked the account, which takes it minutes."""


class Account(AuthBase):
    """A name and a password for HTTP basic authentication; without a password nothing is sent.

    Args:
        username: the name.
        read_password: gives the password as it is configured now.
        variable: the environment variable that the password comes from, for messages.
        clock: seconds that only grow.
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
        self._trial = threading.Lock()
        self._is_proven = False
        self._deserves_second_try = False
        self._refusals = 0
        self._quiet_until = 0.0
        self._locked_until = 0.0

    def __call__(self, request: PreparedRequest) -> PreparedRequest:
        """Sign a request that is about to be sent.

        Raises:
            AccountRefused: this password was refused lately, so the request is not sent.
            StoreUnavailable: nor is it while CouchDB has locked the account.
        """
        if self._locked_until and self._clock() < self._locked_until:
            raise StoreUnavailable(self.lock)
        with self._lock:
            is_quiet = self._refusals > 0 and self._clock() < self._quiet_until
            if is_quiet and not self._reread():
                raise AccountRefused(self.refusal)
            signature = self._signature()
        if not self.is_anonymous:
            request.headers["Authorization"] = signature
        return request

    def _signature(self) -> str:
        credentials = base64.b64encode(f"{self.username}:{self._password}".encode()).decode()
        return f"Basic {credentials}"

    @property
    def password(self) -> str:
        """The password that is sent at present."""
        return self._password

    @property
    def is_anonymous(self) -> bool:
        """Whether there is no password, so that nothing is sent."""
        return not self._password

    @property
    def who(self) -> str:
        """The account's name, and where it comes from."""
        names = f"{self.variable.removesuffix('PASSWORD')}USERNAME and {self.variable}"
        return f"the account {self.username!r} (from {names})"

    @property
    def refusal(self) -> str:
        """A sentence for the person who has to mend a refused sign-in."""
        return f"CouchDB refuses {self.who}"

    @property
    def lock(self) -> str:
        """A sentence for the person who wonders why nothing works any more."""
        return f"CouchDB has locked the account {self.username!r} for some minutes"

    def fresh(self) -> Account:
        """Return the same account without any memory of refusals."""
        return Account(
            self.username, self._read_password, variable=self.variable, clock=self._clock
        )

    def forgive(self) -> None:
        """Forget that it was refused or locked, where the caller knows why and waits by itself."""
        with self._lock:
            self._refusals, self._locked_until = 0, 0.0

    @contextmanager
    def trial(self, timeout: float) -> Iterator[None]:
        """Send requests one at a time until the password has proved good.

        Else all that are under way at the first refusal would be refused too, and lock the account.

        Raises:
            StoreUnavailable: after ``timeout`` seconds another thread still waits for an answer.
        """
        if self._is_proven or self.is_anonymous:
            yield
            return
        if not self._trial.acquire(timeout=timeout):
            raise StoreUnavailable(f"whether CouchDB takes {self.who} is not known yet")
        try:
            yield
        finally:
            self._trial.release()

    def accepted(self) -> None:
        """Note that the store took the account."""
        if self._refusals or self._locked_until or not self._is_proven:
            with self._lock:
                self._refusals, self._locked_until = 0, 0.0
                self._is_proven = self._deserves_second_try = True

    def refused(self, signature: str | None) -> bool:
        """Note a refusal; return whether there is another password by now, worth a new try.

        Args:
            signature: of the request that was refused, perhaps by a password that is not used any
                more, which says nothing about the one that is.
        """
        with self._lock:
            if signature is not None and signature != self._signature():
                return True
            self._is_proven = False
            if self._reread():
                return True
            self._refusals += 1
            is_soon = self._refusals == 1 and self._deserves_second_try
            self._quiet_until = self._clock() + (SECOND_TRY if is_soon else LATER_TRIES)
            return False

    def locked(self) -> None:
        """Note that the store does not listen to the account, whatever its password is."""
        self._locked_until = self._clock() + LOCK_REST

    def _reread(self) -> bool:
        """Look whether another password is configured by now."""
        try:
            password = self._read_password()
        except Exception as error:  # noqa: BLE001 - whatever it is, there is no other password
            logger.warning("The password cannot be read again: %s", error)
            return False
        if password == self._password:
            return False
        self._password, self._refusals, self._deserves_second_try = password, 0, True
        return True
