"""The access tokens that are valid now.

They come from a variable, or from a file that is reread while the service runs. If the file
becomes invalid, the last valid tokens stay in use and one error is logged.
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

RELOAD_SECONDS = 1.0
"""Minimum seconds between two reads of the file."""

_TOKEN = re.compile(r"[A-Za-z0-9._~+/-]{1,1024}={0,2}")
"""The syntax of a token, which headers and cookies can carry.

See https://www.rfc-editor.org/rfc/rfc6750#section-2.1.
"""


class TokenStore:
    """The valid tokens. Safe to use from several threads.

    Args:
        source: the variable or file. If it is invalid at the start, no token is accepted.
    """

    def __init__(self, source: Secret) -> None:
        self._source = source
        self._tokens: tuple[Token, ...] = ()
        self._last_error: str | None = None
        self._next_reload = 0.0
        self._refresh()

    def find(self, token: str) -> Token | None:
        """Return the configured token that equals `token`, None if there is none.

        Every comparison takes constant time, and all tokens are compared.
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

    def is_valid(self, token: Token) -> bool:
        """Return whether a token that `find` returned is still configured."""
        self._refresh()
        return token in self._tokens

    def _refresh(self) -> None:
        now = time.monotonic()
        if now < self._next_reload:
            return
        self._next_reload = now + RELOAD_SECONDS if self._source.path else float("inf")
        # Read the whole file: its timestamp is too coarse to show two changes in quick succession.
        try:
            tokens = tokens_of(self._source)
        except (TokensError, ImproperlyConfigured) as error:
            if self._last_error != str(error):
                logger.error(
                    "Kept the previous %d tokens, the new ones are invalid: %s",
                    len(self._tokens),
                    error,
                )
            self._last_error = str(error)
            return
        if self._tokens and (tokens != self._tokens or self._last_error):
            logger.info("Reloaded the tokens, %d are valid now", len(tokens))
        self._tokens, self._last_error = tokens, None


@cache
def configured_tokens() -> TokenStore | None:
    """Return this process's tokens, None if no tokens are configured."""
    source: Secret = settings.OVERMIND_TOKENS
    return TokenStore(source) if source.is_given else None
