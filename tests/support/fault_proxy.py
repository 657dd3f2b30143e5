"""An HTTP proxy on a loopback port that injects faults and records the requests it has seen.

It tests how an HTTP client handles failures of the service or the network. It knows HTTP/1.x and
nothing of the service behind it.
"""

from __future__ import annotations

import ssl
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

from tests.support.fault_listener import BlackHole, Listener
from tests.support.faults import Fault, Kind
from tests.support.ports import free_port


@dataclass(frozen=True)
class SeenRequest:
    """A request that was carried out or met a fault.

    `path` has the query with it. `status` is the upstream's or the canned answer's, even if the
    client never got it; None if there was no answer.
    """

    method: str
    path: str
    status: int | None


class FaultProxy:
    """A proxy in front of `upstream_host:upstream_port`; without faults it only forwards.

    An upstream that cannot be reached, or that breaks off, resets the client's connection.

    Args:
        upstream_host: where the server is.
        upstream_port: its port.
        tls: how new connections of clients are encrypted, if they are.
        address: where to listen.
    """

    def __init__(
        self,
        upstream_host: str,
        upstream_port: int,
        *,
        tls: ssl.SSLContext | None = None,
        address: str = "127.0.0.1",
    ) -> None:
        self.tls = tls
        self.address = address
        self.generation = 0
        self._black_hole: BlackHole | None = None
        self.upstream = (upstream_host, upstream_port)
        self.port = free_port()
        self._lock = threading.Lock()
        self._requests: list[SeenRequest] = []
        self._faults: list[Fault] = []
        self._uses: list[int] = []
        self._listener: Listener | None = None

    @property
    def url(self) -> str:
        """The base address, without a slash at the end."""
        return f"{'https' if self.tls else 'http'}://{self.address}:{self.port}"

    def start(self) -> Self:
        """Listen on a free port, which stays this proxy's own over down() and up()."""
        self.up()
        return self

    def stop(self) -> None:
        """Close everything; what is held or under way is dropped."""
        self.down()

    def up(self) -> None:
        """Listen (again). Nothing happens if the proxy listens already."""
        if self._black_hole is not None:
            self._black_hole.close()
            self._black_hole = None
        if self._listener is None:
            self._listener = Listener(self)
            self._listener.open()

    def down(self) -> None:
        """Close the listener and every connection, as a killed server would."""
        if self._listener is not None:
            self._listener.close()
            self._listener = None
        if self._black_hole is not None:
            self._black_hole.close()
            self._black_hole = None

    def swallow(self) -> None:
        """Go down, and leave those who connect without any reply, until the proxy is up again."""
        self.down()
        self._black_hole = BlackHole(self.port)

    def forsake(self) -> None:
        """Say no more on the connections that there are, as if they led nowhere; serve new ones."""
        self.generation += 1

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def requests(self) -> list[SeenRequest]:
        """A snapshot of the requests seen so far; each is there before its client has an answer."""
        with self._lock:
            return list(self._requests)

    def clear(self) -> None:
        """Forget the requests seen; the faults stay."""
        with self._lock:
            self._requests.clear()

    @property
    def faults(self) -> Sequence[Fault]:
        """Tried in order: the first that matches and is not used up decides about a request."""
        with self._lock:
            return tuple(self._faults)

    @faults.setter
    def faults(self, faults: Sequence[Fault]) -> None:
        with self._lock:
            self._faults = list(faults)
            self._uses = [0] * len(faults)

    @property
    def fault(self) -> Fault | None:
        """The first of `faults`; assigning replaces them all, None by no fault at all."""
        return next(iter(self.faults), None)

    @fault.setter
    def fault(self, fault: Fault | None) -> None:
        self.faults = [] if fault is None else [fault]

    def take(self, method: str, path: str) -> Kind | None:
        """Return what shall go wrong with this request, and count the use of it."""
        with self._lock:
            for index, fault in enumerate(self._faults):
                unused = fault.times is None or self._uses[index] < fault.times
                if unused and fault.matches(method, path):
                    self._uses[index] += 1
                    return fault.kind
        return None

    def record(self, method: str, path: str, status: int | None) -> None:
        """Add a request to the list."""
        with self._lock:
            self._requests.append(SeenRequest(method, path, status))
