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

_HOST_BITS = 64
"""Last bits of an IPv6 address, which who has the first ones can choose at will."""

_KNOWN = 4096
_LONGEST = 45
"""Characters of an address; nothing longer is kept in mind."""


def networks(text: str) -> tuple[Network, ...]:
    """Return networks that are separated by commas; a single address is one, too.

    Raises:
        ValueError: one is none, or has bits set behind its prefix.
    """
    return tuple(ip_network(word.strip()) for word in text.split(",") if word.strip())


@lru_cache(_KNOWN)
def neighbourhood(address: str) -> str:
    """Return a name for what is limited together: an IPv4 address, or 64 bits of an IPv6 one."""
    known = _address(address)
    if isinstance(known, IPv6Address):
        return f"{int(known) >> _HOST_BITS:x}::"
    return address if known is None else str(known)


class TrustedProxies:
    """Tells a request's client apart from the proxies in front."""

    def __init__(self, trusted: Iterable[Network]) -> None:
        self._trusted = tuple(trusted)
        self._look_at = lru_cache(_KNOWN)(self._judged)

    def client_of(self, environ: WSGIEnvironment) -> str:
        """Return the address of the client, as far as trusted proxies tell it."""
        client: str = environ.get("REMOTE_ADDR", "")
        forwarded: str = environ.get("HTTP_X_FORWARDED_FOR", "")
        if not forwarded or not self._look_at(client)[1]:
            return client
        for entry in reversed(forwarded.split(",")):
            word = entry.strip(" \t")
            address, is_trusted = self._look_at(word) if len(word) <= _LONGEST else (None, False)
            client = address or client
            if not is_trusted:
                break
        return client

    def _judged(self, text: str) -> tuple[str | None, bool]:
        """Return the address, None if it is none, and whether it is a trusted proxy's."""
        address = _address(text)
        if address is None:
            return None, False
        return str(address), any(address in network for network in self._trusted)


def _address(text: str) -> Address | None:
    """Return an address, None if it is none: IPv4 within IPv6 as what it stands for.

    One with a zone is none here: zones mean something to one machine only, and their names may be
    any text.
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
