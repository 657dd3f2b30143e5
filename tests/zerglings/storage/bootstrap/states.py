"""A service account without roles, and the response of CouchDB about a locked account."""

from __future__ import annotations

from tests.support.faults import Answer
from tests.support.site import Site

JSON = {"Content-Type": "application/json"}
LOCKED = Answer(403, b'{"error":"forbidden","reason":"Account is temporarily locked"}', JSON)


def account_only(site: Site) -> None:
    user = {"name": site.username, "type": "user", "roles": [], "password": site.password}
    site.server.ask("PUT", "_users", f"org.couchdb.user:{site.username}", body=user)
