"""The HTTP session that pycouchdb uses, reduced to what CouchDB needs.

``requests`` checks cookies, redirects, proxies and .netrc on every call, and urllib3 yields to
other greenlets before it sends. This session avoids both. It does not interpret responses.
"""

from __future__ import annotations

import random
import re
import select
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import requests
from gevent import monkey
from requests.adapters import HTTPAdapter
from requests.auth import AuthBase
from requests.structures import CaseInsensitiveDict
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import ConnectTimeoutError, NewConnectionError, SSLError
from urllib3.util.connection import create_connection

from zerglings.log_context import CONTEXT
from zerglings.storage.couchdb.lookup import addresses_of

REQUEST_ID = "X-Couch-Request-ID"
"""Header of the id that identifies a request in CouchDB's log and in ours."""

_ACCEPTED_ID = re.compile(r"[A-Za-z0-9_-]{1,36}")
"""Ids that CouchDB 3 accepts in that header; it replaces all others by its own."""

CONNECT_LIMIT = 1.0
"""Seconds for resolving a host, and again for trying all of its addresses."""

KEEP_ALIVE = (
    (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
    (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 10),
    (socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 5),
    (socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 3),
)
"""TCP keep-alive, in seconds. An idle connection whose peer has vanished is closed after 25
seconds, before a request waits on it for an answer."""


class _DirectConnection(HTTPConnection):
    """A connection that does not yield to other greenlets when it checks whether it is open.

    urllib3 checks with a non-blocking poll, but gevent's poll yields even then. A group-commit
    leader would be rescheduled behind all other greenlets while the store is idle.

    All errors before the connection is established, including those of the TLS handshake, are
    raised as connection errors, because nothing was sent yet.
    """

    @property
    def is_connected(self) -> bool:
        """Whether the connection is open and without unexpected data."""
        return self.sock is not None and not _is_readable(self.sock)

    def connect(self) -> None:
        """Connect within ``CONNECT_LIMIT`` and the connect timeout of the request.

        Raises:
            ConnectTimeoutError, NewConnectionError: the connection was not established.
        """
        try:
            super().connect()
        except TimeoutError as error:
            raise ConnectTimeoutError(self, "no connection in time") from error
        except (OSError, SSLError) as error:
            raise NewConnectionError(self, f"no connection: {error}") from error

    def _new_conn(self) -> socket.socket:
        """Connect to the first of the host's addresses that accepts."""
        addresses = addresses_of(self._dns_host.strip("[]"), timeout=CONNECT_LIMIT)
        end = time.monotonic() + CONNECT_LIMIT
        failure: OSError = OSError("the host has no address")
        for address in addresses:
            if (remaining := end - time.monotonic()) <= 0:
                break
            wait = (
                min(remaining, self.timeout) if isinstance(self.timeout, float | int) else remaining
            )
            try:
                return create_connection((address, self.port), wait, None, self.socket_options)
            except OSError as error:
                failure = error
        raise failure


class _DirectHTTPSConnection(_DirectConnection, HTTPSConnection):
    pass


class _HTTPPool(HTTPConnectionPool):
    ConnectionCls = _DirectConnection


class _HTTPSPool(HTTPSConnectionPool):
    ConnectionCls = _DirectHTTPSConnection


class _DirectAdapter(HTTPAdapter):
    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        """Use the connection classes of this module, with TCP keep-alive."""
        options = [*HTTPConnection.default_socket_options, *KEEP_ALIVE]
        super().init_poolmanager(*args, **kwargs, socket_options=options)
        self.poolmanager.pool_classes_by_scheme = {"http": _HTTPPool, "https": _HTTPSPool}


def _is_readable(sock: socket.socket) -> bool:
    poll = monkey.get_original("select", "poll")()
    poll.register(sock, select.POLLIN)
    return bool(poll.poll(0))


def request_id() -> str:
    """Return the id of the HTTP request that is being served, or a random id.

    A batched call carries the id of the request whose greenlet sends it.
    """
    given = str(CONTEXT.get().get("request_id", ""))
    return given if _ACCEPTED_ID.fullmatch(given) else f"{random.getrandbits(128):032x}"


class LeanSession(requests.Session):
    """A session without cookies, redirects, proxies and .netrc.

    Checking for them takes more than a third of the time of a ``requests`` call.

    Args:
        account: signs each request.
        connections: size of the connection pool.
        check_response: called with each response, and raises for an error status.
        ca_file: PEM file of the certificate authorities to trust, None for the public ones. It is
            read again for each new connection.
    """

    def __init__(
        self,
        account: AuthBase,
        connections: int,
        check_response: Callable[[requests.Response], None],
        ca_file: Path | None = None,
    ) -> None:
        super().__init__()
        self._account = account
        self._check_response = check_response
        self._verify = True if ca_file is None else str(ca_file)
        for scheme in ("http://", "https://"):
            self.mount(scheme, _DirectAdapter(pool_connections=1, pool_maxsize=connections))
        self._headers = {
            "Accept": "application/json",
            "Content-Type": "application/json",
            "X-Couch-Full-Commit": "true",  # CouchDB 1.x: sync before the answer
        }

    def prepare_request(self, request: requests.Request) -> requests.PreparedRequest:
        """Build the request from pycouchdb's arguments, which need no further checks."""
        prepared = requests.PreparedRequest()
        prepared.method = request.method
        query = f"?{urlencode(request.params)}" if request.params else ""
        prepared.url = f"{request.url}{query}"
        prepared.headers = CaseInsensitiveDict(self._headers)
        prepared.headers[REQUEST_ID] = request.headers[REQUEST_ID]
        if isinstance(request.data, bytes):
            prepared.body = request.data
            prepared.headers["Content-Length"] = str(len(request.data))
        self._account(prepared)
        return prepared

    def merge_environment_settings(
        self,
        url: str | bytes | None,
        proxies: object,
        stream: object,
        verify: object,
        cert: object,
    ) -> Any:  # noqa: ANN401 - a type of the stubs only
        """Return fixed settings instead of those of the environment."""
        return {"proxies": {}, "stream": True, "verify": self._verify, "cert": None}

    def send(self, request: requests.PreparedRequest, **options: Any) -> requests.Response:
        """Send a request and check the response before pycouchdb sees it."""
        del options["allow_redirects"]
        response = self.get_adapter(str(request.url)).send(request, **options)
        self._check_response(response)
        return response

    def drop_idle_connections(self) -> None:
        """Close idle connections now, and active ones after their current request.

        After one connection has turned out to be dead, the others may be dead, too.
        """
        for adapter in self.adapters.values():
            if isinstance(adapter, HTTPAdapter):
                pools = adapter.poolmanager.pools
                removed = [pools.get(key) for key in pools.keys()]  # noqa: SIM118 - not a dict
                pools.clear()
                for pool in filter(None, removed):
                    pool.close()
