"""Where the service listens, in the form in which gunicorn takes it. Knows nothing of requests."""

from __future__ import annotations

import socket
from collections.abc import Sequence

EVERY_IPV4 = "0.0.0.0"  # nosec B104 # noqa: S104 - in a container nothing else is reachable
EVERY = "[::]"
"""All addresses of IPv6, and those of IPv4 unless the system keeps them apart."""

_MAPPED = "::ffff:"
"""How a connection over IPv4 shows on a socket of IPv6: RFC 4291, section 2.5.5.2."""


def binds(address: str) -> Sequence[str]:
    """Return what to bind to for ``host:port``, or for ``:port`` on all addresses there are."""
    if not address.startswith(":"):
        return [address]
    return [f"{host}{address}" for host in _everywhere()]


def plain(host: str) -> str:
    """Return the address of a peer, over IPv4 in the form that it has there."""
    return host.removeprefix(_MAPPED) if "." in host else host


def _everywhere() -> list[str]:
    """Return the hosts that stand for all addresses, found out by binding to a free port."""
    try:
        with socket.socket(socket.AF_INET6, socket.SOCK_STREAM) as probe:
            probe.bind(("::", 0))
            keeps_apart = probe.getsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY)
    except OSError:  # this system has no IPv6
        return [EVERY_IPV4]
    return [EVERY_IPV4, EVERY] if keeps_apart else [EVERY]
