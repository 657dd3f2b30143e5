"""The account that the service shows to CouchDB, slow to knock again with a refused password.

CouchDB 3.4 locks an account after five refused sign-ins from one address, for everybody behind that
address and for the right password too. So a refused password is not sent again at the rate of
the requests, and a password that comes from a file is read again when it was refused.
"""

from __future__ import annotations

import base64
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from requests.auth import AuthBase

from zerglings.storage.base import AccountRefused

if TYPE_CHECKING:
    from requests import PreparedRequest

SECOND_TRY = 1.0
"""Seconds until a refused password is sent a second time: one just set may fail for a moment."""

LATER_TRIES = 300.0
"""Seconds between tries after that: as long as CouchDB counts a refusal against the account."""


class Account(AuthBase):
    """A name and a password for HTTP basic authentication; without a password nothing is sent."""

    def __init__(
        self,
        username: str,
        read_password: Callable[[], str],
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.username = username
        self._read_password = read_password
        self._password = read_password()
        self._clock = clock
        self._lock = threading.Lock()
        self._refusals = 0
        self._quiet_until = 0.0

    def __call__(self, request: PreparedRequest) -> PreparedRequest:
        """Sign a request that is about to be sent.

        Raises:
            AccountRefused: this password was refused lately, so the request is not sent.
        """
        with self._lock:
            is_quiet = self._refusals > 0 and self._clock() < self._quiet_until
            if is_quiet and not self._reread():
                raise AccountRefused(self.refusal)
            password = self._password
        if not self.is_anonymous:
            credentials = base64.b64encode(f"{self.username}:{password}".encode()).decode()
            request.headers["Authorization"] = f"Basic {credentials}"
        return request

    @property
    def password(self) -> str:
        """The password that is sent at present."""
        return self._password

    @property
    def is_anonymous(self) -> bool:
        """Whether there is no password, so that nothing is sent."""
        return not self._password

    @property
    def refusal(self) -> str:
        """A sentence for the person who has to mend a refused sign-in."""
        return (
            f"CouchDB refuses the account {self.username!r}: "
            "look at COUCHDB_USERNAME and COUCHDB_PASSWORD"
        )

    def accepted(self) -> None:
        """Note that the store took the account."""
        if self._refusals:
            with self._lock:
                self._refusals = 0

    def refused(self) -> bool:
        """Note a refusal; return whether there is another password by now, worth a new try."""
        with self._lock:
            if self._reread():
                return True
            self._refusals += 1
            self._quiet_until = self._clock() + (SECOND_TRY if self._refusals == 1 else LATER_TRIES)
            return False

    def _reread(self) -> bool:
        password = self._read_password()
        if password == self._password:
            return False
        self._password, self._refusals = password, 0
        return True
