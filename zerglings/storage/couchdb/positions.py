"""Places in CouchDB's order of changes that clients may bring back.

CouchDB decodes such a place as a term of its language, and new words in it are kept for ever: a
client that makes places up could fill its memory. So each is given out with a code, made with what
only those know who can ask CouchDB themselves, and only these are passed on. A database that was
made anew does not know the places of the old one.
"""

from __future__ import annotations

import base64
import hmac
import re
import time

from zerglings.storage.base import UnknownPosition
from zerglings.storage.couchdb.database import Database

CODE_BYTES = 12

TRUSTED_FOR = 3.0
"""Seconds after which it is asked again whether the database is still the one it was."""

_PLACE = re.compile(r"(?P<seq>[0-9]{1,18}(-[A-Za-z0-9_-]{1,4000})?)\.(?P<code>[A-Za-z0-9_-]{16})")


class Positions:
    """The places of one database. Safe to use from many threads at once."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._key = b""
        self._server: object = None
        self._asked_at = 0.0

    def given_out(self, seq: str, timeout: float) -> str:
        """Return what a client may bring back for CouchDB's ``seq``."""
        return f"{seq}.{self._code(seq, timeout)}"

    def taken_back(self, position: str, timeout: float) -> str:
        """Return CouchDB's ``seq`` for a position.

        Raises:
            UnknownPosition: it was not given out by this database.
        """
        match = _PLACE.fullmatch(position)
        if match is None or not hmac.compare_digest(
            match["code"], self._code(match["seq"], timeout)
        ):
            raise UnknownPosition("this position was not given out here")
        return match["seq"]

    def forget(self) -> None:
        """Ask anew the next time: the server and the database may be others."""
        self._key, self._server = b"", None

    def _code(self, seq: str, timeout: float) -> str:
        if not self._key or time.monotonic() - self._asked_at > TRUSTED_FOR:
            self._key = self._found_key(timeout)
            self._asked_at = time.monotonic()
        code = hmac.digest(self._key, seq.encode(), "sha256")[:CODE_BYTES]
        return base64.urlsafe_b64encode(code).decode()

    def _found_key(self, timeout: float) -> bytes:
        """Return what all replicas find alike: which server and which database this is."""
        if self._server is None:
            welcome = self._database.ask_server(timeout=timeout, wanted="version")
            self._server = welcome.get("uuid")
        if self._key and not self._database.is_modern(timeout):
            return self._key
        made_at = self._database.made_at(timeout)
        return f"{self._server} {self._database.name} {made_at}".encode()
