"""The HTTP session under pycouchdb: only what CouchDB needs, and never giving way needlessly.

``requests`` looks for cookies, redirects, proxies and .netrc at every call, and urllib3 lets other
greenlets go first before it sends. Knows nothing of what CouchDB's answers mean.
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
"""The header with which CouchDB's log and ours name a call."""

_KEPT_ID = re.compile(r"[A-Za-z0-9_-]{1,36}")
"""What CouchDB 3 keeps of that header; it puts an id of its own in the place of all else."""

CONNECT_LIMIT = 1.0
"""Seconds for finding a host's addresses, and as much again for trying them all."""

KEEP_ALIVE = (
    (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
    (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 10),
    (socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 5),
    (socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 3),
)
"""Has the system ask on idle connections whether the other end is still there, in seconds: one that
has gone without a word shows as closed after 25, before somebody waits for an answer on it."""


class _Prompt(HTTPConnection):
    """A connection that does not give way to other greenlets while it looks whether it is open.

    urllib3 asks with a poll that waits for nothing, but gevent's gives way all the same. A leader
    of many would stand in line behind all of them, its batch in hand and the store idle.

    Whatever goes wrong before there is a connection is told apart from what goes wrong later, also
    where TLS is agreed upon: nothing was sent yet.
    """

    @property
    def is_connected(self) -> bool:
        """Whether the server has neither closed the connection nor sent what nobody asked for."""
        return self.sock is not None and not _is_readable(self.sock)

    def connect(self) -> None:
        """Connect, within the time for it.

        Raises:
            ConnectTimeoutError, NewConnectionError: there is no connection.
        """
        try:
            super().connect()
        except TimeoutError as error:
            raise ConnectTimeoutError(self, "no connection in time") from error
        except (OSError, SSLError) as error:
            raise NewConnectionError(self, f"no connection: {error}") from error

    def _new_conn(self) -> socket.socket:
        """Connect to the first of the host's addresses that can be reached."""
        addresses = addresses_of(self._dns_host.strip("[]"), timeout=CONNECT_LIMIT)
        end = time.monotonic() + CONNECT_LIMIT
        failure: OSError = OSError("the host has no address")
        for address in addresses:
            if (left := end - time.monotonic()) <= 0:
                break
            wait = min(left, self.timeout) if isinstance(self.timeout, float | int) else left
            try:
                return create_connection((address, self.port), wait, None, self.socket_options)
            except OSError as error:
                failure = error
        raise failure


class _PromptHTTPS(_Prompt, HTTPSConnection):
    pass


class _HTTPPool(HTTPConnectionPool):
    ConnectionCls = _Prompt


class _HTTPSPool(HTTPSConnectionPool):
    ConnectionCls = _PromptHTTPS


class _PromptAdapter(HTTPAdapter):
    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        """Have the pools make prompt connections, which the system looks after."""
        options = [*HTTPConnection.default_socket_options, *KEEP_ALIVE]
        super().init_poolmanager(*args, **kwargs, socket_options=options)
        self.poolmanager.pool_classes_by_scheme = {"http": _HTTPPool, "https": _HTTPSPool}


def _is_readable(sock: socket.socket) -> bool:
    poll = monkey.get_original("select", "poll")()
    poll.register(sock, select.POLLIN)
    return bool(poll.poll(0))


def request_id() -> str:
    """Return the id of the request on whose behalf CouchDB is asked, or a random one.

    A call that serves many requests has the id of the one that makes it.
    """
    given = str(CONTEXT.get().get("request_id", ""))
    return given if _KEPT_ID.fullmatch(given) else f"{random.getrandbits(128):032x}"


class LeanSession(requests.Session):
    """A session that leaves out what CouchDB does not need: cookies, redirects, proxies, .netrc.

    To look for them anew makes up more than a third of what an exchange costs with ``requests``.

    Args:
        account: signs each request.
        connections: how many to keep open.
        judge: is shown each answer, and raises if it is no success.
        authorities: a file of the certificates of those who may vouch for the server; None for the
            public ones. It is read for each new connection.
    """

    def __init__(
        self,
        account: AuthBase,
        connections: int,
        judge: Callable[[requests.Response], None],
        authorities: Path | None = None,
    ) -> None:
        super().__init__()
        self._account = account
        self._judge = judge
        self._verify = True if authorities is None else str(authorities)
        for scheme in ("http://", "https://"):
            self.mount(scheme, _PromptAdapter(pool_connections=1, pool_maxsize=connections))
        self._headers = {
            "Accept": "application/json",
            "Content-Type": "application/json",
            "X-Couch-Full-Commit": "true",  # CouchDB 1.x: sync before the answer
        }

    def prepare_request(self, request: requests.Request) -> requests.PreparedRequest:
        """Make the request that is sent of what pycouchdb asks for, which is in order already."""
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
        """Say how requests are sent, whatever the environment says."""
        return {"proxies": {}, "stream": True, "verify": self._verify, "cert": None}

    def send(self, request: requests.PreparedRequest, **options: Any) -> requests.Response:
        """Send a request and judge the answer before pycouchdb does."""
        del options["allow_redirects"]
        response = self.get_adapter(str(request.url)).send(request, **options)
        self._judge(response)
        return response

    def drop_idle_connections(self) -> None:
        """Close the connections that nobody uses, and those in use when they are not any more.

        Where one has turned out to be dead, those beside it may be so too.
        """
        for adapter in self.adapters.values():
            if isinstance(adapter, HTTPAdapter):
                pools = adapter.poolmanager.pools
                left = [pools.get(key) for key in pools.keys()]  # noqa: SIM118 - it is no dict
                pools.clear()
                for pool in filter(None, left):
                    pool.close()
