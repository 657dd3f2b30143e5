"""The headers that make a request conditional or repeatable.

``If-Match`` and ``If-None-Match`` over revisions (RFC 9110, section 13), ``Idempotency-Key``.
"""

from __future__ import annotations

import re

from rest_framework.exceptions import ParseError
from rest_framework.request import Request

from zerglings.changes import Precondition

_TAG = r'(?:W/)?"[\x21\x23-\x7e\x80-\xff]*"'
_TAG_LIST = re.compile(rf"\s*{_TAG}(?:\s*,\s*{_TAG})*\s*")

_KEY = re.compile(r"[\x21-\x7e]{1,128}")


def etag(revision: str, *, html: bool) -> str:
    """Return the entity tag of a revision; its HTML form has one of its own."""
    return f'"{revision}-html"' if html else f'"{revision}"'


def if_match(header: str | None) -> Precondition | None:
    """Return the test that an ``If-Match`` header asks for, None without one.

    Weak tags never match, as the comparison is strong.
    """
    if header is None or header.strip() == "*":  # "*": any living zergling, which it must be anyway
        return None
    tags = _tags(header, "If-Match")
    return lambda zergling: etag(zergling.revision or "", html=False) in tags


def is_unmodified(header: str | None, current: str) -> bool:
    """Whether an ``If-None-Match`` header names the current entity tag; compares weakly."""
    if header is None:
        return False
    if header.strip() == "*":
        return True
    return current in {tag.removeprefix("W/") for tag in _tags(header, "If-None-Match")}


def idempotency_key(request: Request) -> str | None:
    """Return the key under which a request may be repeated, None without one."""
    header: str | None = request.META.get("HTTP_IDEMPOTENCY_KEY")
    if header is not None and not _KEY.fullmatch(header):
        raise ParseError("Idempotency-Key must be 1 to 128 visible ASCII characters.")
    return header


def _tags(header: str, name: str) -> list[str]:
    if not _TAG_LIST.fullmatch(header):
        raise ParseError(f'{name} must hold revisions in double quotes, as in {name}: "2-5f0a".')
    return re.findall(_TAG, header)
