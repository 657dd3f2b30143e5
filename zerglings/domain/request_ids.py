"""Ids of requests in a history: how they are made, and what can be read from them.

An id is random, or a hash of the client's idempotency key and the words. If the original service
has dropped the ids of a history, ``document_format`` derives them from the words. The length tells
which kind an id is. The id of a death also holds its time.
"""

from __future__ import annotations

import base64
import hashlib
import secrets
from collections.abc import Sequence

_KEY_BYTES, _WORDS_BYTES = 12, 3
"""Bytes of a keyed id before encoding: hashes of the key and of the words."""

DERIVED_ID_BYTES, _RANDOM_BYTES = 8, 9
"""Bytes of the other ids before encoding: derived from the history, or random. Derived ids must be
the same in all releases."""

_KEY_LENGTH, _KEYED_LENGTH = 16, 20  # characters of ids in base64
DERIVED_ID_LENGTH = 11
_DEATH_MARK = "@"


def random_id() -> str:
    """Return a new random id."""
    return _base64(secrets.token_bytes(_RANDOM_BYTES))


def keyed_id(key: str, words: Sequence[str]) -> str:
    """Return the id of a request with an idempotency key, which is the same on every replica."""
    key_part = hashlib.sha256(key.encode()).digest()[:_KEY_BYTES]
    words_part = hashlib.sha256("".join(words).encode()).digest()[:_WORDS_BYTES]
    return _base64(key_part) + _base64(words_part)


def death_id(now: float) -> str:
    """Return a new id of a death that is requested ``now``, in seconds since 1970."""
    return f"{random_id()}{_DEATH_MARK}{int(now)}"


def key_mark(request_id: str) -> str | None:
    """Return the part of a request id that comes from the idempotency key, None without a key."""
    return request_id[:_KEY_LENGTH] if len(request_id) == _KEYED_LENGTH else None


def is_derived(request_id: str) -> bool:
    """Whether an id was derived from words, because the original service dropped the real one."""
    return len(request_id) == DERIVED_ID_LENGTH


def derived_again(request_id: str) -> str:
    """Return another derived id, for a word whose derived id an earlier word has as well."""
    digest = hashlib.sha256(request_id.encode()).digest()
    return _base64(digest[:DERIVED_ID_BYTES])


def time_of_death(request_id: str) -> int | None:
    """Return when a death was requested, in seconds since 1970, None if the id holds no time."""
    _, _, seconds = request_id.partition(_DEATH_MARK)
    return int(seconds) if seconds.isascii() and seconds.isdigit() else None


def _base64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
