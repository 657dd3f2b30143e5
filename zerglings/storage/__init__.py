"""The stores, and the one that the settings choose."""

from __future__ import annotations

from functools import cache

from django.conf import settings

from zerglings.storage.account import Account
from zerglings.storage.base import Store
from zerglings.storage.couchdb import CouchDBStore
from zerglings.storage.couchdb_client import CouchDBClient
from zerglings.storage.sqlite import SQLiteStore


@cache
def configured_store() -> Store:
    """Return this process's store, opened on first use."""
    if settings.OVERMIND_STORE == "sqlite":
        return SQLiteStore(settings.OVERMIND_SQLITE_PATH)
    password = settings.COUCHDB_PASSWORD
    account = Account(settings.COUCHDB_USERNAME, password.read, variable=password.name)
    client = CouchDBClient(settings.COUCHDB_URL, account, connections=settings.OVERMIND_THREADS)
    return CouchDBStore(client, settings.COUCHDB_DATABASE)
