"""Conditional and idempotent requests: ``If-Match``, ``If-None-Match`` and ``Idempotency-Key``.

Entity tags are document revisions (RFC 9110, sections 8.8.3 and 13).
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
    """Return the entity tag of a revision. The HTML page has a different tag than the JSON."""
    return f'"{revision}-html"' if html else f'"{revision}"'


def if_match(header: str | None) -> Precondition | None:
    """Return the precondition of an ``If-Match`` header, None if there is no precondition.

    The comparison is strong (RFC 9110, section 8.8.3.2): weak tags never match.

    Raises:
        ParseError: the header is malformed. Ignoring it would make an unconditional change.
    """
    if header is None or header.strip() == "*":  # "*": it must exist, which every change requires
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
    """Whether a tag is the revision's tag with a prefix or suffix added: W/, -gzip, -html."""
    opaque = tag.removeprefix("W/").strip('"')
    return opaque == revision or opaque.startswith(f"{revision}-")


def is_unmodified(header: str | None, current: str) -> bool:
    """Whether an ``If-None-Match`` header names the current entity tag (weak comparison).

    A malformed header matches nothing: the client then gets the full response.
    """
    if header is None:
        return False
    if header.strip() == "*":
        return True
    return current in {tag.removeprefix("W/") for tag in _tags(header) or ()}


def idempotency_key(request: Request) -> str | None:
    """Return the request's idempotency key, None without one.

    Raises:
        ParseError: the key is malformed.
    """
    header: str | None = request.META.get("HTTP_IDEMPOTENCY_KEY")
    if header is not None and not _KEY.fullmatch(header):
        raise ParseError("Idempotency-Key must be 1 to 128 visible ASCII characters.")
    return header


def _tags(header: str) -> list[str] | None:
    """Return the entity tags of a header's list, None if it is malformed.

    Empty list elements are ignored (RFC 9110, section 5.6.1.2).
    """
    elements = {element.strip(" \t") for element in _TAG.sub('""', header).split(",")}
    tags = _TAG.findall(header)
    return tags if tags and elements <= {"", '""'} else None
