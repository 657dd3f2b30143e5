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
    """A request that the proxy received.

    `path` includes the query. `status` is that of the upstream's or the canned response, even if
    the client never got it; None if there was none.
    """

    method: str
    path: str
    status: int | None


class FaultProxy:
    """A proxy in front of `upstream_host:upstream_port`; without faults it only forwards.

    If the upstream cannot be reached or closes early, the client's connection is reset.

    Args:
        upstream_host: where the server is.
        upstream_port: its port.
        tls: the TLS context for client connections; None for plain HTTP.
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
        self._lock = threading.RLock()  # `matches` of a fault may read `requests`
        self._requests: list[SeenRequest] = []
        self._faults: list[Fault] = []
        self._uses: list[int] = []
        self._listener: Listener | None = None

    @property
    def url(self) -> str:
        """The base address, without a slash at the end."""
        return f"{'https' if self.tls else 'http'}://{self.address}:{self.port}"

    def start(self) -> Self:
        """Listen on a free port, which down() and up() keep."""
        self.up()
        return self

    def stop(self) -> None:
        """Close the listener and all connections; requests in progress are dropped."""
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
        """Go down, and let new connections hang without a reply until up()."""
        self.down()
        self._black_hole = BlackHole(self.port)

    def forsake(self) -> None:
        """Stop answering on the present connections, as after a lost route; serve new ones."""
        self.generation += 1

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def requests(self) -> list[SeenRequest]:
        """A copy of the requests so far; each is recorded before its client gets a response."""
        with self._lock:
            return list(self._requests)

    def clear(self) -> None:
        """Forget the requests seen; the faults stay."""
        with self._lock:
            self._requests.clear()

    @property
    def faults(self) -> Sequence[Fault]:
        """The faults, in order: the first one that matches and is not used up is applied."""
        with self._lock:
            return tuple(self._faults)

    @faults.setter
    def faults(self, faults: Sequence[Fault]) -> None:
        with self._lock:
            self._faults = list(faults)
            self._uses = [0] * len(faults)

    @property
    def fault(self) -> Fault | None:
        """The first of `faults`, or None. Assigning a fault replaces all; None removes all."""
        return next(iter(self.faults), None)

    @fault.setter
    def fault(self, fault: Fault | None) -> None:
        self.faults = [] if fault is None else [fault]

    def take(self, method: str, path: str, username: str | None) -> Kind | None:
        """Return the fault to apply to this request and count its use; None to forward it."""
        with self._lock:
            for index, fault in enumerate(self._faults):
                unused = fault.times is None or self._uses[index] < fault.times
                if not unused or fault.username not in (None, username):
                    continue
                if fault.matches(method, path):
                    self._uses[index] += 1
                    return fault.kind
        return None

    def record(self, method: str, path: str, status: int | None) -> None:
        """Add a request to the list."""
        with self._lock:
            self._requests.append(SeenRequest(method, path, status))
