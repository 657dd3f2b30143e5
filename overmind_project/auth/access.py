"""Who may come in, and what for: the tokens that are good now.

They stand in a variable, or in a file that is read again while the service runs. A file that has
become bad changes nothing, and says so once. Knows nothing of HTTP.
"""

from __future__ import annotations

import hmac
import logging
import re
import time
from functools import cache

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

from overmind_project.auth.tokens import Token, TokensError, digest_of, tokens_of
from zerglings.secret import Secret

logger = logging.getLogger(__name__)

LOOK_EVERY = 1.0
"""Seconds between two looks at the file at least."""

_TOKEN = re.compile(r"[A-Za-z0-9._~+/-]{1,1024}={0,2}")
"""https://www.rfc-editor.org/rfc/rfc6750#section-2.1: what a header and a cookie can carry."""


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
