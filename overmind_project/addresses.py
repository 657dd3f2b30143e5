"""Whose address a request comes from, and which addresses belong together.

Only what a trusted proxy has seen counts. Each proxy appends to ``X-Forwarded-For`` the address
that it was called from, so the entries are read from the right, for as long as trusted proxies
wrote them. A client can write what it likes further left.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

_SITE_PREFIX = 64
"""Bits of an IPv6 address that tell one customer from another: the rest is for one to choose."""

_KNOWN = 4096
_LONGEST = 45
"""Characters of an address."""


def networks(text: str) -> tuple[Network, ...]:
    """Return networks that are separated by commas; a single address is one, too.

    Raises:
        ValueError: one is none, or has bits set behind its prefix.
    """
    return tuple(ip_network(word.strip()) for word in text.split(",") if word.strip())


@lru_cache(_KNOWN)
def neighbourhood(address: str) -> str:
    """Return what is limited together: an IPv4 address, or a network of 64 bits in IPv6."""
    known = _address(address)
    if isinstance(known, IPv6Address):
        return str(IPv6Network((int(known), _SITE_PREFIX), strict=False))
    return address if known is None else str(known)


class TrustedProxies:
    """Tells a request's client apart from the proxies in front."""

    def __init__(self, trusted: Iterable[Network]) -> None:
        self._trusted = tuple(trusted)
        self._is_trusted = lru_cache(_KNOWN)(self._is_in_network)

    def client_of(self, environ: WSGIEnvironment) -> str:
        """Return the address of the client, as far as trusted proxies tell it."""
        client: str = environ.get("REMOTE_ADDR", "")
        forwarded: str = environ.get("HTTP_X_FORWARDED_FOR", "")
        if not forwarded or not self._is_trusted(client):
            return client
        for entry in reversed(forwarded.split(",")):
            address = _address(entry.strip(" \t"))
            if address is None:
                break
            client = str(address)
            if not self._is_trusted(client):
                break
        return client

    def _is_in_network(self, text: str) -> bool:
        address = _address(text)
        return address is not None and any(address in network for network in self._trusted)


def _address(text: str) -> Address | None:
    """Return an address, None if it is none: IPv4 within IPv6 as what it stands for."""
    if len(text) > _LONGEST:
        return None
    try:
        address = ip_address(text)
    except ValueError:
        return None
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address
