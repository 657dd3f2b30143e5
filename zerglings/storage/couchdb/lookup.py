"""Resolves host names without blocking on name servers that do not answer.

The system's resolver blocks a thread until its own timeout, which may be a minute. Therefore, when
gevent has patched the process, look-ups run in a thread pool. Concurrent look-ups of a host share
one result, and each caller waits no longer than its timeout.
"""

from __future__ import annotations

import ipaddress
import socket
import time
from functools import cache

from gevent import monkey
from gevent.event import AsyncResult
from gevent.threadpool import ThreadPool
from gevent.timeout import Timeout

SHARE_SECONDS = 0.5
"""Seconds for which callers share a running look-up. After that it is considered lost, and a new
one is started, which may succeed if the name servers have recovered."""

MAX_THREADS = 32
"""Size of the thread pool: the number of look-ups that can hang before others have to wait."""

IDLE_SECONDS = 5
"""Seconds after which an idle thread ends."""


def addresses_of(host: str, *, timeout: float) -> list[str]:
    """Return the IP addresses of ``host``, the preferred one first.

    Without gevent, ``timeout`` has no effect and the system's resolver decides.

    Args:
        host: a host name or an IP address, which is returned as it is.
        timeout: seconds.

    Raises:
        socket.gaierror: the host has no address.
        TimeoutError: the look-up took longer than ``timeout``.
    """
    if _is_address(host):
        return [host]
    if not monkey.is_module_patched("socket"):
        return _resolve(host)
    return _resolver().resolve(host, timeout)


class _Resolver:
    """The look-ups of this process. Used by the greenlets of a single thread."""

    def __init__(self) -> None:
        self._pool = ThreadPool(MAX_THREADS, idle_task_timeout=IDLE_SECONDS)
        self._host = ""
        self._began = 0.0
        self._result: AsyncResult[list[str] | OSError] = AsyncResult()

    def resolve(self, host: str, timeout: float) -> list[str]:
        now = time.monotonic()
        is_shared = (
            host == self._host and not self._result.ready() and now - self._began < SHARE_SECONDS
        )
        with Timeout(timeout, TimeoutError("the host's name was not resolved in time")):
            if not is_shared:
                self._host, self._began = host, now
                self._result = self._pool.spawn(_catch, host)
            found = self._result.get()
        if not isinstance(found, list):
            raise found or OSError("the look-up failed")
        return found


@cache
def _resolver() -> _Resolver:
    return _Resolver()


def _catch(host: str) -> list[str] | OSError:
    """Return an error instead of raising it, because gevent prints errors of pool threads."""
    try:
        return _resolve(host)
    except OSError as error:
        return error


def _resolve(host: str) -> list[str]:
    getaddrinfo = monkey.get_original("socket", "getaddrinfo")
    try:
        found = getaddrinfo(host, None, 0, socket.SOCK_STREAM)
    except UnicodeError as error:
        raise socket.gaierror("this is not a valid host name") from error
    return list(dict.fromkeys(str(address[0]) for *_, address in found))


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
