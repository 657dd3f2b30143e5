"""The HTTP session under pycouchdb: only what CouchDB needs, and never giving way needlessly.

``requests`` looks for cookies, redirects, proxies and .netrc at every call, and urllib3 lets other
greenlets go first before it sends. Knows nothing of what CouchDB's answers mean.
"""

from __future__ import annotations

import select
import socket
from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

import requests
from gevent import monkey
from requests.adapters import HTTPAdapter
from requests.auth import AuthBase
from requests.structures import CaseInsensitiveDict
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool


class _PromptHTTP(HTTPConnection):
    """A connection that does not give way to other greenlets while it looks whether it is open.

    urllib3 asks with a poll that waits for nothing, but gevent's gives way all the same. A leader
    of many would stand in line behind all of them, its batch in hand and the store idle.
    """

    @property
    def is_connected(self) -> bool:
        """Whether the server has neither closed the connection nor sent what nobody asked for."""
        return self.sock is not None and not _is_readable(self.sock)


class _PromptHTTPS(HTTPSConnection):
    @property
    def is_connected(self) -> bool:
        """Do as ``_PromptHTTP``."""
        return self.sock is not None and not _is_readable(self.sock)


class _HTTPPool(HTTPConnectionPool):
    ConnectionCls = _PromptHTTP


class _HTTPSPool(HTTPSConnectionPool):
    ConnectionCls = _PromptHTTPS


class _PromptAdapter(HTTPAdapter):
    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        """Have the pools make prompt connections."""
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = {"http": _HTTPPool, "https": _HTTPSPool}


def _is_readable(sock: socket.socket) -> bool:
    poll = monkey.get_original("select", "poll")()
    poll.register(sock, select.POLLIN)
    return bool(poll.poll(0))


class LeanSession(requests.Session):
    """A session that leaves out what CouchDB does not need: cookies, redirects, proxies, .netrc.

    To look for them anew makes up more than a third of what an exchange costs with ``requests``.
    """

    def __init__(
        self, account: AuthBase, connections: int, judge: Callable[[requests.Response], None]
    ) -> None:
        super().__init__()
        self._account = account
        self._judge = judge
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
        return {"proxies": {}, "stream": True, "verify": True, "cert": None}

    def send(self, request: requests.PreparedRequest, **options: Any) -> requests.Response:
        """Send a request and judge the answer before pycouchdb does."""
        del options["allow_redirects"]
        response = self.get_adapter(str(request.url)).send(request, **options)
        self._judge(response)
        return response
