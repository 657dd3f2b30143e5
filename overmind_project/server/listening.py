"""The listen addresses in the form that gunicorn takes."""

from __future__ import annotations

import socket
from collections.abc import Sequence

EVERY_IPV4 = "0.0.0.0"  # nosec B104 # noqa: S104 - the address `:port` asks for all interfaces
EVERY = "[::]"
"""All IPv6 addresses; all IPv4 addresses too, unless the system sets `IPV6_V6ONLY`."""

_MAPPED = "::ffff:"
"""Prefix of an IPv4 peer's address on an IPv6 socket (RFC 4291, section 2.5.5.2)."""


def binds(address: str) -> Sequence[str]:
    """Return the addresses to bind to for `host:port`, or for `:port` on all addresses."""
    if not address.startswith(":"):
        return [address]
    return [f"{host}{address}" for host in _wildcard_hosts()]


def without_ipv6_mapping(host: str) -> str:
    """Return a peer's address. An IPv4-mapped IPv6 address becomes an IPv4 address."""
    return host.removeprefix(_MAPPED) if "." in host else host


def _wildcard_hosts() -> list[str]:
    """Return the wildcard addresses to bind to; a test bind shows what the system supports."""
    try:
        with socket.socket(socket.AF_INET6, socket.SOCK_STREAM) as probe:
            probe.bind(("::", 0))
            keeps_apart = probe.getsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY)
    except OSError:  # this system has no IPv6
        return [EVERY_IPV4]
    return [EVERY_IPV4, EVERY] if keeps_apart else [EVERY]
