"""Looks up the addresses of a host without being held up by name servers that do not answer.

A look-up blocks a thread until the system's resolver gives up, which may take a minute. So where
greenlets have taken the place of threads it runs in a pool of its own, those who ask at about the
same time share one, and each waits for it no longer than it wants to.
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

SHARED_FOR = 0.5
"""Seconds after its beginning in which those who ask wait for the look-up that is under way. After
that it is taken for lost, and another one may find the name servers back."""

AT_ONCE = 32
"""Look-ups that may be lost at the same time; one more waits for the end of another."""

IDLE = 5
"""Seconds after which a thread without a look-up ends."""


def addresses_of(host: str, *, timeout: float) -> list[str]:
    """Return the addresses of a host, the best first; an address is its own.

    Without gevent the system's resolver decides how long it takes.

    Raises:
        socket.gaierror: there are none.
        TimeoutError: that could not be found out within ``timeout`` seconds.
    """
    if _is_address(host):
        return [host]
    if not monkey.is_module_patched("socket"):
        return _look_up(host)
    return _lookups().find(host, timeout)


class _Lookups:
    """The look-ups of this process; for the greenlets of one thread."""

    def __init__(self) -> None:
        self._pool = ThreadPool(AT_ONCE, idle_task_timeout=IDLE)
        self._host = ""
        self._began = 0.0
        self._result: AsyncResult[list[str] | OSError] = AsyncResult()

    def find(self, host: str, timeout: float) -> list[str]:
        now = time.monotonic()
        is_shared = (
            host == self._host and not self._result.ready() and now - self._began < SHARED_FOR
        )
        with Timeout(timeout, TimeoutError("the host's name is not looked up in time")):
            if not is_shared:
                self._host, self._began = host, now
                self._result = self._pool.spawn(_kept, host)
            found = self._result.get()
        if not isinstance(found, list):
            raise found or OSError("the look-up came to nothing")
        return found


@cache
def _lookups() -> _Lookups:
    return _Lookups()


def _kept(host: str) -> list[str] | OSError:
    """Return an error instead of raising it: gevent would print it."""
    try:
        return _look_up(host)
    except OSError as error:
        return error


def _look_up(host: str) -> list[str]:
    getaddrinfo = monkey.get_original("socket", "getaddrinfo")
    try:
        found = getaddrinfo(host, None, 0, socket.SOCK_STREAM)
    except UnicodeError as error:
        raise socket.gaierror("this cannot be the name of a host") from error
    return list(dict.fromkeys(str(address[0]) for *_, address in found))


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
