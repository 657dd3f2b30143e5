"""Conditional requests (RFC 9110, section 13): ``If-Match``, ``If-None-Match`` over revisions."""

from __future__ import annotations

import re

from rest_framework.exceptions import ParseError

from zerglings.hive import Precondition

_TAG = r'(?:W/)?"[\x21\x23-\x7e\x80-\xff]*"'
_TAG_LIST = re.compile(rf"\s*{_TAG}(?:\s*,\s*{_TAG})*\s*")


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


def _tags(header: str, name: str) -> list[str]:
    if not _TAG_LIST.fullmatch(header):
        raise ParseError(f'{name} must hold revisions in double quotes, as in {name}: "2-5f0a".')
    return re.findall(_TAG, header)
