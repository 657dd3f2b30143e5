"""Who may come in, and what for: tokens, known by the SHA-256 of each and never by themselves.

They stand in a variable, or in a file that is read again while the service runs. A file that has
become bad changes nothing, and says so once. Knows nothing of HTTP.
"""

from __future__ import annotations

import hashlib
import hmac
import logging
import re
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cache

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

from overmind_project.env import Secret

logger = logging.getLogger(__name__)

LOOK_EVERY = 1.0
"""Seconds between two looks at the file at least."""

READ, WRITE = "read", "write"
SCOPES = (READ, WRITE)
"""What a token is good for; ``write`` includes ``read``."""

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
"""What a token may be called: it stands in log lines and on pages as it is."""

_HASH = re.compile(r"[0-9A-Fa-f]{64}")
_TOKEN = re.compile(r"[A-Za-z0-9._~+/-]{1,1024}={0,2}")
"""https://www.rfc-editor.org/rfc/rfc6750#section-2.1: what a header and a cookie can carry."""

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


class TokenRing:
    """The tokens that are good now. Safe to use from many threads at once.

    Args:
        source: where they are. One that is bad from the first lets nobody in.
    """

    def __init__(self, source: Secret) -> None:
        self._source = source
        self._tokens: tuple[Token, ...] = ()
        self._complaint: str | None = None
        self._next_look = 0.0
        self._refresh()

    def find(self, token: str) -> Token | None:
        """Return what is known of a token that somebody has shown, None if nothing.

        All are compared, each in a time that does not depend on how much of it is right.
        """
        self._refresh()
        if not _TOKEN.fullmatch(token):
            return None
        digest = digest_of(token)
        found = None
        for known in self._tokens:
            if hmac.compare_digest(known.digest, digest):
                found = known
        return found

    def holds(self, token: Token) -> bool:
        """Whether a token that was found before is still good."""
        self._refresh()
        return token in self._tokens

    def _refresh(self) -> None:
        now = time.monotonic()
        if now < self._next_look:
            return
        self._next_look = now + LOOK_EVERY if self._source.path else float("inf")
        # It is read, not asked for its age: two changes within one tick of its clock look alike.
        try:
            tokens = tokens_of(self._source)
        except (TokensError, ImproperlyConfigured) as error:
            if self._complaint != str(error):
                logger.error("Tokens stay as they were, %d of them: %s", len(self._tokens), error)
            self._complaint = str(error)
            return
        if self._tokens and (tokens != self._tokens or self._complaint):
            logger.info("Tokens were read again, %d of them", len(tokens))
        self._tokens, self._complaint = tokens, None


@cache
def configured_ring() -> TokenRing | None:
    """Return this process's tokens, None where everybody may come in."""
    source: Secret = settings.OVERMIND_TOKENS
    return TokenRing(source) if source.is_given else None
