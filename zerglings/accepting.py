"""What form of answer a client asks for, as far as its ``Accept`` header is looked at.

Parameters are not: none of the answers has one, and the frameworks look up the charset of an
encoded one among Python's codecs, of which some are no charsets and fail later, and which remember
for ever each name that they did not know. Nor is a long header, which no client needs.
"""

from __future__ import annotations

LONGEST = 1024
"""Characters of an ``Accept`` header that is looked at."""

_HTML, _JSON = "text/html", "application/json"


def media_types(accept: str | None) -> list[str]:
    """Return the media types that a client accepts, in its order and without parameters.

    Anything will do for a client that names none, or more than anybody reads.
    """
    if not accept or len(accept) > LONGEST:
        return ["*/*"]
    return [each.partition(";")[0].strip() for each in accept.split(",")]


def is_for_a_person(accept: str | None) -> bool:
    """Whether a client asks for a page, and not for JSON as well, which then goes before."""
    names = {each.lower() for each in media_types(accept)}
    return _HTML in names and _JSON not in names
