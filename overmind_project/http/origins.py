"""Parses the list of origins in a setting (https://www.rfc-editor.org/rfc/rfc6454#section-6)."""

from __future__ import annotations

import re

ANY = "*"

_LABEL = "[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?"
_ORIGIN = re.compile(
    rf"(?P<scheme>https?)://({_LABEL}(\.{_LABEL})*|\[[0-9a-f:.]+\])(:(?P<port>[1-9][0-9]{{0,4}}))?"
)
_DEFAULT_PORTS = {"http": "80", "https": "443"}
_LAST_PORT = 65535


def origins(text: str) -> tuple[str, ...]:
    """Parse a comma-separated list of origins as browsers send them, or `*` alone.

    Raises:
        ValueError: an entry is not an origin, or not in the form that browsers use.
    """
    words = tuple(word.strip() for word in text.split(",") if word.strip())
    if words == (ANY,):
        return words
    for word in words:
        match = _ORIGIN.fullmatch(word)
        if match is None or match["port"] == _DEFAULT_PORTS[match["scheme"]]:
            raise ValueError(f"{word!r} is not an origin")
        if int(match["port"] or 1) > _LAST_PORT:
            raise ValueError(f"{word!r} is not an origin")
    return words
