"""Tokens as they are configured: each a name, a scope and the SHA-256 by which it is known.

Settings are made of it before the processes are, so it loads nothing of Django's. Knows nothing of
who shows a token.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass, field

from zerglings.secret import Secret

READ, WRITE = "read", "write"
SCOPES = (READ, WRITE)
"""What a token is good for; ``write`` includes ``read``."""

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
"""What a token may be called: it stands in log lines and on pages as it is."""

_HASH = re.compile(r"[0-9A-Fa-f]{64}")
_OF_NOTHING = hashlib.sha256().digest()


class TokensError(Exception):
    """These are no tokens; a sentence that repeats nothing of what they hold."""


@dataclass(frozen=True, slots=True)
class Token:
    """A token as the service knows it."""

    name: str
    scope: str
    digest: bytes = field(repr=False)

    @property
    def may_write(self) -> bool:
        """Whether it is good for more than reading."""
        return self.scope == WRITE


def digest_of(token: str) -> bytes:
    """Return the SHA-256 under which a token is known."""
    return hashlib.sha256(token.encode()).digest()


def line_of(name: str, scope: str, token: str) -> str:
    """Return the line that makes a token known."""
    return f"{name}:{scope}:{digest_of(token).hex()}"


def tokens_of(source: Secret) -> tuple[Token, ...]:
    """Return the tokens of a file, one a line, or of a variable, where a comma parts them too.

    Several tokens may have one name, so that a new one can come before the old one goes.

    Raises:
        TokensError: a line is none, repeats another or contradicts it, or there is no line.
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
            raise TokensError(f"line {number} gives a name another scope than a line before it")
        found[token.digest] = token
    if not found:
        raise TokensError("no token, so nobody could come in")
    return tuple(found.values())


def _token_in(line: str, where: str) -> Token:
    name, _, rest = line.partition(":")
    scope, _, digest = rest.partition(":")
    if not NAME.fullmatch(name):
        raise TokensError(f"{where} does not begin with a name of letters, digits and ._-")
    if scope not in SCOPES:
        raise TokensError(f"{where} has no scope, read or write, behind its name")
    if not _HASH.fullmatch(digest):
        raise TokensError(f"{where} does not end with a SHA-256 in 64 hexadecimal digits")
    if bytes.fromhex(digest) == _OF_NOTHING:
        raise TokensError(f"{where} has the hash of an empty token")
    return Token(name, scope, bytes.fromhex(digest))
