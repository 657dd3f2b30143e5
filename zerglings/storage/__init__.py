"""The stores, and the one that the settings choose."""

from __future__ import annotations

from functools import cache

from django.conf import settings

from zerglings.secret import Secret
from zerglings.storage.base import Store
from zerglings.storage.breaker import AT_ONCE
from zerglings.storage.couchdb.account import Account
from zerglings.storage.couchdb.client import CouchDBClient
from zerglings.storage.couchdb.store import CouchDBStore
from zerglings.storage.guarded import GuardedStore
from zerglings.storage.instrumented import ObservedStore
from zerglings.storage.sqlite.store import SQLiteStore

CONNECTIONS = AT_ONCE + 2
"""Connections to CouchDB that a process keeps open at most: one for each call that may be under
way, one for the breaker's probe and one for waiting for changes."""


@cache
def configured_store() -> GuardedStore:
    """Return this process's store, opened on first use, which no caller waits for if it hangs."""
    return GuardedStore(_opened(settings.COUCHDB_USERNAME, settings.COUCHDB_PASSWORD))


def store_of_admin() -> Store:
    """Return the same store under the account of the server's admin, which the caller closes."""
    return _opened(settings.COUCHDB_ADMIN_USERNAME, settings.COUCHDB_ADMIN_PASSWORD)


def _opened(username: str, password: Secret) -> Store:
    if settings.OVERMIND_STORE == "sqlite":
        return ObservedStore(SQLiteStore(settings.OVERMIND_SQLITE_PATH))
    account = Account(username, password.read, variable=password.name)
    client = CouchDBClient(
        settings.COUCHDB_URL,
        account,
        connections=CONNECTIONS,
        authorities=settings.COUCHDB_CA_FILE,
    )
    return ObservedStore(CouchDBStore(client, settings.COUCHDB_DATABASE))
