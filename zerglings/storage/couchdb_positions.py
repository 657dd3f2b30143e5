"""Places in CouchDB's order of changes that clients may bring back.

CouchDB decodes such a place as a term of its language, and new words in it are kept for ever: a
client that makes places up could fill its memory. So each is given out with a code, made with a key
that is kept in the database as a local document, and only those are passed on to CouchDB. A
database that was made anew has another key, and so knows none of the old one's places.
"""

from __future__ import annotations

import base64
import contextlib
import hmac
import re
import secrets

from zerglings.storage.base import Conflict, OutcomeUnknown, StoreUnavailable, UnknownPosition
from zerglings.storage.couchdb_database import Database, NoDocument

KEY_PATH = ("_local", "overmind-positions")
KEY_BYTES = 32
CODE_BYTES = 12

_PLACE = re.compile(r"(?P<seq>[0-9]{1,18}(-[A-Za-z0-9_-]{1,4000})?)\.(?P<code>[A-Za-z0-9_-]{16})")


class Positions:
    """The places of one database. Safe to use from many threads at once."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._key = b""

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
        """Read the key anew the next time: the database may be another one."""
        self._key = b""

    def _code(self, seq: str, timeout: float) -> str:
        if not self._key:
            self._key = self._stored_key(timeout)
        code = hmac.digest(self._key, seq.encode(), "sha256")[:CODE_BYTES]
        return base64.urlsafe_b64encode(code).decode()

    def _stored_key(self, timeout: float) -> bytes:
        """Return the database's key, which whoever needs it first makes."""
        try:
            found = self._database.ask("GET", *KEY_PATH, timeout=timeout, wanted="key")
        except NoDocument:
            document = {"_id": "/".join(KEY_PATH), "key": secrets.token_hex(KEY_BYTES)}
            with contextlib.suppress(Conflict, OutcomeUnknown):  # somebody else was faster
                self._database.write("PUT", *KEY_PATH, timeout=timeout, body=document)
            found = self._database.ask("GET", *KEY_PATH, timeout=timeout, wanted="key")
        if not isinstance(found["key"], str):
            raise StoreUnavailable("the key of positions is damaged")
        return found["key"].encode()
