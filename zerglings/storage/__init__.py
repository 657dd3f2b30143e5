"""Factories for the store that the settings select."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from functools import cache

from django.conf import settings

from zerglings.secret import Secret
from zerglings.storage.base import Store
from zerglings.storage.breaker import MAX_CALLS
from zerglings.storage.couchdb.account import Account
from zerglings.storage.couchdb.client import CONNECT_TIMEOUT, CouchDBClient
from zerglings.storage.couchdb.database import Database
from zerglings.storage.couchdb.store import CouchDBStore, database_names
from zerglings.storage.guarded import GuardedStore
from zerglings.storage.instrumented import InstrumentedStore
from zerglings.storage.regions.exchange import Exchange, Part, PeerBehind
from zerglings.storage.regions.heartbeats import Heartbeats
from zerglings.storage.regions.jobs import REPLICATOR
from zerglings.storage.regions.unlisted import unlisted_regions
from zerglings.storage.sqlite.store import SQLiteStore

CONNECTIONS = MAX_CALLS + 2
"""Size of a process's connection pool: one for each concurrent call, one for the breaker's probe
and one for the call that waits for changes."""

PEER_CONNECT_TIMEOUT = 5.0
"""Seconds to wait for a connection to the CouchDB of another region. It may be far away; the system
repeats a lost request for a connection after 1 and 3 seconds."""


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


@contextmanager
def open_exchanges(*parts: Part) -> Iterator[list[Exchange]]:
    """Yield the replications of databases with each peer of ``COUCHDB_PEERS``.

    Their connections are closed afterwards.
    """
    if not settings.COUCHDB_PEERS:
        yield []
        return
    account = settings.COUCHDB_PEERS_USERNAME, settings.COUCHDB_PEERS_PASSWORD
    zerglings, history = database_names(settings.COUCHDB_DATABASE)
    names: dict[Part, str] = {"zerglings": zerglings, "history": history}
    with ExitStack() as clients:
        here = clients.enter_context(closing(_admin_client()))
        exchanges = []
        for name, url in settings.COUCHDB_PEERS.items():
            client = _client(url, *account, connect_timeout=PEER_CONNECT_TIMEOUT)
            there = clients.enter_context(closing(client))
            for part in parts:
                database = names[part]
                exchanges.append(
                    Exchange(name, Database(here, database), Database(there, database))
                )
        yield exchanges


def require_listed_peers() -> None:
    """Check that CouchDB replicates with no region that ``COUCHDB_PEERS`` does not list.

    Raises:
        PeerBehind: it does.
        StoreUnavailable: the replications cannot be read.
    """
    if settings.OVERMIND_STORE == "sqlite":
        return
    names = database_names(settings.COUCHDB_DATABASE)
    with closing(_admin_client()) as client:
        unlisted = unlisted_regions(Database(client, REPLICATOR), names, settings.COUCHDB_PEERS)
    if unlisted:
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


def _client(
    url: str,
    username: str,
    password: Secret,
    *,
    connections: int = 1,
    connect_timeout: float = CONNECT_TIMEOUT,
) -> CouchDBClient:
    return CouchDBClient(
        url,
        Account(username, password.read, variable=password.name),
        connections=connections,
        ca_file=settings.COUCHDB_CA_FILE,
        connect_timeout=connect_timeout,
    )
