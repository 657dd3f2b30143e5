"""Factories for the store that the settings select."""

from __future__ import annotations

from functools import cache

from django.conf import settings

from zerglings.secret import Secret
from zerglings.storage.base import Store
from zerglings.storage.breaker import MAX_CALLS
from zerglings.storage.couchdb.account import Account
from zerglings.storage.couchdb.client import CouchDBClient
from zerglings.storage.couchdb.database import Database
from zerglings.storage.couchdb.store import CouchDBStore, database_names
from zerglings.storage.guarded import GuardedStore
from zerglings.storage.instrumented import InstrumentedStore
from zerglings.storage.regions.exchange import (
    REPLICATOR,
    Exchange,
    PeerBehind,
    replicating_peers,
)
from zerglings.storage.regions.heartbeats import Heartbeats
from zerglings.storage.sqlite.store import SQLiteStore

CONNECTIONS = MAX_CALLS + 2
"""Size of a process's connection pool: one for each concurrent call, one for the breaker's probe
and one for the call that waits for changes."""


@cache
def configured_store() -> GuardedStore:
    """Return this process's store behind a circuit breaker. It is created on first use."""
    return GuardedStore(_open_store(settings.COUCHDB_USERNAME, settings.COUCHDB_PASSWORD))


def open_admin_store() -> Store:
    """Return a new store that signs in as the server admin. The caller closes it."""
    return _open_store(settings.COUCHDB_ADMIN_USERNAME, settings.COUCHDB_ADMIN_PASSWORD)


def open_heartbeats() -> Heartbeats:
    """Return the heartbeats of this region, with a connection of their own."""
    client = _client(settings.COUCHDB_URL, settings.COUCHDB_USERNAME, settings.COUCHDB_PASSWORD)
    history = configured_store().history
    return Heartbeats(settings.OVERMIND_REGION, history, client, settings.COUCHDB_DATABASE)


def open_exchanges() -> list[Exchange]:
    """Return the replications of both databases with each peer of ``COUCHDB_PEERS``."""
    if not settings.COUCHDB_PEERS:
        return []
    account = settings.COUCHDB_PEERS_USERNAME, settings.COUCHDB_PEERS_PASSWORD
    here = _admin_client()
    peers = {name: _client(url, *account) for name, url in settings.COUCHDB_PEERS.items()}
    return [
        Exchange(name, Database(here, database), Database(there, database))
        for name, there in peers.items()
        for database in database_names(settings.COUCHDB_DATABASE)
    ]


def require_listed_peers() -> None:
    """Check that CouchDB replicates from no peer that ``COUCHDB_PEERS`` does not list.

    Raises:
        PeerBehind: it does.
        StoreUnavailable: the replications cannot be read.
    """
    if settings.OVERMIND_STORE == "sqlite":
        return
    replicator = Database(_admin_client(), REPLICATOR)
    names = database_names(settings.COUCHDB_DATABASE)
    known = {peer for name in names for peer in replicating_peers(replicator, name)}
    if unlisted := known - set(settings.COUCHDB_PEERS):
        raise PeerBehind(f"COUCHDB_PEERS does not list {', '.join(sorted(unlisted))}")


def _open_store(username: str, password: Secret) -> Store:
    if settings.OVERMIND_STORE == "sqlite":
        return InstrumentedStore(SQLiteStore(settings.OVERMIND_SQLITE_PATH))
    client = _client(settings.COUCHDB_URL, username, password, connections=CONNECTIONS)
    return InstrumentedStore(CouchDBStore(client, settings.COUCHDB_DATABASE))


def _admin_client() -> CouchDBClient:
    return _client(
        settings.COUCHDB_URL, settings.COUCHDB_ADMIN_USERNAME, settings.COUCHDB_ADMIN_PASSWORD
    )


def _client(url: str, username: str, password: Secret, connections: int = 1) -> CouchDBClient:
    account = Account(username, password.read, variable=password.name)
    return CouchDBClient(url, account, connections=connections, ca_file=settings.COUCHDB_CA_FILE)
