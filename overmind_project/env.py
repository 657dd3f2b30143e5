"""Typed readers of environment variables, loud when a value is wrong.

Every reader names the variable in its error, and no error repeats the value of a secret. A variable
that is empty counts as not given.
"""

from __future__ import annotations

import os
import re
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from django.core.exceptions import ImproperlyConfigured

_TRUE, _FALSE = {"1", "true", "yes", "on"}, {"0", "false", "no", "off"}
_LAST_PORT = 65535
_LABEL = "[A-Za-z0-9_-]{1,63}"
_HOST_NAME = re.compile(rf"[0-9a-f:.]*:[0-9a-f:.]*|{_LABEL}(\.{_LABEL})*\.?")
_HOST = r"(?!unix:|fd:)[A-Za-z0-9._-]*|\[[0-9a-fA-F:.]+\]"
_ADDRESS = re.compile(rf"(?P<host>{_HOST}):(?P<port>[0-9]{{1,5}})")


@dataclass(frozen=True, slots=True)
class Secret:
    """A value given in a variable or in a file; from a file it is read anew each time."""

    name: str
    value: str = ""
    path: Path | None = None

    def read(self) -> str:
        """Return the secret, "" when none is given.

        Raises:
            ImproperlyConfigured: the file cannot be read as UTF-8 text.
        """
        if self.path is None:
            return self.value
        try:
            return self.path.read_text(encoding="utf-8").rstrip("\r\n")
        except (OSError, UnicodeDecodeError) as error:
            raise ImproperlyConfigured(
                f"{self.name}_FILE: cannot read {str(self.path)!r} ({type(error).__name__})"
            ) from error

    def __repr__(self) -> str:
        return f"Secret({self.name})"


def given(*names: str) -> bool:
    """Whether any of these variables has a value."""
    return any(os.environ.get(name) for name in names)


def text(name: str, default: str = "") -> str:
    """Return the variable as it is."""
    value = os.environ.get(name) or default
    try:
        value.encode()
    except UnicodeEncodeError:
        raise ImproperlyConfigured(f"{name}: not UTF-8") from None
    return value


def words(name: str) -> list[str]:
    """Return the parts of a variable that are separated by commas."""
    return [word.strip() for word in text(name).split(",") if word.strip()]


def matching(name: str, pattern: str, what: str, default: str) -> str:
    """Return a variable whose whole value matches ``pattern``, described to people as ``what``."""
    value = text(name, default)
    if not re.fullmatch(pattern, value):
        raise ImproperlyConfigured(f"{name}: not {what}")
    return value


def choice(name: str, choices: Collection[str], default: str) -> str:
    """Return a variable that must be one of ``choices``."""
    value = text(name, default)
    if value not in choices:
        raise ImproperlyConfigured(f"{name}: {value!r} is none of {', '.join(choices)}")
    return value


def boolean(name: str, *, default: bool) -> bool:
    """Return a switch: 1, true, yes, on or 0, false, no, off, in any case."""
    value = text(name).lower()
    if value and value not in _TRUE | _FALSE:
        raise ImproperlyConfigured(f"{name}: {value!r} is neither on nor off")
    return value in _TRUE if value else default


def integer(name: str, default: int | None, *, least: int, most: int) -> int | None:
    """Return a whole number between ``least`` and ``most``."""
    value = text(name)
    if not value:
        return default
    if not re.fullmatch(r"[0-9]{1,9}", value) or not least <= int(value) <= most:
        raise ImproperlyConfigured(
            f"{name}: {value!r} is not a whole number from {least} to {most}"
        )
    return int(value)


def number(name: str, default: int, *, least: int, most: int) -> int:
    """Return a whole number that has a default."""
    value = integer(name, default, least=least, most=most)
    return default if value is None else value


def listen_address(name: str, default: str) -> str:
    """Return an address to listen on as ``host:port``; ``:port`` listens everywhere."""
    value = text(name, default)
    match = _ADDRESS.fullmatch(value)
    if not match or not 0 < int(match["port"]) <= _LAST_PORT:
        raise ImproperlyConfigured(f"{name}: {value!r} is not of the form host:port or :port")
    return f"{match['host'] or '0.0.0.0'}:{match['port']}"  # noqa: S104 - a container must


def base_url(name: str) -> str:
    """Return an http or https URL without account, query and trailing slash."""
    value = text(name)
    if "@" in value:
        raise ImproperlyConfigured(
            f"{name}: give the account in COUCHDB_USERNAME and COUCHDB_PASSWORD, not in the URL"
        )
    try:
        parts = urlsplit(value)
        port_is_good = parts.port is None or parts.port > 0
    except ValueError:
        raise ImproperlyConfigured(f"{name}: not a URL") from None
    if not _HOST_NAME.fullmatch(parts.hostname or ""):
        raise ImproperlyConfigured(f"{name}: not the name of a host")
    is_plain = not parts.query and not parts.fragment and not re.search(r"\s", value)
    if (
        parts.scheme not in ("http", "https")
        or not parts.hostname
        or not port_is_good
        or not is_plain
    ):
        raise ImproperlyConfigured(f"{name}: not of the form http(s)://host:port")
    return value.rstrip("/")


def secret(name: str, default: Secret | None = None) -> Secret:
    """Return a secret from ``NAME`` or from the file that ``NAME_FILE`` names, checked once."""
    value, path = text(name), text(f"{name}_FILE")
    if value and path:
        raise ImproperlyConfigured(f"{name}: given twice, also as {name}_FILE")
    if not value and not path and default is not None:
        return default
    found = Secret(name, value, Path(path) if path else None)
    found.read()
    return found
