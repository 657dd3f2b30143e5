"""Checks of host names, listen addresses and base URLs."""

from __future__ import annotations

import re
from ipaddress import IPv6Address
from urllib.parse import urlsplit

LAST_PORT = 65535

_LABEL = "[A-Za-z0-9_-]{1,63}"
_HOST_NAME = re.compile(rf"{_LABEL}(\.{_LABEL})*\.?")
_HOST = r"(?!unix:|fd:)[A-Za-z0-9._-]*|\[[0-9a-fA-F:.]+\]"
_ADDRESS = re.compile(rf"(?P<host>{_HOST}):(?P<port>[0-9]{{1,5}})")


def is_address(value: str) -> bool:
    """Return whether the value is `host:port`, or `:port` for all addresses."""
    match = _ADDRESS.fullmatch(value)
    if not match or not 0 < int(match["port"]) <= LAST_PORT:
        return False
    return not match["host"] or is_host(match["host"].strip("[]"))


def is_host(text: str) -> bool:
    """Return whether the text is a host name or an address.

    An address with a zone is invalid: zones are local to one machine.
    """
    if ":" not in text:
        return _HOST_NAME.fullmatch(text) is not None
    try:
        return IPv6Address(text).scope_id is None
    except ValueError:
        return False


def problem_of_url(value: str, account: str) -> str | None:
    """Return why the value is not an http or https base URL, None if it is.

    The result never contains the value, which may hold a password by mistake.

    Args:
        value: the URL.
        account: the variables in which the account belongs, for the message.
    """
    if "@" in value:
        return f"give the account in {account}, not in the URL"
    try:
        parts = urlsplit(value)
        port_is_good = parts.port is None or parts.port > 0
    except ValueError:
        return "not a URL"
    if not is_host(parts.hostname or ""):
        return "not the name of a host"
    is_plain = not parts.query and not parts.fragment and not re.search(r"\s", value)
    if parts.scheme not in ("http", "https") or not port_is_good or not is_plain:
        return "not of the form http(s)://host:port"
    return None
