"""Parses the configured tokens: a name, a scope and the SHA-256 hash of each token.

The settings import this module, so it must not depend on them.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass, field

from zerglings.secret import Secret

READ, WRITE = "read", "write"
SCOPES = (READ, WRITE)
"""The permissions of a token; `write` includes `read`."""

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
"""A token's name. It appears unescaped in log lines and on pages."""

_HASH = re.compile(r"[0-9A-Fa-f]{64}")
_HASH_OF_EMPTY = hashlib.sha256().digest()


class TokensError(Exception):
    """The configured tokens are invalid. The message does not repeat them."""


@dataclass(frozen=True, slots=True)
class Token:
    """A configured token. Only the hash of its secret is stored."""

    name: str
    scope: str
    digest: bytes = field(repr=False)

    @property
    def may_write(self) -> bool:
        """Whether the token has the scope `write`."""
        return self.scope == WRITE


def digest_of(token: str) -> bytes:
    """Return the SHA-256 hash of a token."""
    return hashlib.sha256(token.encode()).digest()


def line_of(name: str, scope: str, token: str) -> str:
    """Return the configuration line of a token: `name:scope:hash`."""
    return f"{name}:{scope}:{digest_of(token).hex()}"


def tokens_of(source: Secret) -> tuple[Token, ...]:
    """Parse the configured tokens, one on each line. In a variable, commas separate them too.

    Several tokens may share a name, so that a new token can be added before the old one is
    removed.

    Raises:
        TokensError: there are no tokens; or a line is invalid, repeats a hash or contradicts
            another line.
        ImproperlyConfigured: the file cannot be read.
    """
    text = source.read()
    return _parsed((text if source.path else text.replace(",", "\n")).splitlines())


def _parsed(lines: Iterable[str]) -> tuple[Token, ...]:
    found: dict[bytes, Token] = {}
    scopes: dict[str, str] = {}
    for number, line in enumerate(lines, 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        token = _token_in(line.strip(), f"line {number}")
        if token.digest in found:
            raise TokensError(f"line {number} repeats the hash of another")
        if scopes.setdefault(token.name, token.scope) != token.scope:
            raise TokensError(f"line {number} gives a name a different scope than an earlier line")
        found[token.digest] = token
    if not found:
        raise TokensError("there is no token, so every request would be denied")
    return tuple(found.values())


def _token_in(line: str, where: str) -> Token:
    name, _, rest = line.partition(":")
    scope, _, digest = rest.partition(":")
    if not NAME.fullmatch(name):
        raise TokensError(f"{where} does not begin with a name of letters, digits and ._-")
    if scope not in SCOPES:
        raise TokensError(f"{where} has no scope, read or write, after its name")
    if not _HASH.fullmatch(digest):
        raise TokensError(f"{where} does not end with a SHA-256 in 64 hexadecimal digits")
    if bytes.fromhex(digest) == _HASH_OF_EMPTY:
        raise TokensError(f"{where} has the hash of an empty token")
    return Token(name, scope, bytes.fromhex(digest))
