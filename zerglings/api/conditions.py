"""The headers that make a request conditional or repeatable.

``If-Match`` and ``If-None-Match`` over revisions (RFC 9110, section 13), ``Idempotency-Key``.
"""

from __future__ import annotations

import re

from rest_framework.exceptions import ParseError
from rest_framework.request import Request

from zerglings.domain.zergling import Zergling
from zerglings.hive.mutations import Precondition, TagAltered

_TAG = re.compile(r'(?:W/)?"[\x21\x23-\x7e\x80-\xff]*"')

_KEY = re.compile(r"[\x21-\x7e]{1,128}")


def etag(revision: str, *, html: bool) -> str:
    """Return the entity tag of a revision; its HTML form has one of its own."""
    return f'"{revision}-html"' if html else f'"{revision}"'


def if_match(header: str | None) -> Precondition | None:
    """Return the test that an ``If-Match`` header asks for, None without one.

    Weak tags never match, as the comparison is strong.

    Raises:
        ParseError: the header is malformed; the change must not be made as if there were none.
    """
    if header is None or header.strip() == "*":  # "*": any living zergling, which it must be anyway
        return None
    tags = _tags(header)
    if tags is None:
        raise ParseError('If-Match must hold revisions in double quotes, as in If-Match: "2-5f0a".')

    def holds(zergling: Zergling) -> bool:
        revision = zergling.revision or ""
        if etag(revision, html=False) in tags:
            return True
        if any(_is_altered(tag, revision) for tag in tags):
            raise TagAltered
        return False

    return holds


def _is_altered(tag: str, revision: str) -> bool:
    """Whether a tag is a revision's after a proxy or a page has changed it: W/, -gzip, -html."""
    opaque = tag.removeprefix("W/").strip('"')
    return opaque == revision or opaque.startswith(f"{revision}-")


def is_unmodified(header: str | None, current: str) -> bool:
    """Whether an ``If-None-Match`` header names the current entity tag; compares weakly.

    A malformed one names none: what was asked for is then sent in full, which harms nobody.
    """
    if header is None:
        return False
    if header.strip() == "*":
        return True
    return current in {tag.removeprefix("W/") for tag in _tags(header) or ()}


def idempotency_key(request: Request) -> str | None:
    """Return the key under which a request may be repeated, None without one."""
    header: str | None = request.META.get("HTTP_IDEMPOTENCY_KEY")
    if header is not None and not _KEY.fullmatch(header):
        raise ParseError("Idempotency-Key must be 1 to 128 visible ASCII characters.")
    return header


def _tags(header: str) -> list[str] | None:
    """Return the entity tags of a list, None if it is malformed.

    Empty elements do not count (RFC 9110, section 5.6.1.2).
    """
    elements = {element.strip(" \t") for element in _TAG.sub('""', header).split(",")}
    tags = _TAG.findall(header)
    return tags if tags and elements <= {"", '""'} else None
