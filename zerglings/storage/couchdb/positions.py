"""Signed positions in CouchDB's change feed, which clients send back.

CouchDB decodes a position as an Erlang term, and new atoms in it are never freed: a client that
forges positions could exhaust its memory. Therefore each position is signed with a key that only
clients with access to CouchDB can derive, and only correctly signed positions are passed on.
From CouchDB 3.4 on, positions become invalid when the database is recreated.
"""

from __future__ import annotations

import base64
import hmac
import re
import time

from zerglings.storage.base import UnknownPosition
from zerglings.storage.couchdb.database import Database

SIGNATURE_BYTES = 12

KEY_SECONDS = 3.0
"""Seconds after which the key is derived again, in case the database was recreated."""

_POSITION = re.compile(
    r"(?P<seq>[0-9]{1,18}(-[A-Za-z0-9_-]{1,4000})?)\.(?P<signature>[A-Za-z0-9_-]{16})"
)


class Positions:
    """Signs and verifies positions of one database. May be used from many threads at once."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._key = b""
        self._server: object = None
        self._derived_at = 0.0

    def sign(self, seq: str, timeout: float) -> str:
        """Return the signed position for CouchDB's ``seq``."""
        return f"{seq}.{self._sign(seq, timeout)}"

    def verify(self, position: str, timeout: float) -> str:
        """Return CouchDB's ``seq`` of a signed position.

        Raises:
            UnknownPosition: the signature is not valid for this database.
        """
        match = _POSITION.fullmatch(position)
        if match is None or not hmac.compare_digest(
            match["signature"], self._sign(match["seq"], timeout)
        ):
            raise UnknownPosition("the position does not belong to this database")
        return match["seq"]

    def forget(self) -> None:
        """Drop the key, because the server or the database may have been replaced."""
        self._key, self._server = b"", None

    def _sign(self, seq: str, timeout: float) -> str:
        if not self._key or time.monotonic() - self._derived_at > KEY_SECONDS:
            self._key = self._derive_key(timeout)
            self._derived_at = time.monotonic()
        signature = hmac.digest(self._key, seq.encode(), "sha256")[:SIGNATURE_BYTES]
        return base64.urlsafe_b64encode(signature).decode()

    def _derive_key(self, timeout: float) -> bytes:
        """Derive the key from server and database, so that all replicas use the same key."""
        if self._server is None:
            welcome = self._database.ask_server(timeout=timeout, required_key="version")
            self._server = welcome.get("uuid")
        if self._key and not self._database.is_modern(timeout):
            return self._key
        instance_start_time = self._database.instance_start_time(timeout)
        return f"{self._server} {self._database.name} {instance_start_time}".encode()
