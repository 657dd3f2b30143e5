"""Finds the client's address behind trusted proxies, and the network that shares a rate limit.

Each proxy appends to `X-Forwarded-For` the address that called it. The entries are read from right
to left, and only those that a trusted proxy appended. A client can forge those further left.
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

_HOST_BITS = 64
"""Number of low bits of an IPv6 address, which a host can choose freely within its network."""

_CACHE_SIZE = 4096
_MAX_ADDRESS_LENGTH = 45
"""Characters of the longest address. Longer text is not an address, and is not cached."""


def networks(text: str) -> tuple[Network, ...]:
    """Parse a comma-separated list of networks; a single address is a network of one address.

    Raises:
        ValueError: an entry is not a network, or has bits set after its prefix.
    """
    return tuple(ip_network(word.strip()) for word in text.split(",") if word.strip())


@lru_cache(_CACHE_SIZE)
def rate_limit_network(address: str) -> str:
    """Return the key under which an address is rate limited.

    That is an IPv4 address itself, or the upper 64 bits of an IPv6 address.
    """
    parsed = _address(address)
    if isinstance(parsed, IPv6Address):
        return f"{int(parsed) >> _HOST_BITS:x}::"
    return address if parsed is None else str(parsed)


class TrustedProxies:
    """Finds the address of a request's client behind trusted proxies."""

    def __init__(self, trusted: Iterable[Network]) -> None:
        self._trusted = tuple(trusted)
        self._parse_cached = lru_cache(_CACHE_SIZE)(self._parse)

    def client_of(self, environ: WSGIEnvironment) -> str:
        """Return the address nearest to this service that is not a trusted proxy's.

        If all are trusted, that is the leftmost entry. If an entry is invalid, it is the address of
        the proxy that appended it.
        """
        client: str = environ.get("REMOTE_ADDR", "")
        forwarded: str = environ.get("HTTP_X_FORWARDED_FOR", "")
        if not forwarded or not self._parse_cached(client)[1]:
            return client
        for entry in reversed(forwarded.split(",")):
            word = entry.strip(" \t")
            address, is_trusted = (
                self._parse_cached(word) if len(word) <= _MAX_ADDRESS_LENGTH else (None, False)
            )
            client = address or client
            if not is_trusted:
                break
        return client

    def _parse(self, text: str) -> tuple[str | None, bool]:
        """Return the address, None if the text is not one, and whether it is a trusted proxy's."""
        address = _address(text)
        if address is None:
            return None, False
        return str(address), any(address in network for network in self._trusted)


def _address(text: str) -> Address | None:
    """Parse an address, None if it is invalid. An IPv4-mapped IPv6 address becomes plain IPv4.

    An address with a zone is invalid: zones are local to one machine, and their names may be any
    text.
    """
    if "%" in text:
        return None
    try:
        address = ip_address(text)
    except ValueError:
        return None
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address
